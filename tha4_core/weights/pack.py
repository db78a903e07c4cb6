"""A folder ready for the hub: the five files as .safetensors, a model card, and their checksums."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import THA4Error, WeightsError
from .folders import sha256_of
from .publications import THA4_TEACHER, Publication
from .state_dict import read_state_dict
from .teacher_files import Files, Shapes, convert_file, find_teacher_files

Say = Callable[[str], object]
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


def pack(folder: Path, out: Path, shapes: Shapes | None = None, say: Say = lambda line: None) -> None:
    """Write the teacher found in `folder` to the new folder `out`: .safetensors, README.md, SHA256SUMS.

    `shapes` (network name -> key -> shape): what to check the files against; None: only that they are tensors, finite.
    `say` gets a line for each step. Raises THA4Error; `out` then is as it was.
    """
    if out.is_dir() and any(out.iterdir()):
        raise WeightsError(f"{out}: this folder is not empty. Name a new one.")
    files = find_teacher_files([folder])
    out.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        _fill(stage, files, shapes, THA4_TEACHER, say)
        if out.is_dir():
            out.rmdir()
        os.rename(stage, out)
        out.chmod(0o755)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    say(f"Ready: {out}")


def _fill(stage: Path, files: Files, shapes: Shapes | None, publication: Publication, say: Say) -> None:
    notes = {"licence": publication.licence, "source": publication.link, "paper": publication.paper}
    sums = {}
    for network, path in sorted(files.items()):
        say(f"Checking and converting {path}")
        packed = stage / f"{network}.safetensors"
        expected = shapes[network] if shapes else {key: tuple(t.shape) for key, t in read_state_dict(path).items()}
        convert_file(path, packed, expected, str(path), notes)
        sums[packed.name] = sha256_of(packed)
    rows = [f"| {name} | {(stage / name).stat().st_size} | `{digest}` |" for name, digest in sums.items()]
    card = CARD.format(link=publication.link, paper=publication.paper, table="\n".join(rows))
    (stage / "README.md").write_text(card, "utf-8")
    (stage / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()), "utf-8")


def main(arguments: Sequence[str], shapes: Shapes | None = None) -> int:
    """The command `pack FOLDER OUT`. Returns the exit status: 0, or 1 after an error that is told on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tha4_core.weights", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("pack", help="make a folder that can be uploaded to a model hub as it is")
    command.add_argument("folder", type=Path, help="where the five files lie, .safetensors or .pt")
    command.add_argument("out", type=Path, help="the folder to make")
    given = parser.parse_args(arguments)
    try:
        pack(given.folder, given.out, shapes, lambda line: sys.stdout.write(f"{line}\n"))
    except THA4Error as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
