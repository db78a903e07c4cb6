"""Which of the 45 numbers move which part of the character, and which swap or turn round in a mirror."""

from __future__ import annotations

from ..errors import MotionError
from ..pose import PARAMETERS

_PART = {"eyebrow": "brows", "eye": "eyes", "mouth": "mouth", "head": "head", "body": "body", "breathing": "body"}


def _group(name: str, part: str) -> str:
    # The iris counts with the eyes where its size changes and with the gaze where it turns.
    return _PART[part] if part in _PART else ("gaze" if name.startswith("iris_rotation") else "eyes")


GROUP_OF: tuple[str, ...] = tuple(_group(p.name, p.group) for p in PARAMETERS)
"""The group of each of the 45 numbers, in their order."""

GROUPS: dict[str, tuple[int, ...]] = {
    group: tuple(i for i, g in enumerate(GROUP_OF) if g == group)
    for group in ("brows", "eyes", "mouth", "gaze", "head", "body")
}
"""Group name → indices. Breathing belongs to the body."""

VOWELS: tuple[int, ...] = tuple(
    p.index
    for p in PARAMETERS
    if p.name in ("mouth_aaa", "mouth_iii", "mouth_uuu", "mouth_eee", "mouth_ooo", "mouth_delta")
)
"""The six mouth shapes that speech uses; the rest of the mouth is corners and smirk."""

SIDEWAYS: tuple[int, ...] = tuple(
    p.index for p in PARAMETERS if p.name in ("iris_rotation_y", "head_y", "neck_z", "body_y", "body_z")
)
"""The numbers that point to a side, positive to the character's right (spec section 7); a mirror negates them."""


def _other_side(name: str) -> str:
    if name.endswith("_left"):
        return name.removesuffix("_left") + "_right"
    return name.removesuffix("_right") + "_left" if name.endswith("_right") else name


_INDEX = {p.name: p.index for p in PARAMETERS}
MIRRORED: tuple[int, ...] = tuple(_INDEX[_other_side(p.name)] for p in PARAMETERS)
"""For each number, the index of the number that it becomes in a mirror."""


def group_indices(groups: str | tuple[str, ...] | list[str]) -> tuple[int, ...]:
    """The indices of one or several groups. Raises MotionError for a group that there is not."""
    names = (groups,) if isinstance(groups, str) else tuple(groups)
    for name in names:
        if name not in GROUPS:
            raise MotionError(f'There is no group "{name}". The groups are: {", ".join(GROUPS)}.')
    return tuple(i for name in names for i in GROUPS[name])
