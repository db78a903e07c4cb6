"""Images cached by character and pose: made once, bounded, and never another's."""

import torch
from torch import Tensor

from tha4_core.picture.character import Character
from tha4_core.teacher.cache import ImageCache


class Maker:
    """Makes of `[n, 2]` the images `[n, 1]` that hold their sums, and notes every request."""

    def __init__(self) -> None:
        self.requests: list[list[list[float]]] = []

    def __call__(self, poses: Tensor) -> Tensor:
        self.requests.append(poses.tolist())
        return poses.sum(dim=1, keepdim=True)


def _character() -> Character:
    return Character(torch.zeros(512, 512, 4, dtype=torch.uint8))


def _render(
    cache: ImageCache, character: Character, rows: list[list[float]], make: Maker, batch: int = 8
) -> list[float]:
    poses = torch.tensor(rows, dtype=torch.float32)
    images = cache.render(character, poses, make, (1,), batch)
    assert torch.equal(images, poses.sum(dim=1, keepdim=True))
    return images.flatten().tolist()


def test_equal_poses_are_made_once_and_come_back_in_their_places() -> None:
    cache, make, character = ImageCache(4), Maker(), _character()
    assert _render(cache, character, [[1, 1], [2, 2], [1, 1], [3, 3]], make) == [2, 4, 2, 6]
    assert _render(cache, character, [[3, 3], [4, 4]], make) == [6, 8]
    assert make.requests == [[[1, 1], [2, 2], [3, 3]], [[4, 4]]]


def test_batches_are_no_larger_than_wanted_and_more_poses_than_the_limit_all_come_back() -> None:
    cache, make, character = ImageCache(2), Maker(), _character()
    _render(cache, character, [[i, 0.5] for i in range(7)], make, batch=3)
    assert [len(request) for request in make.requests] == [3, 3, 1]


def test_the_least_recently_used_pose_is_dropped_first() -> None:
    cache, make, character = ImageCache(2), Maker(), _character()
    for pose in ([1, 0], [2, 0], [1, 0], [3, 0], [1, 0], [2, 0]):
        _render(cache, character, [pose], make)
    assert make.requests == [[[1, 0]], [[2, 0]], [[3, 0]], [[2, 0]]]


def test_characters_do_not_share_even_when_they_look_the_same() -> None:
    cache, make = ImageCache(8), Maker()
    for _ in range(3):  # a character that is gone may leave its id to the next one
        _render(cache, _character(), [[1, 0]], make)
    assert len(make.requests) == 3


def test_what_is_cached_cannot_be_changed_from_outside() -> None:
    cache, make, character = ImageCache(8), Maker(), _character()
    poses = torch.tensor([[1.0, 2.0]])
    cache.render(character, poses, make, (1,), 1).zero_()
    assert cache.render(character, poses, make, (1,), 1).item() == 3


def test_clear_empties_the_cache() -> None:
    cache, make, character = ImageCache(8), Maker(), _character()
    _render(cache, character, [[1, 0]], make)
    cache.clear()
    _render(cache, character, [[1, 0]], make)
    assert len(make.requests) == 2
