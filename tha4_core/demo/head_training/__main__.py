"""Trains the network that finds heads and writes its weights: `python -m tha4_core.demo.head_training`.

Every step draws new made-up characters; no picture of anybody else is used. It took 13 minutes on one core of a
busy machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from ...picture.head_finder import WEIGHTS, HeadNetwork
from ...weights import write_safetensors
from .demo_figures import draw_demo
from .figures import draw_figure, draw_object
from .pen import Random
from .samples import Sheet, draw_batch

FACELESS, OBJECTS = 0.22, 0.1
"""The shares of pictures that show a character without a face, and no character at all."""
POOL, NEW, DEMOS, BATCH = 400, 3, 50, 24
"""Characters that patches are taken from; new ones a step; variants of the demo's character; patches a step."""


def main() -> None:
    """Train by the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    network = train(options.steps, options.seed)
    tensors = {key: value.half() for key, value in network.state_dict().items()}
    made = f"python -m tha4_core.demo.head_training --steps {options.steps} --seed {options.seed}"
    write_safetensors(options.out, tensors, {"made_by": made, "trained_on": "made-up characters alone"})


def train(steps: int, seed: int) -> HeadNetwork:
    """A trained network; the same steps and seed give the same one on the same machine."""
    torch.manual_seed(seed)
    random = np.random.default_rng([seed, 0])
    network = HeadNetwork()
    network.state_dict()["score.bias"].fill_(-4.0)  # heads are rare
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    kept = [Sheet.of(draw_demo(random)) for _ in range(DEMOS)]
    drawn = [new_sheet(random) for _ in range(POOL // 2)]
    for step in range(steps):
        drawn = [*drawn, *(new_sheet(random) for _ in range(NEW))][-POOL:]
        patches, scores, weights = draw_batch(drawn + kept, BATCH, random)
        logits = network(patches)
        # What is taken for a head and is none counts more: such places are rare.
        weights = weights + 10 * (1 - scores) * logits.detach().sigmoid() ** 2
        loss = functional.binary_cross_entropy_with_logits(logits, scores, weights)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    return network


def new_sheet(random: Random) -> Sheet:
    """A picture never drawn before."""
    if random.random() < OBJECTS:
        return Sheet.of(draw_object(random))
    return Sheet.of(draw_figure(random, faceless=random.random() < FACELESS))


if __name__ == "__main__":
    main()
