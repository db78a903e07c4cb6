"""The files of a teacher: which they are, where they lie, and how five of them take the place of five others at once.

A *set* is one file for each network. Sets that were fetched or converted lie in a folder of their own, and
`teacher.json` beside it, replaced last and in one step, says which folder that is. So a reader finds the old five or
the new five and never some of each, wherever a writer stopped.
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
from . import StateDict, check_state_dict, read_state_dict, write_safetensors
from .files import locked, read_json, size_of, staging, write_json
from .transfer import Meter, Progress, check_room, megabytes, sha256_of, silent

logger = logging.getLogger(__name__)
AnyPath = TypeVar("AnyPath", bound=PurePath)
Files = dict[str, Path]  # network name -> file
Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]  # network name -> key -> shape
MANIFEST = "teacher.json"


THA4_NETWORKS = ("body_morpher", "eyebrow_decomposer", "eyebrow_morphing_combiner", "face_morpher", "upscaler")
THA3_NETWORKS = (
    "editor",
    "eyebrow_decomposer",
    "eyebrow_morphing_combiner",
    "face_morpher",
    "two_algo_face_body_rotator",
)


@dataclass(frozen=True)
class Publication:
    """What is published: a title, the names of its files, licence, a page or link, size of the download in bytes.

    `architecture` is what its networks are built as. One of several publications in a repository also has a `variant`,
    the name of its folder there, and `repositories`, the copies on the hub in the order in which they are asked.
    """

    title: str
    networks: tuple[str, ...]
    licence: str
    link: str
    size: int
    paper: str
    architecture: str = "THA4"
    author: str = "Pramook Khungurn"
    variant: str = ""
    repositories: tuple[str, ...] = ()

    def home(self, folder: Path) -> Path:
        """Where its files belong in a folder of teachers: a variant in a folder of its own, apart from THA4's files."""
        return folder / f"tha3_{self.variant}" if self.variant else folder


THA4_TEACHER = Publication(
    title="THA4 teacher",
    networks=THA4_NETWORKS,
    licence="CC BY-NC 4.0, non-commercial use only",
    link="https://www.dropbox.com/scl/fi/7wec0sur7449iqgtlpi3n/tha4-models.zip?rlkey=0f9d1djmbvjjjn09469s1adx8&dl=1",
    size=600_000_000,
    paper="https://arxiv.org/abs/2311.17409",
)


def _tha3(architecture: str, variant: str, size: int) -> Publication:
    repositories = ("OktayAlpk/talking-head-anime-3", "ksuriuri/talking-head-anime-3-models")
    return Publication(
        title=f"THA3 teacher ({variant.replace('_', ', ')})",
        networks=THA3_NETWORKS,
        licence="CC BY 4.0 (commercial use allowed, with attribution)",
        link=" or ".join(f"https://huggingface.co/{repo_id}" for repo_id in repositories),
        size=size,
        paper="https://pkhungurn.github.io/talking-head-anime-3/",
        architecture=architecture,
        variant=variant,
        repositories=repositories,
    )


# The sizes are those of the numbers alone, counted from the networks' shapes.
PUBLICATIONS = {
    "THA4": THA4_TEACHER,
    "THA3 standard": _tha3("THA3 standard", "standard_float", 542_577_048),
    "THA3 standard half": _tha3("THA3 standard", "standard_half", 271_288_524),
    "THA3 separable": _tha3("THA3 separable", "separable_float", 58_011_580),
    "THA3 separable half": _tha3("THA3 separable", "separable_half", 29_005_790),
}
"""Every teacher that is published, by the name that people choose it by."""


@dataclass(frozen=True)
class Landed:
    """A set that was fetched or converted: its files, and where it is from."""

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

    In each folder (or a variant's own folder in it): files put there by hand, then a set that was fetched, then folders
    inside it (an unpacked archive; a variant's must have its name). Raises MissingWeightsError, which says which are
    missing and how to get them, and WeightsError where two systems' files lie in one folder.
    """
    homes = [publication.home(folder) for folder in folders]
    for folder, home in zip(folders, homes, strict=True):
        if by_hand := _lying_in(home, publication.networks):
            return _converted(by_hand, homes) or by_hand
        if landed := read_landed(home, publication.networks):
            return landed.files
        if below := _sets_below(home, publication.networks) or _sets_below(
            folder, publication.networks, publication.variant
        ):
            return _converted(below[0], homes) or below[0]
    raise MissingWeightsError(_missing(homes, publication))


def find_any_teacher_files(folder: Path) -> Files:
    """The files of the one teacher, of whichever publication, that lies in a folder or else in folders inside it.

    Raises MissingWeightsError where there is none, and WeightsError where there are several.
    """
    publications = (THA4_TEACHER, PUBLICATIONS["THA3 standard"])
    for publication in publications:
        if found := _lying_in(folder, publication.networks):
            return found
    for publication in publications:
        if landed := read_landed(folder, publication.networks):
            return landed.files
    below = [found for publication in publications for found in _sets_below(folder, publication.networks)]
    if not below:
        raise MissingWeightsError(_missing([folder], _nearest(folder, publications)))
    if len(below) > 1:
        places = ", ".join(str(next(iter(found.values())).parent) for found in below)
        raise WeightsError(f"{folder}: there are several teachers in it. Name the folder of one: {places}.")
    return below[0]


def convert_teacher_files(files: Files, folder: Path, shapes: Shapes, progress: Progress = silent) -> Files:
    """The same set as .safetensors, checked key by key, made once and kept in `folder`; already such: `files` itself.

    Raises WeightsError naming the file at fault, and DownloadError where the disk is full; `folder` stays as it was.
    """
    if all(path.suffix == ".safetensors" for path in files.values()):
        return files
    meter = Meter(progress, "Waiting for another conversion to end")
    with locked(folder, meter.tick):
        if done := _converted(files, [folder]):
            return done
        check_room(folder, converted_size(shapes))
        with staging(folder) as stage:
            for name, path in files.items():
                meter.begin(f"Checking and converting {path.name}")
                convert_file(path, stage / f"{name}.safetensors", shapes[name], str(path), {})
            return land(folder, stage, _origin(files), {}, meter)


def convert_file(
    path: Path, out: Path, shapes: Mapping[str, tuple[int, ...]], source: str, notes: dict[str, str]
) -> None:
    """Check the keys, shapes and numbers of a file, named `source` in errors, and write them as .safetensors.

    `notes` become the metadata of the file (its licence, say). Raises WeightsError.
    """
    state_dict = read_named(path, source)
    check_state_dict(state_dict, shapes, source)
    own = {key: value.clone() for key, value in state_dict.items()}  # .safetensors knows no shared storages
    try:
        write_safetensors(out, own, notes)
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
    """The bytes of a set in float32."""
    return sum(network_size(network) for network in shapes.values())


def network_size(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """The bytes of one network in float32."""
    return sum(4 * math.prod(shape) for shape in shapes.values())


def land(folder: Path, stage: Path, source: str, archives: dict[str, dict[str, Any]], meter: Meter) -> Files:
    """Make the five files in `stage` the set of `folder` (which is locked) and remove the set that they replace."""
    old = _own_folder(folder)
    archives = {**read_archives(folder), **archives}
    meter.begin("Recording sizes and checksums")
    files = {path.stem: _facts(path, meter) for path in sorted(stage.glob("*.safetensors"))}
    home = folder / f"set-{stage.name.rpartition('-')[2]}"
    os.rename(stage, home)
    write_json(folder / MANIFEST, {"folder": home.name, "source": source, "files": files, "archives": archives})
    if old:
        shutil.rmtree(old, ignore_errors=True)
    logger.info("%s: the weights are in place (from %s).", home, source)
    return {network: home / f"{network}.safetensors" for network in files}


def read_landed(folder: Path, networks: Sequence[str]) -> Landed | None:
    """The set that `teacher.json` in a folder names; None where there is none or one of its files is not whole."""
    manifest, home = read_json(folder / MANIFEST), _own_folder(folder)
    facts = _objects(manifest.get("files"))
    if home is None or not set(networks) <= set(facts):
        return None
    files = {network: home / f"{network}.safetensors" for network in networks}
    if any(not path.is_file() or size_of(path) != facts[name].get("size") for name, path in files.items()):
        return None
    return Landed(files, str(manifest.get("source")))


def read_archives(folder: Path) -> dict[str, dict[str, Any]]:
    """The size and sha256 of each archive (by its address) when it was first downloaded into a folder."""
    return _objects(read_json(folder / MANIFEST).get("archives"))


def by_hand(publication: Publication, folder: Path) -> str:
    """How to get the files without our help: link, size, licence, folder and names."""
    facts = f"{publication.link} (about {megabytes(publication.size)}; {publication.licence})"
    how = f"the folder {publication.variant} of {facts}" if publication.variant else f"{facts}, unpack it"
    return (
        f"By hand: download {how} and put these files (.safetensors or .pt) into {folder}: "
        f"{', '.join(publication.networks)}."
    )


def _missing(homes: Sequence[Path], publication: Publication) -> str:
    home = homes[0] if homes else publication.home(Path("models"))
    names = [path.stem for folder in homes for path in _weights_in(folder)]
    missing = [name for name in publication.networks if name not in names]
    return (
        f"{publication.title}: {', '.join(missing) or 'five files in one folder'} not found in "
        f"{', '.join(map(str, homes))}. "
        f"Switch auto_download on to fetch them, or name a hub repository that has them. {by_hand(publication, home)}"
    )


def _nearest(folder: Path, publications: Sequence[Publication]) -> Publication:
    """The publication that a folder has most files of; the first where it has as many of another."""
    names = {path.stem for path in _weights_in(folder)}
    return max(publications, key=lambda publication: len(names & set(publication.networks)))


def _lying_in(folder: Path, networks: Sequence[str]) -> Files:
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
    safetensors, pt = (_unique(paths, networks, suffix) for suffix in (".safetensors", ".pt"))
    for found in (safetensors, pt, {**pt, **safetensors}):
        if found.keys() == set(networks):
            return found
    return {}


def _unique(paths: Sequence[AnyPath], networks: Sequence[str], suffix: str) -> dict[str, AnyPath]:
    wanted = [path for path in paths if path.suffix == suffix and path.stem in networks]
    counts = Counter(path.stem for path in wanted)
    return {path.stem: path for path in wanted if counts[path.stem] == 1}


def _weights_in(folder: Path) -> list[Path]:
    return sorted(path for suffix in ("safetensors", "pt") for path in folder.glob(f"*.{suffix}") if path.is_file())


def _sets_below(folder: Path, networks: Sequence[str], name: str = "") -> list[Files]:
    """The sets in folders (with a given name) inside a folder and inside these, the shallowest first."""
    visible = [
        below
        for pattern in ("*/", "*/*/")
        for below in sorted(folder.glob(pattern))
        if name in ("", below.name) and not any(part.startswith(".") for part in below.relative_to(folder).parts)
    ]
    return [found for below in visible if (found := match_files(_weights_in(below), networks))]


def _converted(files: Files, folders: Sequence[Path]) -> Files | None:
    origin = _origin(files)
    landed = [read_landed(folder, sorted(files)) for folder in folders]
    return next((own.files for own in landed if own and own.source == origin), None)


def _origin(files: Files) -> str:
    """Names these very files: a copy made from them stands for them until one of them changes."""
    stats = {name: path.stat() for name, path in sorted(files.items())}
    return "; ".join(f"{files[name].resolve()} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats.items())


def _own_folder(folder: Path) -> Path | None:
    """The folder that `teacher.json` names, where it has a name that we give: it is removed when another set lands."""
    name = read_json(folder / MANIFEST).get("folder")
    return folder / name if isinstance(name, str) and re.fullmatch(r"set-\w+", name) else None


def _objects(found: object) -> dict[str, dict[str, Any]]:
    return {key: value for key, value in found.items() if isinstance(value, dict)} if isinstance(found, dict) else {}


def _facts(path: Path, meter: Meter) -> dict[str, Any]:
    return {"size": size_of(path), "sha256": sha256_of(path, meter)}
