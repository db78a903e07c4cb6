"""What the live page's scripts need of this library: parameters, expressions, and the numbers that both work with.

The page gets it with `GET /tha4/library`, so that these numbers have one place. web/js/live says beside each use what
a number is.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

from ..pose import NAMES, PARAMETERS
from . import expressions, groups, idle
from .speech import features, opening, vowels
from .speech.phonemes import SHAPES
from .tracking import conversion, vowel_mix


@cache
def library() -> dict[str, Any]:
    """`parameters`, `expressions` and `live`: lists and objects of numbers and texts, ready for JSON.

    `live` has `conversion` (the default ConversionSettings), `vowelMix`, `idle`, `vowels` (indices), and `speech`.
    """
    return {"parameters": _parameters(), "expressions": _expressions(), "live": _constants()}


def _parameters() -> list[dict[str, Any]]:
    return [
        {
            "name": p.name,
            "group": groups.GROUP_OF[p.index],
            "minimum": p.minimum,
            "maximum": p.maximum,
            "mirrored": NAMES[groups.MIRRORED[p.index]],
            "sideways": p.index in groups.SIDEWAYS,
        }
        for p in PARAMETERS
    ]


def _expressions() -> list[dict[str, Any]]:
    return [
        {
            "name": expression.name,
            "kind": expression.kind,
            "labels": dict(expression.labels),
            "values": {NAMES[index]: value for index, value in expression.values.items()},
        }
        for expression in expressions.built_in().values()
    ]


def _constants() -> dict[str, Any]:
    return {
        "conversion": asdict(conversion.DEFAULT),
        "vowelMix": {"columns": vowel_mix.VOWELS.T.tolist(), "sparsity": vowel_mix.SPARSITY},
        "idle": idle.CONSTANTS,
        "vowels": list(groups.VOWELS),
        "speech": {
            **features.constants(),
            **vowels.constants(),
            **opening.CONSTANTS,
            "mouth": [NAMES[index] for index in SHAPES],
        },
    }
