"""`python -m tha4_core.weights pack FOLDER OUT`: a folder ready for the hub.

It holds the five files as .safetensors, a model card, and their checksums.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import THA4Error, WeightsError
from ..teacher.pipeline import Teacher
from .folders import sha256_of
from .publications import THA4_TEACHER
from .teacher_files import Shapes, convert_file, find_teacher_files

CARD = """---
license: cc-by-nc-4.0
library_name: tha4
pipeline_tag: image-to-image
tags:
- anime
- talking-head
- arxiv:2311.17409
---
# Talking Head(?) Anime 4: the teacher

The five networks of THA4's teacher, converted key by key from the files that their author published. The numbers are
the same; only the format is another (`.safetensors` instead of `.pt`).

- **Author and source**: Pramook Khungurn, <{link}>
- **Licence**: [CC BY-NC 4.0](https://creativecommons.org/licenses/by-nc/4.0/): give the author credit; non-commercial
  use only.
- **Paper**: P. Khungurn, "Talking Head(?) Anime from a Single Image 4: Improved Model and Its Distillation", WACV 2025,
  [arXiv 2311.17409]({paper}).

| file | bytes | sha256 |
| --- | --- | --- |
{table}

`sha256sum -c SHA256SUMS` checks them.
"""


def pack(folder: Path, out: Path, shapes: Shapes) -> None:
    """Write the teacher found in `folder` to the new folder `out`: .safetensors, README.md, SHA256SUMS.

    `shapes` (network name -> key -> shape) is what the files are checked against. Raises THA4Error; `out` then is as it
    was.
    """
    if out.is_dir() and any(out.iterdir()):
        raise WeightsError(f"{out}: this folder is not empty. Name a new one.")
    files = find_teacher_files([folder])
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
        stage = Path(temporary) / out.name
        stage.mkdir()
        for network, path in files.items():
            convert_file(path, stage / f"{network}.safetensors", shapes[network], str(path), THA4_TEACHER.metadata())
        _write_card(stage)
        if out.is_dir():
            out.rmdir()
        stage.rename(out)


def _write_card(folder: Path) -> None:
    packed = sorted(folder.glob("*.safetensors"))
    sums = {path: sha256_of(path) for path in packed}
    table = "\n".join(f"| {path.name} | {path.stat().st_size} | `{sha256}` |" for path, sha256 in sums.items())
    card = CARD.format(link=THA4_TEACHER.link, paper=THA4_TEACHER.paper, table=table)
    (folder / "README.md").write_text(card, "utf-8")
    (folder / "SHA256SUMS").write_text("".join(f"{sha256}  {path.name}\n" for path, sha256 in sums.items()), "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 0, or 1 after an error that is told on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tha4_core.weights", description=__doc__)
    command = parser.add_subparsers(required=True).add_parser("pack", help="make a folder to upload to a model hub")
    command.add_argument("folder", type=Path, help="where the five files lie, .safetensors or .pt")
    command.add_argument("out", type=Path, help="the folder to make")
    given = parser.parse_args(arguments)
    try:
        pack(given.folder, given.out, Teacher.shapes())
    except THA4Error as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"Ready: {given.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
