"""ComfyUI's folders: models/tha4, input, output and temporary files, and their names."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path, PurePosixPath

import folder_paths
import yaml
from comfy.cli_args import args

MODEL_FOLDER = "tha4"
"""models/tha4, and whatever extra_model_paths.yaml lists under that name."""

_INPUT = "input/"
_MASK_EDITOR = "clipspace"
_log = logging.getLogger("tha4")
_DATE, _DATE_PART = re.compile("%date:([^%]+)%"), re.compile("yyyy|yy|MM?|dd?|hh?|mm?|ss?")


def register_model_folders() -> None:
    """Tell ComfyUI of models/tha4, and of the folders in it whose files a workflow can name as missing.

    The folder in ComfyUI's own models folder comes first, where downloads and new students go, unless
    extra_model_paths.yaml has another one for tha4 in a section that says `is_default`.
    """
    own = str(Path(folder_paths.models_dir) / MODEL_FOLDER)
    # An only folder from that file looks the same with and without is_default, so the file itself is asked.
    folder_paths.add_model_folder_path(MODEL_FOLDER, own, is_default=not _has_default_elsewhere())
    for subfolder in ("characters", "students"):
        for folder in wanted_folders(subfolder):
            folder_paths.add_model_folder_path(f"{MODEL_FOLDER}_{subfolder}", str(folder))


def make_model_folders() -> None:
    """Make the folders in models/tha4 that users put files into, so that they need not guess the names."""
    for subfolder in ("characters", "students", "teacher", "motions", "expressions"):
        folder = wanted_folders(subfolder)[0]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # nodes say so when they need it
            _log.warning("%s cannot be made (%s).", folder, error.strerror)


def _has_default_elsewhere() -> bool:
    """Whether extra_model_paths.yaml, or a file like it on the command line, has a default folder for tha4."""
    files = [Path(folder_paths.__file__).with_name("extra_model_paths.yaml")]
    files += [Path(file) for group in args.extra_model_paths_config or [] for file in group]
    contents = [yaml.safe_load(file.read_text("utf-8")) for file in files if file.is_file()]
    sections = [section for content in contents if content for section in content.values() if section]
    return any(section.get("is_default") and MODEL_FOLDER in section for section in sections)


def model_files(subfolder: str, suffixes: tuple[str, ...]) -> list[str]:
    """The files below `models/tha4/SUBFOLDER` whose names end so, sorted, as `/`-separated paths relative to it.

    Hidden files and folders are left out, and what macOS puts into archives beside the files themselves.
    """
    prefix = f"{subfolder}/"
    names = (name.replace("\\", "/") for name in folder_paths.get_filename_list(MODEL_FOLDER))
    found = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return sorted((name for name in found if _is_listed(name, suffixes)), key=str.casefold)


def model_folders(subfolder: str) -> list[Path]:
    """The folders `models/tha4/SUBFOLDER` that exist, the one of ComfyUI's own models folder first."""
    folders = (Path(folder) / subfolder for folder in folder_paths.get_folder_paths(MODEL_FOLDER))
    return [folder for folder in folders if folder.is_dir()]


def wanted_folders(subfolder: str) -> list[Path]:
    """The folders `models/tha4/SUBFOLDER`, whether they exist or not, the one that downloads go to first."""
    return [Path(folder) / subfolder for folder in folder_paths.get_folder_paths(MODEL_FOLDER)]


def model_path(subfolder: str, name: str) -> Path:
    """The full path of a file that `model_files` listed. Raises FileNotFoundError where it is there no more."""
    path = folder_paths.get_full_path(MODEL_FOLDER, f"{subfolder}/{name}")
    if path is None:
        raise FileNotFoundError(
            f"models/{MODEL_FOLDER}/{subfolder}/{name} is not there any more. Put it back, or choose another file."
        )
    return Path(path)


def fingerprint(paths: Iterable[Path]) -> str:
    """A text that changes whenever one of these files is replaced, by a newer or an older one, is added or goes."""
    facts = []
    for path in sorted(paths):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        facts.append((str(path), stat.st_size, stat.st_mtime_ns))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def motion_files(subfolder: str, suffixes: tuple[str, ...]) -> list[str]:
    """The files in `models/tha4/SUBFOLDER`, then those in the input folder as `input/NAME`, whose names end so."""
    given = (path.name for path in Path(folder_paths.get_input_directory()).iterdir() if path.is_file())
    wanted = sorted((name for name in given if _is_listed(name, suffixes)), key=str.casefold)
    return [*model_files(subfolder, suffixes), *(f"{_INPUT}{name}" for name in wanted)]


def motion_path(subfolder: str, name: str) -> Path:
    """The full path of a file that `motion_files` listed."""
    if name.startswith(_INPUT):
        return Path(folder_paths.get_input_directory()) / Path(name.removeprefix(_INPUT)).name
    return model_path(subfolder, name)


def input_files(suffixes: tuple[str, ...]) -> list[str]:
    """The files of the input folder whose names end so, and those that the mask editor puts below it."""
    folder = Path(folder_paths.get_input_directory())
    paths = (path for part in ("", _MASK_EDITOR) if (folder / part).is_dir() for path in (folder / part).iterdir())
    return [str(PurePosixPath(*path.relative_to(folder).parts)) for path in paths if _is_file(path, suffixes)]


def input_path(name: str) -> Path:
    """The full path of a file that `input_files` listed."""
    return Path(folder_paths.get_input_directory()) / name


def new_input_path(prefix: str, suffixes: tuple[str, ...]) -> Path:
    """A path in the input folder, without a suffix, that is not taken yet with any of these: numbered from 1 on."""
    folder = Path(folder_paths.get_input_directory())
    names = (path.stem.removeprefix(f"{prefix}_") for path in folder.glob(f"{prefix}_*") if path.suffix in suffixes)
    return folder / f"{prefix}_{max((int(name) for name in names if name.isdecimal()), default=0) + 1:05}"


def temporary_files(prefix: str) -> list[str]:
    """The files of the temporary folder whose names begin so."""
    folder = Path(folder_paths.get_temp_directory())
    return [path.name for path in folder.glob(f"{prefix}*")] if folder.is_dir() else []


def temporary_path(name: str) -> Path:
    """The full path of a file of the temporary folder, which is made where it is not there."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def _is_file(path: Path, suffixes: tuple[str, ...]) -> bool:
    return _is_listed(path.name, suffixes) and path.is_file()


def _is_listed(name: str, suffixes: tuple[str, ...]) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
    return name.lower().endswith(suffixes) and not hidden


def new_output_path(prefix: str, suffix: str, size: tuple[int, int] = (0, 0)) -> Path:
    """A path in the output folder that is not taken yet, numbered as ComfyUI numbers what it saves.

    `size` is the width and height that %width% and %height% in the prefix stand for. %date:yyyy-MM-dd hh-mm-ss% is the
    time now, as in ComfyUI's own nodes, whose prefixes the page fills in; it leaves those of other packs alone.
    """
    prefix = _DATE.sub(_formatted_date, prefix)
    folder, name, counter, _, _ = folder_paths.get_save_image_path(prefix, folder_paths.get_output_directory(), *size)
    taken = (path.stem.rpartition("_")[2] for path in Path(folder).glob(f"{name}_*{suffix}"))
    counter = max([counter - 1, *(int(number) for number in taken if number.isdecimal())]) + 1
    return Path(folder) / f"{name}_{counter:05}{suffix}"


def _formatted_date(pattern: re.Match[str]) -> str:
    now = datetime.now()

    def number(letters: re.Match[str]) -> str:
        text = letters[0]
        parts = {"y": now.year, "M": now.month, "d": now.day, "h": now.hour, "m": now.minute, "s": now.second}
        return str(parts[text[0]] % 100 if text == "yy" else parts[text[0]]).zfill(len(text))

    return _DATE_PART.sub(number, pattern[1])


def in_output_folder(path: Path) -> str:
    """The folder of a file in the output folder, as ComfyUI names it: relative, and empty for the folder itself."""
    folder = path.parent.relative_to(folder_paths.get_output_directory()).as_posix()
    return "" if folder == "." else folder


def output_path(folder: str, name: str) -> Path | None:
    """The full path of a file in the output folder, as ComfyUI names it; None for a path that leads out of it."""
    output = Path(folder_paths.get_output_directory()).resolve()
    try:
        path = (output / folder / name).resolve()
    except (OSError, ValueError):
        return None
    return path if path.is_relative_to(output) else None
