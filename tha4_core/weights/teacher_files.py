"""Finding the five files of a teacher: on the disk, in a repository's listing, in an archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path, PurePath
from typing import TypeVar

from ..errors import MissingWeightsError, WeightsError
from .publications import PUBLICATIONS, THA3_NETWORKS, THA4_NETWORKS, THA4_TEACHER, Publication

AnyPath = TypeVar("AnyPath", bound=PurePath)
Files = dict[str, Path]  # network name -> file
Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]  # network name -> key -> shape
SUFFIXES = (".safetensors", ".pt")


def match_files(paths: Iterable[AnyPath], networks: Sequence[str]) -> dict[str, AnyPath]:
    """The file of each network, NETWORK.safetensors or NETWORK.pt, in the first folder that holds them all, or {}.

    The shallowest of several folders comes first. In a folder, five .safetensors come before five .pt, and both before
    some of each: the files of two sets may lie there.
    """
    folders: dict[PurePath, list[AnyPath]] = {}
    for path in sorted(paths, key=lambda path: (len(path.parts), str(path))):
        folders.setdefault(path.parent, []).append(path)
    for inside in folders.values():
        safetensors, pt = ({path.stem: path for path in inside if path.suffix.lower() == s} for s in SUFFIXES)
        for found in (safetensors, pt, {**pt, **safetensors}):
            if found.keys() >= set(networks):
                return {network: found[network] for network in networks}
    return {}


def what_is_missing(paths: Iterable[PurePath], networks: Sequence[str]) -> str:
    """The networks that none of `paths` is a file of, as a text."""
    names = {path.stem for path in paths if path.suffix.lower() in SUFFIXES}
    return ", ".join(name for name in networks if name not in names) or "folder with one file of each network"


def files_in(folder: Path, networks: Sequence[str]) -> Files:
    """The file of each network that lies in a folder; {} if one is missing.

    Raises WeightsError where the five of both systems lie there: three have the same names.
    """
    inside = _weights_in(folder)
    found = match_files(inside, networks)
    if found and all(match_files(inside, names) for names in (THA4_NETWORKS, THA3_NETWORKS)):
        raise WeightsError(
            f"{folder}: files of THA4 ({', '.join(THA4_NETWORKS)}) and of THA3 ({', '.join(THA3_NETWORKS)}) lie here "
            "together; three have the same names in both. Put the five of each into a folder of their own."
        )
    return found


def find_teacher_files(folders: Sequence[Path], publication: Publication = THA4_TEACHER) -> Files:
    """The files of a teacher in the first of the folders that has them all, or in folders inside it.

    A variant's are in its own folder there, or in one that has the variant's name. Raises MissingWeightsError, which
    says which are missing and how to get them, and WeightsError where two systems' files lie in one folder.
    """
    networks, own_folders = publication.networks, [publication.folder_in(folder) for folder in folders]
    for folder, own in zip(folders, own_folders, strict=True):
        for found in chain(_teachers(own, networks), _teachers(folder, networks, publication.variant)):
            return found
    raise _missing(own_folders, publication)


def find_any_teacher_files(folder: Path) -> Files:
    """The files of the teacher, of whichever publication, that lies in a folder or else in folders inside it.

    Raises MissingWeightsError where there is none, and WeightsError where there are several, equally deep.
    """
    publications = (THA4_TEACHER, PUBLICATIONS["THA3 standard"])
    found = [files for publication in publications for files in _teachers(folder, publication.networks)]
    if not found:
        names = {path.stem for path in _weights_in(folder)}
        raise _missing([folder], max(publications, key=lambda publication: len(names & set(publication.networks))))
    places = {next(iter(files.values())).parent: files for files in found}
    depth = min(len(place.parts) for place in places)
    shallowest = {place: files for place, files in places.items() if len(place.parts) == depth}
    if len(shallowest) > 1:
        listed = ", ".join(map(str, shallowest))
        raise WeightsError(f"{folder}: there are several teachers in it. Name the folder of one: {listed}.")
    return next(iter(shallowest.values()))


def _teachers(folder: Path, networks: Sequence[str], name: str = "") -> Iterator[Files]:
    """The teachers in a folder and in folders inside it, the shallowest first; with a name, in folders so named."""
    for place in chain([folder], sorted(folder.glob("*/")), sorted(folder.glob("*/*/"))):
        hidden = any(part == "__MACOSX" or part[0] == "." for part in place.relative_to(folder).parts)
        if name in ("", place.name) and not hidden and (found := files_in(place, networks)):
            yield found


def _weights_in(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if path.suffix.lower() in SUFFIXES and path.is_file()]


def _missing(folders: Sequence[Path], publication: Publication) -> MissingWeightsError:
    missing = what_is_missing([path for folder in folders for path in _weights_in(folder)], publication.networks)
    return MissingWeightsError(
        f"{publication.title}: {missing} not found in {', '.join(map(str, folders))}. Switch auto_download on to "
        f"download them, or name a hub repository that has them. {publication.by_hand(folders[0])}"
    )
