"""Images remembered by character and pose: made once, bounded, and never another's."""

import torch
from torch import Tensor

from tha4_core.picture.character import Character
from tha4_core.teacher.cache import Recent


class Maker:
    """Makes of `[n, 2]` the images `[n, 1]` that hold their sums, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[list[float]]] = []

    def __call__(self, poses: Tensor) -> Tensor:
        self.asked.append(poses.tolist())
        return poses.sum(dim=1, keepdim=True)


def _character() -> Character:
    return Character(torch.zeros(512, 512, 4, dtype=torch.uint8))


def _render(recent: Recent, character: Character, rows: list[list[float]], make: Maker, batch: int = 8) -> list[float]:
    poses = torch.tensor(rows, dtype=torch.float32)
    images = recent.render(character, poses, make, (1,), batch)
    assert torch.equal(images, poses.sum(dim=1, keepdim=True))
    return images.flatten().tolist()


def test_equal_poses_are_made_once_and_come_back_in_their_places() -> None:
    recent, make, character = Recent(4), Maker(), _character()
    assert _render(recent, character, [[1, 1], [2, 2], [1, 1], [3, 3]], make) == [2, 4, 2, 6]
    assert _render(recent, character, [[3, 3], [4, 4]], make) == [6, 8]
    assert make.asked == [[[1, 1], [2, 2], [3, 3]], [[4, 4]]]


def test_batches_are_no_larger_than_asked_and_more_poses_than_the_limit_all_come_back() -> None:
    recent, make, character = Recent(2), Maker(), _character()
    _render(recent, character, [[i, 0.5] for i in range(7)], make, batch=3)
    assert [len(asked) for asked in make.asked] == [3, 3, 1]


def test_the_pose_unused_longest_is_forgotten_first() -> None:
    recent, make, character = Recent(2), Maker(), _character()
    for pose in ([1, 0], [2, 0], [1, 0], [3, 0], [1, 0], [2, 0]):
        _render(recent, character, [pose], make)
    assert make.asked == [[[1, 0]], [[2, 0]], [[3, 0]], [[2, 0]]]


def test_characters_do_not_share_even_when_they_look_the_same() -> None:
    recent, make = Recent(8), Maker()
    for _ in range(3):  # a character that is gone may leave its id to the next one
        _render(recent, _character(), [[1, 0]], make)
    assert len(make.asked) == 3


def test_what_is_remembered_cannot_be_changed_from_outside() -> None:
    recent, make, character = Recent(8), Maker(), _character()
    poses = torch.tensor([[1.0, 2.0]])
    recent.render(character, poses, make, (1,), 1).zero_()
    assert recent.render(character, poses, make, (1,), 1).item() == 3


def test_clear_forgets() -> None:
    recent, make, character = Recent(8), Maker(), _character()
    _render(recent, character, [[1, 0]], make)
    recent.clear()
    _render(recent, character, [[1, 0]], make)
    assert len(make.asked) == 2
