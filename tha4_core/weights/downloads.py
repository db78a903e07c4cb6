"""Fetching weights: a teacher from the hub or from its author's archive, and single files from the hub.

Each function waits for the lock of its target folder, so that a file is fetched once however many ask for it; leaves
the target as it was unless everything came whole; and goes on from where it was interrupted.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import DownloadError, WeightsError
from .archive import extract_member, list_members
from .files import locked, read_json, size_of, staging, write_json
from .hub import list_repository
from .sets import (
    MANIFEST,
    THA4_TEACHER,
    Files,
    Publication,
    Shapes,
    by_hand,
    convert_file,
    converted_size,
    land,
    match_files,
    network_size,
    read_archives,
    read_landed,
    read_named,
)
from .transfer import USUAL, Meter, Patience, Progress, Remote, discard, fetch, host, sha256_of, silent

logger = logging.getLogger(__name__)
PARTS = ".downloads"


def fetch_teacher_from_archive(
    folder: Path,
    shapes: Shapes,
    *,
    url: str | None = None,
    sha256: str | None = None,
    publication: Publication = THA4_TEACHER,
    progress: Progress = silent,
    patience: Patience = USUAL,
) -> Files:
    """A teacher's files from a ZIP (the publication's link, unless `url` is given), converted, checked, in `folder`.

    `shapes`: network name -> key -> shape. The archive's sha256 must be the one given, or else the one that the first
    download from that address had. `progress` may raise to interrupt. Raises DownloadError or WeightsError.
    """
    url = url or publication.link
    meter = Meter(progress, "Waiting for another download to end")
    with _explained(folder, by_hand(publication, folder)), locked(folder, meter.tick):
        landed = read_landed(folder, publication.networks)
        if landed and landed.source == url:
            return landed.files
        name = PurePosixPath(url.split("?")[0]).name
        remote = Remote(
            url,
            name,
            sha256=sha256 or read_archives(folder).get(url, {}).get("sha256"),
            sha256_from=_sha256_from(sha256, folder),
        )
        part = _parts(folder) / f"{remote.name}.part"
        _announce(meter, publication, remote.name, host(url))
        fetch(remote, part, meter, patience, _room_to_convert(shapes))
        with _discarded_if_wrong(part):
            meter.begin(f"Checking {remote.name}")
            facts = {url: {"size": size_of(part), "sha256": sha256_of(part, meter)}}
            files = _land_archive(folder, part, shapes, publication, url, facts, meter)
        shutil.rmtree(folder / PARTS, ignore_errors=True)
        return files


def fetch_teacher_from_hub(
    folder: Path,
    shapes: Shapes,
    repo_id: str,
    revision: str = "main",
    *,
    within: str = "",
    endpoint: str | None = None,
    token: str | None = None,
    publication: Publication = THA4_TEACHER,
    progress: Progress = silent,
    patience: Patience = USUAL,
) -> Files:
    """A teacher's files from a hub repository, wherever they lie in it, converted, checked, in `folder`.

    `within`: the name of the folder to look in, where a repository holds several sets. A set that came from this
    repository and revision before is taken without asking the hub. Otherwise as `fetch_teacher_from_archive`.
    """
    meter = Meter(progress, "Waiting for another download to end")
    place = _Place(repo_id, revision, within, endpoint, token)
    with _explained(folder, by_hand(publication, folder)), locked(folder, meter.tick):
        landed = read_landed(folder, publication.networks)
        if landed and landed.source == place.source():
            return landed.files
        return _fetch_from(place, folder, shapes, publication, meter, patience)


def fetch_publication(
    folder: Path,
    shapes: Shapes,
    publication: Publication,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    progress: Progress = silent,
    patience: Patience = USUAL,
) -> Files:
    """A publication's files from the first of its hub repositories that gives all five, in its own folder in `folder`.

    A set that came from any of them before is taken without asking the hub. Raises DownloadError, which says what went
    wrong with each repository; otherwise as `fetch_teacher_from_hub`.
    """
    home = publication.home(folder)
    places = [_Place(repo_id, "main", publication.variant, endpoint, token) for repo_id in publication.repositories]
    meter = Meter(progress, "Waiting for another download to end")
    failures = []
    with _explained(home, by_hand(publication, home)), locked(home, meter.tick):
        landed = read_landed(home, publication.networks)
        if landed and landed.source in {place.source() for place in places}:
            return landed.files
        for place in places:
            try:
                return _fetch_from(place, home, shapes, publication, meter, patience)
            except (DownloadError, WeightsError) as error:
                logger.warning("%s: not from %s. %s", publication.title, place.repo_id, error)
                failures.append(str(error))
        raise DownloadError(" ".join(dict.fromkeys(failures)))


def fetch_hub_file(
    repo_id: str,
    filename: str,
    revision: str,
    folder: Path,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    progress: Progress = silent,
    patience: Patience = USUAL,
) -> Path:
    """One file of a hub repository (a student, a character) as FOLDER/OWNER--NAME/FILENAME.

    A whole file that came from this revision before, or was put there by hand, is taken without asking the hub. Raises
    DownloadError, and WeightsError for weights that cannot be read; the file that was there before then stays.
    """
    home = folder / repo_id.replace("/", "--")
    path = home / safe_path(filename)
    safe_path(repo_id)
    address = f"{endpoint or 'https://huggingface.co'}/{repo_id}/blob/{revision}/{filename}"
    meter = Meter(progress, f"Waiting for another download of {filename} to end")
    with _explained(home, f"By hand: download {address} and put it at {path}."), locked(home, meter.tick):
        if _is_good(path, revision, meter):
            return path
        meter.begin(f"Asking the hub for {filename} of {repo_id}")
        commit, listing = list_repository(repo_id, revision, endpoint, token, meter, patience)
        remote = listing.get(PurePosixPath(filename))
        if remote is None:
            raise DownloadError(f"{repo_id}: it has no file {filename} at {revision!r}.")
        part = _parts(home) / f"{path.name}.part"
        meter.begin(f"Fetching {filename} of {repo_id}", remote.size)
        fetch(remote, part, meter, patience)
        _land_file(part, path, home, {"revision": revision, "commit": commit}, remote.name, meter)
        return path


def safe_path(name: str) -> PurePosixPath:
    """A relative path from a workflow or a repository. Raises DownloadError where it could lead elsewhere."""
    wrong = set(name) & set('\\:*?"<>|') or any(ord(letter) < 32 for letter in name)
    if wrong or any(not part or part[0] == "." for part in name.split("/")):
        raise DownloadError(
            f"{name!r}: refused as the name of a file; it must be a plain path such as folder/name.png."
        )
    return PurePosixPath(name)


@dataclass(frozen=True)
class _Place:
    """Where in which hub a set lies."""

    repo_id: str
    revision: str
    within: str
    endpoint: str | None
    token: str | None

    def source(self) -> str:
        """What is noted beside a set that came from here."""
        return "/".join(filter(None, ("hub:", self.repo_id, self.within))) + f"@{self.revision}"


def _fetch_from(
    place: _Place, folder: Path, shapes: Shapes, publication: Publication, meter: Meter, patience: Patience
) -> Files:
    meter.begin(f"Asking the hub for {place.repo_id}")
    _, listing = list_repository(place.repo_id, place.revision, place.endpoint, place.token, meter, patience)
    chosen = _choose(listing, publication, place.repo_id, place.within)
    _announce(meter, publication, place.repo_id, "the hub", sum(remote.size or 0 for remote in chosen.values()))
    parts = _fetch_all(chosen, _parts(folder), meter, patience, _room_to_convert(shapes))
    files = _land_parts(folder, parts, chosen, shapes, publication, place.source(), meter)
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    return files


def _announce(meter: Meter, publication: Publication, name: str, server: str, total: int | None = None) -> None:
    logger.info("Fetching %s from %s. Licence: %s.", name, server, publication.licence)
    meter.begin(f"Fetching {name} from {server} ({publication.licence})", total)


def _choose(
    listing: Mapping[PurePosixPath, Remote], publication: Publication, repo_id: str, within: str
) -> dict[str, Remote]:
    found = match_files(listing, publication.networks, within)
    if not found:
        looked_at = [path for path in listing if not within or within in path.parts[:-1]]
        names = {path.stem for path in looked_at if path.suffix in (".safetensors", ".pt")}
        missing = [name for name in publication.networks if name not in names]
        problem = f"it has no {', '.join(missing)}" if missing else "it has several files of the same name"
        problem += f" in a folder {within}" if within else ""
        raise DownloadError(f"{repo_id}: not a {publication.title}: {problem} (.safetensors or .pt).")
    return {network: listing[path] for network, path in found.items()}


def _fetch_all(
    chosen: Mapping[str, Remote], folder: Path, meter: Meter, patience: Patience, spare: int
) -> dict[str, Path]:
    parts = {network: folder / f"{PurePosixPath(remote.name).name}.part" for network, remote in chosen.items()}
    left = {network: (remote.size or 0) - size_of(parts[network]) for network, remote in chosen.items()}
    for network, remote in chosen.items():
        del left[network]
        fetch(remote, parts[network], meter, patience, spare + sum(left.values()))
    return parts


def _land_parts(
    folder: Path,
    parts: Mapping[str, Path],
    chosen: Mapping[str, Remote],
    shapes: Shapes,
    publication: Publication,
    source: str,
    meter: Meter,
) -> Files:
    with staging(folder) as stage:
        for network, part in parts.items():
            name = chosen[network].name
            meter.begin(f"Checking and converting {name}")
            with _discarded_if_wrong(part), _renamed(part, part.with_suffix("")) as path:
                convert_file(path, stage / f"{network}.safetensors", shapes[network], name, _notes(publication, source))
        return land(folder, stage, source, {}, meter)


def _land_archive(
    folder: Path,
    archive: Path,
    shapes: Shapes,
    publication: Publication,
    url: str,
    facts: dict[str, dict[str, object]],
    meter: Meter,
) -> Files:
    members = list_members(archive)
    found = match_files(members, publication.networks)
    if not found:
        raise WeightsError(f"{archive.stem}: it does not hold each of {', '.join(publication.networks)} once.")
    for network, member in found.items():
        _check_unpacked_size(member, members[member], shapes[network])
    with staging(folder) as stage:
        for network, member in found.items():
            meter.begin(f"Unpacking, checking and converting {member.name}", members[member])
            unpacked = stage / f"unpacked{member.suffix}"
            extract_member(archive, member, unpacked, meter)
            source = f"{member.name} in {archive.stem}"
            convert_file(unpacked, stage / f"{network}.safetensors", shapes[network], source, _notes(publication, url))
            unpacked.unlink()
        return land(folder, stage, url, facts, meter)


def _check_unpacked_size(member: PurePosixPath, size: int, shapes: Mapping[str, tuple[int, ...]]) -> None:
    expected = network_size(shapes)
    if size > 2 * expected + (1 << 20):  # float64 at the most: else it fills the disk before its keys are looked at
        raise WeightsError(f"{member.name}: unpacked it would be {size} bytes, which is too much for {expected}.")


def _land_file(part: Path, path: Path, home: Path, record: dict[str, str], source: str, meter: Meter) -> None:
    with staging(home) as stage, _discarded_if_wrong(part):
        staged = stage / path.name
        os.replace(part, staged)
        if path.suffix in (".safetensors", ".pt"):
            read_named(staged, source)
        facts = {**record, "size": size_of(staged), "sha256": sha256_of(staged, meter)}
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged, path)
        write_json(_record(path), facts)
        discard(part)


def _is_good(path: Path, revision: str, meter: Meter) -> bool:
    if not path.is_file():
        return False
    record = read_json(_record(path))
    if not record:
        return True
    if revision not in (record.get("revision"), record.get("commit")) or size_of(path) != record.get("size"):
        return False
    return sha256_of(path, meter) == record.get("sha256")


def _record(path: Path) -> Path:
    return path.with_name(f".{path.name}.json")


def _sha256_from(given: str | None, folder: Path) -> str:
    return "was given" if given else f"the first download had (delete {folder / MANIFEST} to accept another)"


def _parts(folder: Path) -> Path:
    parts = folder / PARTS
    parts.mkdir(exist_ok=True)
    return parts


def _room_to_convert(shapes: Shapes) -> int:
    """All the converted files, and the largest of them once more, unpacked."""
    return converted_size(shapes) + max(network_size(network) for network in shapes.values())


def _notes(publication: Publication, source: str) -> dict[str, str]:
    return {
        "title": publication.title,
        "author": publication.author,
        "licence": publication.licence,
        "source": source,
        "paper": publication.paper,
    }


@contextmanager
def _renamed(path: Path, name: Path) -> Iterator[Path]:
    """`path` under another name for a while: what a file is, is read off its suffix."""
    os.replace(path, name)
    try:
        yield name
    finally:
        os.replace(name, path)


@contextmanager
def _discarded_if_wrong(part: Path) -> Iterator[None]:
    """What came whole and is wrong must be fetched anew; what an interrupt or a full disk left is worth keeping."""
    try:
        yield
    except WeightsError:
        discard(part)
        raise


@contextmanager
def _explained(place: Path, advice: str) -> Iterator[None]:
    """Add to errors that nothing was replaced, and how to get the files by hand."""
    try:
        yield
    except (DownloadError, WeightsError) as error:
        kind = DownloadError if isinstance(error, DownloadError) else WeightsError
        raise kind(f"{error} What was in {place} is as it was. {advice}") from error
