"""A cache of images by character and pose."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..picture.character import Character


class ImageCache:
    """The `limit` images that were used last, by character (the object) and the numbers of the pose."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # The character is kept with its image, so that no other can take its id while the entry lives.
        self._entries: OrderedDict[tuple[int, bytes], tuple[Character, Tensor]] = OrderedDict()

    def render(
        self,
        character: Character,
        poses: Tensor,
        make: Callable[[Tensor], Tensor],
        shape: Sequence[int],
        batch: int,
    ) -> Tensor:
        """Images float32 `[N, *shape]` of `poses` `[N, P]`, on the device of `poses`.

        `make` turns `[n, P]` into `[n, *shape]` and is called with at most `batch` poses at once: with each distinct
        pose once, and with none that is cached.
        """
        result = torch.empty(len(poses), *shape, device=poses.device)
        missing = []
        for key, rows in _rows(poses).items():
            entry = self._entries.get((id(character), key))
            if entry is None:
                missing.append((key, rows))
            else:
                result[rows] = entry[1].to(result.device)
                self._entries.move_to_end((id(character), key))
        for start in range(0, len(missing), batch):
            some = missing[start : start + batch]
            made = make(poses[[rows[0] for _, rows in some]])
            for (key, rows), image in zip(some, made, strict=True):
                result[rows] = image
                self._keep(character, key, image)
        return result

    def clear(self) -> None:
        """Empty the cache."""
        self._entries.clear()

    def _keep(self, character: Character, key: bytes, image: Tensor) -> None:
        # A copy, because a view would keep its whole batch alive.
        self._entries[id(character), key] = (character, image.clone())
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)


def _rows(poses: Tensor) -> dict[bytes, list[int]]:
    """The rows of every distinct pose of `[N, P]`."""
    rows: dict[bytes, list[int]] = {}
    for row, numbers in enumerate(poses.cpu().numpy()):
        rows.setdefault(numbers.tobytes(), []).append(row)
    return rows
