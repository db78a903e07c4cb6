"""The five files of a teacher: finding them, converting them, and replacing five installed files by five others.

Files that were downloaded or converted are *installed*: they lie in a folder of their own, and `teacher.json` beside
it, replaced last and in one step, names that folder. So a reader finds the old five or the new five and never some of
each, wherever a writer stopped.
"""

from __future__ import annotations

import logging
import math
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypeVar

from safetensors import SafetensorError

from ..errors import DownloadError, MissingWeightsError, WeightsError
from .folders import check_room, locked, read_json, size_of, staging, write_json
from .progress import ProgressCallback, ProgressReporter, no_progress
from .publications import PUBLICATIONS, THA3_NETWORKS, THA4_NETWORKS, THA4_TEACHER, Publication
from .state_dict import StateDict, check_state_dict, read_state_dict, write_safetensors

logger = logging.getLogger(__name__)
AnyPath = TypeVar("AnyPath", bound=PurePath)
Files = dict[str, Path]  # network name -> file
Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]  # network name -> key -> shape
MANIFEST = "teacher.json"
SUFFIXES = (".safetensors", ".pt")


@dataclass(frozen=True)
class Installed:
    """Five files that were downloaded or converted, and where they are from."""

    files: Files
    source: str


def match_files(paths: Iterable[AnyPath], networks: Sequence[str], within: str = "") -> dict[str, AnyPath]:
    """The file of each network among `paths`, named NETWORK.safetensors or NETWORK.pt; empty if one is missing.

    A folder that holds them all comes first, the shallowest of several; `within` narrows that to folders so named (the
    variants of a publication). Else each name must occur once. In a folder .safetensors come before .pt.
    """
    paths = [path for path in paths if not within or within in path.parts[:-1]]
    for folder in sorted({path.parent for path in paths}, key=lambda folder: (len(folder.parts), str(folder))):
        if found := _one_of_each([path for path in paths if path.parent == folder], networks):
            return found
    return _one_of_each(paths, networks)


def find_teacher_files(folders: Sequence[Path], publication: Publication = THA4_TEACHER) -> Files:
    """The files of a teacher in the first of the folders that has them all; their converted copies where there are any.

    In each folder (or a variant's own folder in it): files put there by hand, then installed ones, then folders inside
    it (an unpacked archive; a variant's must have its name). Raises MissingWeightsError, which says which are missing
    and how to get them, and WeightsError where two systems' files lie in one folder.
    """
    own_folders = [publication.folder_in(folder) for folder in folders]
    for folder, own in zip(folders, own_folders, strict=True):
        if by_hand := _files_in(own, publication.networks):
            return _converted(by_hand, own_folders) or by_hand
        if installed := read_installed(own, publication.networks):
            return installed.files
        if below := _teachers_below(own, publication.networks) or _teachers_below(
            folder, publication.networks, publication.variant
        ):
            return _converted(below[0], own_folders) or below[0]
    raise MissingWeightsError(_missing(own_folders, publication))


def find_any_teacher_files(folder: Path) -> Files:
    """The files of the one teacher, of whichever publication, that lies in a folder or else in folders inside it.

    Raises MissingWeightsError where there is none, and WeightsError where there are several.
    """
    publications = (THA4_TEACHER, PUBLICATIONS["THA3 standard"])
    for publication in publications:
        if found := _files_in(folder, publication.networks):
            return found
    for publication in publications:
        if installed := read_installed(folder, publication.networks):
            return installed.files
    below = [found for publication in publications for found in _teachers_below(folder, publication.networks)]
    if not below:
        names = {path.stem for path in _weights_in(folder)}
        nearest = max(publications, key=lambda publication: len(names & set(publication.networks)))
        raise MissingWeightsError(_missing([folder], nearest))
    if len(below) > 1:
        places = ", ".join(str(next(iter(found.values())).parent) for found in below)
        raise WeightsError(f"{folder}: there are several teachers in it. Name the folder of one: {places}.")
    return below[0]


def convert_teacher_files(
    files: Files, folder: Path, shapes: Shapes, progress: ProgressCallback = no_progress
) -> Files:
    """The same files as .safetensors, checked key by key, made once and kept in `folder`; `files` if they are such.

    Raises WeightsError naming the file at fault, and DownloadError where the disk is full; `folder` stays as it was.
    """
    if all(path.suffix.lower() == ".safetensors" for path in files.values()):
        return files
    reporter = ProgressReporter(progress, "Waiting for another conversion to end")
    with locked(folder, reporter.advance):
        if done := _converted(files, [folder]):
            return done
        check_room(folder, converted_size(shapes))
        with staging(folder) as stage:
            for name, path in files.items():
                reporter.start(f"Checking and converting {path.name}")
                convert_file(path, stage / f"{name}.safetensors", shapes[name], str(path), {})
            return install(folder, stage, _identity(files))


def convert_file(
    path: Path, out: Path, shapes: Mapping[str, tuple[int, ...]], source: str, metadata: dict[str, str]
) -> None:
    """Check the keys, shapes and numbers of a file, named `source` in errors, and write them as .safetensors.

    `metadata` is written into the file (its licence, say). Raises WeightsError.
    """
    state_dict = read_named(path, source)
    check_state_dict(state_dict, shapes, source)
    own = {key: value.clone() for key, value in state_dict.items()}  # .safetensors knows no shared storages
    try:
        write_safetensors(out, own, metadata)
    except SafetensorError as error:
        raise DownloadError(
            f"{out.parent.parent}: cannot be written to ({error}). Free some space, try again."
        ) from error


def read_named(path: Path, source: str) -> StateDict:
    """`read_state_dict` of a temporary file, named `source` in errors."""
    try:
        return read_state_dict(path)
    except WeightsError as error:
        raise WeightsError(str(error).replace(str(path), source)) from error


def converted_size(shapes: Shapes) -> int:
    """The bytes of all networks in float32."""
    return sum(network_size(network) for network in shapes.values())


def network_size(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """The bytes of one network in float32."""
    return sum(4 * math.prod(shape) for shape in shapes.values())


def install(folder: Path, stage: Path, source: str, archive: Mapping[str, dict[str, Any]] | None = None) -> Files:
    """Make the five files in `stage` those of `folder` (which is locked) and remove the five that they replace.

    `source` says where they are from; `archive` has the size and sha256 of an archive by its address.
    """
    old = _installed_folder(folder)
    archives = {**read_archives(folder), **(archive or {})}
    sizes = {path.stem: {"size": size_of(path)} for path in sorted(stage.glob("*.safetensors"))}
    new = folder / f"set-{stage.name.rpartition('-')[2]}"
    os.rename(stage, new)
    write_json(folder / MANIFEST, {"folder": new.name, "source": source, "files": sizes, "archives": archives})
    if old:
        shutil.rmtree(old, ignore_errors=True)
    logger.info("%s: the weights are in place (from %s).", new, source)
    return {network: new / f"{network}.safetensors" for network in sizes}


def read_installed(folder: Path, networks: Sequence[str]) -> Installed | None:
    """The files that `teacher.json` in a folder names; None where there are none or one of them is not whole."""
    manifest, own = read_json(folder / MANIFEST), _installed_folder(folder)
    facts = _objects(manifest.get("files"))
    if own is None or not set(networks) <= set(facts):
        return None
    files = {network: own / f"{network}.safetensors" for network in networks}
    if any(not path.is_file() or size_of(path) != facts[name].get("size") for name, path in files.items()):
        return None
    return Installed(files, str(manifest.get("source")))


def read_archives(folder: Path) -> dict[str, dict[str, Any]]:
    """The size and sha256 of each archive (by its address) when it was first downloaded into a folder."""
    return _objects(read_json(folder / MANIFEST).get("archives"))


def _missing(folders: Sequence[Path], publication: Publication) -> str:
    first = folders[0] if folders else publication.folder_in(Path("models"))
    names = [path.stem for folder in folders for path in _weights_in(folder)]
    missing = [name for name in publication.networks if name not in names]
    return (
        f"{publication.title}: {', '.join(missing) or 'five files in one folder'} not found in "
        f"{', '.join(map(str, folders))}. Switch auto_download on to download them, or name a hub repository that has "
        f"them. {publication.by_hand(first)}"
    )


def _files_in(folder: Path, networks: Sequence[str]) -> Files:
    files = _weights_in(folder)
    found = match_files(files, networks)
    others = [names for names in (THA4_NETWORKS, THA3_NETWORKS) if names != networks and match_files(files, names)]
    if found and others:
        raise WeightsError(
            f"{folder}: files of THA4 ({', '.join(THA4_NETWORKS)}) and of THA3 ({', '.join(THA3_NETWORKS)}) lie here "
            "together; three have the same names in both. Put the five of each into a folder of their own."
        )
    return found


def _one_of_each(paths: Sequence[AnyPath], networks: Sequence[str]) -> dict[str, AnyPath]:
    safetensors, pt = (_unique(paths, networks, suffix) for suffix in SUFFIXES)
    for found in (safetensors, pt, {**pt, **safetensors}):
        if found.keys() == set(networks):
            return found
    return {}


def _unique(paths: Sequence[AnyPath], networks: Sequence[str], suffix: str) -> dict[str, AnyPath]:
    wanted = [path for path in paths if path.suffix.lower() == suffix and path.stem in networks]
    counts = Counter(path.stem for path in wanted)
    return {path.stem: path for path in wanted if counts[path.stem] == 1}


def _weights_in(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.suffix.lower() in SUFFIXES and path.is_file())


def _teachers_below(folder: Path, networks: Sequence[str], name: str = "") -> list[Files]:
    """The teachers in folders (of a given name) inside a folder and inside these, the shallowest first."""
    visible = [
        below
        for pattern in ("*/", "*/*/")
        for below in sorted(folder.glob(pattern))
        if name in ("", below.name)
        and not any(part == "__MACOSX" or part[0] == "." for part in below.relative_to(folder).parts)
    ]
    return [found for below in visible if (found := match_files(_weights_in(below), networks))]


def _converted(files: Files, folders: Sequence[Path]) -> Files | None:
    """The installed copies in one of the folders that were made from these very files."""
    identity = _identity(files)
    installed = [read_installed(folder, sorted(files)) for folder in folders]
    return next((own.files for own in installed if own and own.source == identity), None)


def _identity(files: Files) -> str:
    """Changes whenever one of the files does."""
    stats = {name: path.stat() for name, path in sorted(files.items())}
    return "; ".join(f"{files[name].resolve()} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats.items())


def _installed_folder(folder: Path) -> Path | None:
    """The folder that `teacher.json` names, if the name is one that `install` gives: it may be removed."""
    name = read_json(folder / MANIFEST).get("folder")
    return folder / name if isinstance(name, str) and re.fullmatch(r"set-\w+", name) else None


def _objects(found: object) -> dict[str, dict[str, Any]]:
    return {key: value for key, value in found.items() if isinstance(value, dict)} if isinstance(found, dict) else {}
