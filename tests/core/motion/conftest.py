"""Property tests without a clock (a busy machine is not a failure), and files broken in a thousand ways."""

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

settings.register_profile("motion", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("motion")

NASTY = [
    b"",
    b"\x00",
    b"\xff" * 8,
    b"nan",
    b"inf",
    b"1e999",
    b"-",
    b"9" * 400,
    b"{",
    b"[",
    b'"',
    b",",
    b"|",
    b"&",
    b"\n",
]
Mutations = Callable[[bytes], Iterator[bytes]]


@pytest.fixture
def mutations() -> Mutations:
    """1,000 ways to break a file: cut, bytes flipped, pieces dropped, doubled, swapped or replaced by nasty ones."""

    def broken(content: bytes) -> Iterator[bytes]:
        for seed in range(1000):
            yield _break(content, random.Random(seed))

    return broken


def _break(content: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.randint(1, 4)):
        start, end = sorted(dice.randint(0, len(content)) for _ in range(2))
        short = min(end, start + dice.randint(1, 12))
        content = dice.choice(
            [
                content[:start],
                content[:start] + content[end:],
                content[:start] + content[start:end] * 2 + content[end:],
                content[:start] + dice.choice(NASTY) + content[short:],
                content[:start] + bytes(dice.randrange(256) for _ in range(short - start)) + content[short:],
                content[:start] + bytes(b ^ (1 << dice.randrange(8)) for b in content[start:short]) + content[short:],
            ]
        )
    return content
