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
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, TypeVar

from ..errors import MissingWeightsError, WeightsError
from .folders import check_room, locked, read_json, size_of, write_json
from .progress import Progress, ProgressCallback, no_progress
from .publications import PUBLICATIONS, THA3_NETWORKS, THA4_NETWORKS, THA4_TEACHER, Publication
from .state_dict import StateDict, check_state_dict, read_state_dict, write_safetensors

logger = logging.getLogger(__name__)
AnyPath = TypeVar("AnyPath", bound=PurePath)
Files = dict[str, Path]  # network name -> file
NetworkShapes = Mapping[str, tuple[int, ...]]  # key -> shape
Shapes = Mapping[str, NetworkShapes]  # network name -> key -> shape
Archives = Mapping[str, dict[str, Any]]  # address -> the sha256 that its first download had
MANIFEST = "teacher.json"
SUFFIXES = (".safetensors", ".pt")


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
    networks, own_folders = publication.networks, [publication.folder_in(folder) for folder in folders]
    for folder, own in zip(folders, own_folders, strict=True):
        found = (
            _put_by_hand(own, networks)
            or installed_files(own, networks)
            or next(iter(_teachers_below(own, networks)), {})
            or next(iter(_teachers_below(folder, networks, publication.variant)), {})
        )
        if found:
            return _converted(found, own_folders) or found
    raise MissingWeightsError(_missing(own_folders, publication))


def find_any_teacher_files(folder: Path) -> Files:
    """The files of the one teacher, of whichever publication, that lies in a folder or else in folders inside it.

    Raises MissingWeightsError where there is none, and WeightsError where there are several.
    """
    publications = (THA4_TEACHER, PUBLICATIONS["THA3 standard"])
    for find in (_put_by_hand, installed_files):
        for publication in publications:
            if found := find(folder, publication.networks):
                return found
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
    reports = Progress(progress, "Waiting for another conversion to end")
    with locked(folder, reports.advance):
        if done := _converted(files, [folder]):
            return done
        check_room(folder, float32_size(shapes.values()))
        named = [(network, path, str(path)) for network, path in files.items()]
        return install(folder, named, shapes, _identity(files), reports)


def convert_file(path: Path, out: Path, shapes: NetworkShapes, source: str, metadata: Mapping[str, str]) -> None:
    """Check the keys, shapes and numbers of a file, named `source` in errors, and write them as .safetensors.

    `metadata` is written into the file (its licence, say). Raises WeightsError.
    """
    state_dict = read_named(path, source)
    check_state_dict(state_dict, shapes, source)
    own = {key: value.clone() for key, value in state_dict.items()}  # .safetensors knows no shared storages
    write_safetensors(out, own, metadata)


def read_named(path: Path, source: str) -> StateDict:
    """`read_state_dict` of a temporary file, named `source` in errors."""
    try:
        return read_state_dict(path)
    except WeightsError as error:
        raise WeightsError(str(error).replace(str(path), source)) from error


def float32_size(networks: Iterable[NetworkShapes]) -> int:
    """The bytes of networks in float32."""
    return sum(4 * math.prod(shape) for network in networks for shape in network.values())


def install(
    folder: Path,
    files: Iterable[tuple[str, Path, str]],
    shapes: Shapes,
    source: str,
    progress: Progress,
    metadata: Mapping[str, str] | None = None,
    archives: Archives | None = None,
) -> Files:
    """Convert five files and make them those of `folder` (which is locked), in place of the five that were there.

    Each file is a network's name, a path, and its name in errors. `source` says where they are from; `archives` are
    noted. Raises WeightsError; `folder` then is as it was.
    """
    stage, old, new = folder / ".staging", _installed_folder(folder), folder / f"set-{uuid.uuid4().hex[:8]}"
    manifest = {"folder": new.name, "source": source, "archives": {**read_archives(folder), **(archives or {})}}
    shutil.rmtree(stage, ignore_errors=True)  # what a crash left
    stage.mkdir()
    try:
        for network, path, name in files:
            progress.start(f"Checking and converting {name}")
            convert_file(path, stage / f"{network}.safetensors", shapes[network], name, metadata or {})
        os.rename(stage, new)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    write_json(folder / MANIFEST, {**manifest, "files": _sizes(new, shapes)})
    if old:
        shutil.rmtree(old, ignore_errors=True)
    logger.info("%s: the weights are in place (from %s).", new, source)
    return {network: new / f"{network}.safetensors" for network in shapes}


def installed_files(folder: Path, networks: Collection[str], sources: Collection[str] = ()) -> Files:
    """The files that `teacher.json` in a folder names; empty where there are none or one of them is not whole.

    With `sources`: only where they are from one of these.
    """
    manifest, own = read_json(folder / MANIFEST), _installed_folder(folder)
    if own is None or manifest.get("files") != _sizes(own, networks):
        return {}
    if sources and str(manifest.get("source")) not in sources:
        return {}
    return {network: own / f"{network}.safetensors" for network in networks}


def read_archives(folder: Path) -> Archives:
    """The archives that were downloaded into a folder."""
    found = read_json(folder / MANIFEST).get("archives")
    return {url: facts for url, facts in found.items() if isinstance(facts, dict)} if isinstance(found, dict) else {}


def _missing(folders: Sequence[Path], publication: Publication) -> str:
    first = folders[0] if folders else publication.folder_in(Path("models"))
    names = [path.stem for folder in folders for path in _weights_in(folder)]
    missing = [name for name in publication.networks if name not in names]
    return (
        f"{publication.title}: {', '.join(missing) or 'five files in one folder'} not found in "
        f"{', '.join(map(str, folders))}. Switch auto_download on to download them, or name a hub repository that has "
        f"them. {publication.by_hand(first)}"
    )


def _put_by_hand(folder: Path, networks: Sequence[str]) -> Files:
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
    """The file of each network; a name that occurs twice with one suffix is none."""
    counts = Counter((path.stem, path.suffix.lower()) for path in paths)
    once = [path for path in paths if path.stem in networks and counts[path.stem, path.suffix.lower()] == 1]
    safetensors, pt = ({path.stem: path for path in once if path.suffix.lower() == suffix} for suffix in SUFFIXES)
    return next((found for found in (safetensors, pt, {**pt, **safetensors}) if found.keys() == set(networks)), {})


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


def _converted(files: Files, folders: Sequence[Path]) -> Files:
    """The installed copies in one of the folders that were made from these very files; empty if there are none."""
    copies = (installed_files(folder, files.keys(), [_identity(files)]) for folder in folders)
    return next(filter(None, copies), {})


def _identity(files: Files) -> str:
    """Changes whenever one of the files does."""
    stats = {name: path.stat() for name, path in sorted(files.items())}
    return "; ".join(f"{files[name].resolve()} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats.items())


def _installed_folder(folder: Path) -> Path | None:
    """The folder that `teacher.json` names, if the name is one that `install` gives: it may be removed."""
    name = read_json(folder / MANIFEST).get("folder")
    return folder / name if isinstance(name, str) and re.fullmatch(r"set-\w+", name) else None


def _sizes(folder: Path, networks: Iterable[str]) -> dict[str, dict[str, int]]:
    """The bytes of each network's file, as `teacher.json` has them."""
    return {network: {"size": size_of(folder / f"{network}.safetensors")} for network in networks}
