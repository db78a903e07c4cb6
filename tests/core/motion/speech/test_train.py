"""The discriminant that ships is the one that its command trains."""

import json
from pathlib import Path

import numpy as np

from tha4_core.motion.speech import train


def test_training_gives_the_table_that_ships() -> None:
    table = json.loads(Path(train.__file__).with_name("discriminant.json").read_text(encoding="utf-8"))
    trained = train.train()
    for name in ("weights", "bias", "spread"):
        np.testing.assert_allclose(getattr(trained, name), table[name], atol=0.02)
