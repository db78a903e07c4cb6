"""The timing rule of a script: a parameter begins to move at the time that its line says, and then keeps still.

A track collects the moves of one parameter and makes its keys. A move begins at its start and takes
TRANSITION_SECONDS, or less where the parameter's next move begins sooner, or as long as was written. At 0 s it takes
no time: so a motion starts with what is written for 0. A move with the easing `spline` without a written length is a
key of a smooth curve: the parameter is there at its start, on its way since the track's last key.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from .easing import SPLINE, ease
from .keyframes import DEFAULT_EASING, Key

TRANSITION_SECONDS = 0.4
"""How long a move takes at most where no length is written: about as long as an expression takes to come on a face."""

_JUMP = "step-end"
_JUMPS = ("step-start", "step-end")


class Move(NamedTuple):
    """From `start` on, in seconds, to `value`, in `longest` seconds or in less where something comes between.

    `timed` says that its length was written, `through` that it is a key of a smooth curve. Until `still` the
    parameter keeps still.
    """

    start: float
    value: float
    easing: str
    longest: float
    timed: bool
    through: bool
    still: float

    @property
    def end(self) -> float:
        """When it is over where nothing comes between."""
        return self.start + self.longest


@dataclass
class Track:
    """The moves of one parameter in order of their starts; it is 0 before them.

    `value` is where the parameter is once all of them are over, at `end` in seconds; it keeps still until `still`.
    """

    moves: list[Move] = field(default_factory=list)
    value: float = 0.0
    end: float = 0.0
    still: float = 0.0

    def add(self, start: float, value: float, easing: str, seconds: float | None = None) -> None:
        """Go to a value from `start` on, within `seconds` where given. What was to begin after `start` gives way."""
        timed = seconds is not None
        through = easing == SPLINE and not timed
        if seconds is None:
            seconds = 0.0 if start == 0 or through or easing in _JUMPS else TRANSITION_SECONDS
        if value == self.value and self.end <= start + seconds and not through:
            self.rest(start)
            return
        while self.moves and self.moves[-1].start > start:
            self.moves.pop()
        self.moves.append(Move(start, value, easing, seconds, timed, through, self.still))
        self.value, self.end, self.still = value, start + seconds, 0.0

    def rest(self, until: float) -> None:
        """Keep still until a time, if all moves are over by then."""
        if self.end <= until:
            self.still = until

    def keys(self, loop: float | None = None) -> tuple[Key, ...]:
        """The keys of these moves. In a loop of `loop` seconds the parameter is back at its first value by its end."""
        moves = _fit(self.moves, loop) if loop is not None else self.moves
        keys = [Key(0.0, 0.0)]
        for move, following in itertools.zip_longest(moves, moves[1:]):
            _append(keys, move, following)
        if loop is not None and moves and not moves[-1].through and keys[-1].value != keys[0].value:
            _keep_still(keys, loop - TRANSITION_SECONDS)
        return tuple(keys)


def _fit(moves: list[Move], loop: float) -> list[Move]:
    """The moves with the last one over by the loop's end; where the parameter must then go back, half way there."""
    last = moves[-1] if moves else None
    if last is None or last.timed or last.through or last.end <= loop:
        return moves
    before = [move for move in moves[:-1] if move.start < min(last.start, loop)]
    first = next((move.value for move in reversed(before) if move.end == 0), 0.0)
    if last.value != first:
        return [*before, last._replace(longest=(loop - last.start) / 2)]
    start = max(loop - TRANSITION_SECONDS, (before[-1].start + loop) / 2 if before else 0.0)
    return [*before, last._replace(start=start, longest=loop - start)]


def _append(keys: list[Key], move: Move, following: Move | None) -> None:
    """Add the keys of a move to those of the moves before it."""
    until = math.inf if following is None else following.start
    if move.through:
        _keep_still(keys, move.still)
        _put(keys, Key(move.start, move.value, move.easing))
        return
    if until == move.start > 0 and not move.timed:
        return  # another line of the same time takes its place
    seconds = move.longest
    if following is not None and until < move.end and not move.timed:
        seconds = (until - move.start) / (2 if following.through else 1)
    if seconds <= 0:
        _jump(keys, move)
    else:
        _go(keys, move, seconds, until)


def _go(keys: list[Key], move: Move, seconds: float, until: float) -> None:
    _keep_still(keys, move.start)
    end, value = move.start + seconds, move.value
    if end > until:  # a later line takes over from wherever the parameter is then
        easing = DEFAULT_EASING if move.easing == SPLINE else move.easing
        done = float(ease(easing, np.array((until - move.start) / seconds)))
        end, value = until, keys[-1].value + (value - keys[-1].value) * done
    if end > keys[-1].time:
        keys.append(Key(end, value, move.easing))


def _jump(keys: list[Key], move: Move) -> None:
    last = keys[-1]
    if last.time == move.start > 0 and last.easing != _JUMP:
        # What arrives at this very moment arrives just before it, so that at this moment the jump is done.
        keys[-1] = replace(last, time=math.nextafter(last.time, 0.0))
    _put(keys, Key(move.start, move.value, _JUMP if move.start > 0 else move.easing))


def _put(keys: list[Key], key: Key) -> None:
    if keys[-1].time >= key.time:
        keys.pop()
    keys.append(key)


def _keep_still(keys: list[Key], until: float) -> None:
    if until > keys[-1].time:
        keys.append(Key(until, keys[-1].value))
