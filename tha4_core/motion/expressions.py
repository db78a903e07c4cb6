"""Named expressions: partial poses such as `smile`, `wink left` or `look up`, with a strength.

They are data: `expressions.json` beside this module, and any JSON files of the same form in a folder of the user's:

    {"format": "tha4-expressions", "version": 1, "expressions": [
      {"name": "smile", "kind": "emotion", "clears": ["brows", "eyes", "mouth"],
       "values": {"mouth_raised_corner": 1.0, "eyebrow_happy": 0.6},
       "labels": {"en": "Smile", "ja": "微笑み"}, "aliases": ["smiling"]}]}

An expression speaks for the parameters in `values` and, with 0, for all the others of the groups it `clears`, so that
`sad` after `smile` takes the smile away. It leaves every other parameter alone. Left and right are the character's.
Its labels and its aliases are other names of it.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from .. import pose
from ..errors import MotionError
from ..pose import Poses
from . import easing, groups, reading

KINDS = ("emotion", "mouth", "eyes", "gaze", "head", "body")
FORMAT = "tha4-expressions"
_CLEARS = {**groups.GROUPS, "vowels": groups.VOWELS}
_MAX_FILE_BYTES = 1024 * 1024
_MAX_FILES = 200
_MAX_NAME = 60
# Words of any language that start with a letter, so that a line of a script can hold the name.
_NAME = re.compile(r"[^\W\d_]\w*(?:[ _-][^\W\d_]\w*)*")
RESERVED = ("in", "key", "hold", "wait", "say", "blink", "nod", "shake")
"""Words that mean something else in a script (as the easings do): no name may have them."""


@dataclass(frozen=True)
class Expression:
    """A partial pose: parameter index → value, for the parameters it speaks for.

    `labels` are its names for people by language (en, ja, zh, ko), `aliases` what else it may be called, `kind` one of
    KINDS.
    """

    name: str
    kind: str
    values: Mapping[int, float]
    labels: Mapping[str, str]
    aliases: tuple[str, ...] = ()


Library = Mapping[str, Expression]


@cache
def built_in() -> Library:
    """The expressions that come with the pack, by name."""
    return MappingProxyType(load_file(Path(__file__).with_name("expressions.json")))


def library(folder: Path | str | None = None) -> Library:
    """The built-in expressions, and those of every .json file in `folder`, which may replace built-in ones.

    A folder that does not exist adds nothing. Raises MotionError, naming the file, where one is not as it should be.
    """
    found = dict(built_in())
    # Hidden files are left out: macOS puts a "._NAME.json" beside each file in an archive.
    paths = sorted(path for path in Path(folder).glob("*.json") if path.name[0] != ".") if folder is not None else []
    if len(paths) > _MAX_FILES:
        raise MotionError(f"{folder} has {len(paths)} .json files; at most {_MAX_FILES} are read as expressions.")
    for path in paths:
        found.update(load_file(path))
    return found


def load_file(path: Path) -> dict[str, Expression]:
    """The expressions of one JSON file, by name. Raises MotionError where the file is not as it should be."""
    data = reading.parse_json(reading.read_text(path, _MAX_FILE_BYTES), path.name)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise MotionError(f'{path.name} is not a file of expressions: it must be an object with "format": "{FORMAT}".')
    if data.get("version") != 1:
        raise MotionError(f"{path.name} is of version {reading.shorten(data.get('version'))}; this pack reads 1.")
    entries = data.get("expressions")
    if not isinstance(entries, list):
        raise MotionError(f'{path.name}: "expressions" must be a list.')
    made = [_expression(entry, f"{path.name}, expression {i + 1}") for i, entry in enumerate(entries)]
    return {expression.name: expression for expression in made}


def _expression(entry: Any, where: str) -> Expression:
    if not isinstance(entry, dict):
        raise MotionError(f"{where} must be an object, not {reading.shorten(entry)}.")
    name = _name(entry.get("name"), where)
    where = f'{where} ("{name}")'
    kind = entry.get("kind", "emotion")
    if kind not in KINDS:
        raise MotionError(f"{where}: kind must be one of {', '.join(KINDS)}, not {reading.shorten(kind)}.")
    values, labels = MappingProxyType(_values(entry, where)), MappingProxyType(_labels(entry, where))
    return Expression(name, kind, values, labels, _aliases(entry, where))


def _name(name: Any, where: str) -> str:
    if not isinstance(name, str) or len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise MotionError(
            f"{where}: the name must be words that start with a letter, and have at most {_MAX_NAME} characters; "
            f"it is {reading.shorten(name)}."
        )
    for word in normal_name(name).split():
        if word in RESERVED or word in easing.NAMES:
            raise MotionError(f'{where}: the word "{word}" means something else in a script; choose another name.')
    return normal_name(name)


def _values(entry: Mapping[str, Any], where: str) -> dict[int, float]:
    clears, named = entry.get("clears", []), entry.get("values", {})
    if not isinstance(clears, list) or any(not isinstance(c, str) or c not in _CLEARS for c in clears):
        raise MotionError(f"{where}: clears must be a list of {', '.join(_CLEARS)}, not {reading.shorten(clears)}.")
    if not isinstance(named, dict):
        raise MotionError(f"{where}: values must be an object of parameter names and numbers.")
    values = {index: 0.0 for group in clears for index in _CLEARS[group]}
    for parameter, value in named.items():
        values.update(dict.fromkeys(pose.indices(parameter), check_value(parameter, value, where)))
    if not values:
        raise MotionError(f"{where} moves nothing: give values.")
    return values


def check_value(parameter: str, value: object, where: str) -> float:
    """A number for a named parameter, in its range. Raises MotionError or PoseError, naming `where`."""
    result = reading.number(value, f"{where}: {parameter}")
    wanted = pose.PARAMETERS[pose.indices(parameter)[0]]
    if not wanted.minimum <= result <= wanted.maximum:
        raise MotionError(f"{where}: {parameter} = {result:g} is outside {wanted.minimum:g} to {wanted.maximum:g}.")
    return result


def _labels(entry: Mapping[str, Any], where: str) -> dict[str, str]:
    labels = entry.get("labels", {})
    if not isinstance(labels, dict) or any(not isinstance(v, str) or len(v) > _MAX_NAME for v in labels.values()):
        raise MotionError(f"{where}: labels must be an object of languages and short texts.")
    return dict(labels)


def _aliases(entry: Mapping[str, Any], where: str) -> tuple[str, ...]:
    aliases = entry.get("aliases", [])
    if not isinstance(aliases, list) or any(not isinstance(a, str) or len(a) > _MAX_NAME for a in aliases):
        raise MotionError(f"{where}: aliases must be a list of short texts.")
    return tuple(aliases)


def normal_name(name: str) -> str:
    """A name as it is looked up: lower case, single spaces, `_` and `-` like spaces, full-width letters as others."""
    return " ".join(re.sub(r"[_\-\s]+", " ", unicodedata.normalize("NFKC", name)).lower().split())


def by_name(known: Library) -> dict[str, Expression]:
    """The expressions by all their names, as `normal_name` has them; a name goes before a label or an alias."""
    found = dict(known)
    for expression in known.values():
        for label in expression.labels.values():
            found.setdefault(normal_name(label), expression)
    for expression in known.values():
        for alias in expression.aliases:
            found.setdefault(normal_name(alias), expression)
    return found


def find(name: str, known: Library | None = None) -> Expression:
    """The expression of a name, of one of its labels in any language, or of an alias.

    Raises MotionError, with the nearest names, where there is none.
    """
    known = built_in() if known is None else known
    names = by_name(known)
    wanted = normal_name(name)
    if wanted not in names:
        hint = did_you_mean(wanted, names) or f" There are: {', '.join(known)}."
        raise MotionError(f'There is no expression "{name}".{hint}')
    return names[wanted]


def did_you_mean(wanted: str, names: Iterable[str]) -> str:
    """A hint at the nearest of the names, with a space before it; empty where none is near."""
    near = difflib.get_close_matches(wanted[:_MAX_NAME], names, n=3)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def to_pose(expression: Expression, strength: float = 1.0) -> Tensor:
    """The expression on a neutral face, float32 `[1, 45]`; strength 0..1 multiplies every number."""
    result = torch.zeros(1, pose.COUNT)
    for index, value in expression.values.items():
        result[0, index] = value * _check_strength(strength)
    return result


def apply(poses: Poses, expression: Expression, strength: float = 1.0) -> Poses:
    """Poses with the expression over them: what it speaks for goes towards it by strength 0..1, the rest stays."""
    values = poses.values.clone()
    columns = list(expression.values)
    wanted = torch.tensor([expression.values[i] for i in columns], device=values.device)
    values[:, columns] = values[:, columns] + (wanted - values[:, columns]) * _check_strength(strength)
    return Poses(pose.limit(values), poses.fps)


def blend(a: Expression, b: Expression, amount: float) -> Expression:
    """The expression `amount` 0..1 of the way from a to b; it speaks for what either speaks for."""
    t = _check_strength(amount)
    values = {i: _mix(a.values.get(i, 0.0), b.values.get(i, 0.0), t) for i in sorted({*a.values, *b.values})}
    return Expression(f"{a.name} to {b.name}", a.kind, MappingProxyType(values), MappingProxyType({}))


def _mix(a: float, b: float, t: float) -> float:
    return a + (b - a) * t


def _check_strength(strength: float) -> float:
    if not 0 <= strength <= 1:
        raise MotionError(f"The strength is {strength:g}; it must be from 0 to 1.")
    return float(strength)
