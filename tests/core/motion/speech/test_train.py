"""The discriminant that ships is the one that its command trains, and it knows the vowels that it was trained on."""

import json
from pathlib import Path

import numpy as np

from tha4_core.motion.speech import train, vowels


def test_training_gives_the_table_that_ships() -> None:
    table = json.loads(Path(train.__file__).with_name("discriminant.json").read_text(encoding="utf-8"))
    trained = train.train()
    for name in ("weights", "bias", "spread"):
        np.testing.assert_allclose(getattr(trained, name), table[name], atol=0.02)


def test_likeness_adds_up_and_one_vowel_held_on_stays_itself() -> None:
    templates = np.stack([vowels._templates(1.02)[0][row] for row in (0, 4, 7, 9, 12)]) / vowels.LIFTER
    for vowel, shape in enumerate(templates):
        held = shape + np.random.default_rng(0).normal(0, 0.05, (200, 12))
        weights = vowels.likeness(held, np.ones(200, dtype=bool))
        np.testing.assert_allclose(weights.sum(axis=1), 1)
        assert (weights.argmax(axis=1) == vowel).mean() > 0.95
