"""Reading, checking and writing files of tensors (.safetensors, .pt)."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn

from ..atomic_write import temporary_file
from ..errors import WeightsError

StateDict = dict[str, Tensor]

_GIT_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
_DEEPEST = 8
_MOST_NOT_STORED = 2**30  # bytes: more than all networks of a teacher have
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
# What torch.load raises for damaged files; which one depends on where the damage is.
_DAMAGED = (
    *(RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, MemoryError),
    *(OverflowError, AssertionError, struct.error),
)
_WEB_PAGE = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml")


def read_state_dict(path: Path) -> StateDict:
    """The tensors of a .safetensors file, or of a .pt file that holds nothing but tensors, on the CPU.

    Raises WeightsError for files that are missing, cut off, not of these formats, or that would run code.
    """
    if path.suffix.lower() == ".safetensors":
        return read_safetensors(path)[0]
    loaded = read_torch(path)
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise WeightsError(f"{path}: a PyTorch file, but not a state dict (a mapping from names to tensors).")
    return {str(key): value for key, value in loaded.items()}


def read_safetensors(path: Path) -> tuple[StateDict, dict[str, str]]:
    """Tensors and metadata of a .safetensors file. Raises WeightsError as `read_state_dict`.

    The tensors are copies. Those that safetensors gives are the file itself, mapped into memory: as long as one of them
    lives, Windows lets nobody replace or delete the file.
    """
    check_is_no_placeholder(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key).clone() for key in file.keys()}, dict(file.metadata() or {})
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a whole .safetensors file ({error}). Download it again.") from error


def read_torch(path: Path) -> object:
    """What a .pt file holds: tensors, plain containers of them, numbers. Raises WeightsError as `read_state_dict`."""
    check_is_no_placeholder(path)
    _refuse_compressed(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused, because it is not a plain file of tensors: it is damaged or holds program code. "
            "Download it again from where it was published."
        ) from error
    except _DAMAGED as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{path}: not a whole PyTorch file ({reason}). Download it again.") from error
    _check_storage(_tensors(loaded), path)
    return loaded


def _refuse_compressed(path: Path) -> None:
    """Raise WeightsError for a .pt whose parts are compressed: PyTorch writes none, and they can unpack to anything."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return  # the old format, which is no archive
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked, size = sum(info.file_size for info in archive.infolist()), path.stat().st_size
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a whole PyTorch file ({error}). Download it again.") from error
    if unpacked > size:
        raise WeightsError(
            f"{path}: refused, because it unpacks to {unpacked:,} bytes though it has {size:,}: PyTorch compresses no "
            "weights. Download it again from where it was published."
        )


def _tensors(content: object, depth: int = 0) -> Iterator[Tensor]:
    """All tensors in nested containers. Deeper than any file of weights, nothing is looked for."""
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, Mapping | list | tuple) and depth < _DEEPEST:
        for value in content.values() if isinstance(content, Mapping) else content:
            yield from _tensors(value, depth + 1)


def _check_storage(tensors: Iterable[Tensor], path: Path) -> None:
    """Raise WeightsError for tensors that are not all there: one stored number can claim to be any number of them."""
    not_stored = 0
    for tensor in tensors:
        is_plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
        if is_plain:
            not_stored += max(0, tensor.numel() * tensor.element_size() - tensor.untyped_storage().nbytes())
        if not is_plain or not_stored > _MOST_NOT_STORED:
            raise WeightsError(
                f"{path}: refused, because a tensor {list(tensor.shape)} in it is not stored number by number. "
                "Download it again from where it was published."
            )


def check_is_no_placeholder(path: Path) -> None:
    """Raise WeightsError where there is no such file, or a Git LFS pointer or a web page was saved in its place."""
    try:
        with path.open("rb") as file:
            start = file.read(256)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: there is no such file.") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}).") from error
    if start.startswith(_GIT_LFS_POINTER):
        raise WeightsError(
            f"{path}: this is a Git LFS pointer, a short text that stands for the file, not the file itself. Run "
            '"git lfs pull" in the folder that was cloned, or download the file from its page on the hub.'
        )
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_WEB_PAGE):
        raise WeightsError(
            f"{path}: this is a web page that was saved under this name, not the file itself. Download the file again "
            "with the download button of that page; a login may be needed first."
        )


@contextmanager
def name_in_errors(path: Path, name: str) -> Iterator[None]:
    """Call a temporary file `name` in every WeightsError about it."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(str(error).replace(str(path), name)) from error


def load_strictly(network: nn.Module, state_dict: StateDict, source: str) -> None:
    """Load `state_dict` into `network`: the same keys, the same shapes, every number finite.

    `source` is the file (and network) that messages name. Raises WeightsError and leaves the network as it was.
    """
    check_state_dict(state_dict, {key: tuple(value.shape) for key, value in network.state_dict().items()}, source)
    network.load_state_dict(state_dict)


def check_state_dict(state_dict: StateDict, shapes: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Raise WeightsError, naming the first key at fault, unless the state dict is exactly of these keys and shapes."""
    missing = [key for key in shapes if key not in state_dict]
    unexpected = [key for key in state_dict if key not in shapes]
    if len(missing) == len(shapes):
        raise WeightsError(
            f"{source}: this is another network; it has none of the keys expected (such as {missing[0]})."
        )
    if missing:
        raise WeightsError(f"{source}: {len(missing)} keys are missing, the first is {missing[0]}.")
    if unexpected:
        raise WeightsError(f"{source}: {len(unexpected)} keys do not belong here, the first is {unexpected[0]}.")
    for key, shape in shapes.items():
        tensor = state_dict[key]
        if tuple(tensor.shape) != shape:
            raise WeightsError(f"{source}: {key} has the shape {list(tensor.shape)} instead of {list(shape)}.")
        if tensor.dtype not in _DTYPES:
            raise WeightsError(f"{source}: {key} holds {tensor.dtype}; weights are floating-point numbers.")
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{source}: {key} holds numbers that are not finite (NaN or infinity).")


def to_safetensors(tensors: StateDict, metadata: Mapping[str, str]) -> bytes:
    """The bytes of a .safetensors file: the same for the same tensors and metadata."""
    content = save({key: value.contiguous() for key, value in tensors.items()}, dict(metadata))
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header["__metadata__"] = dict(sorted(metadata.items()))  # safetensors writes them in an order of chance
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + content[start:]


def write_safetensors(path: Path, tensors: StateDict, metadata: Mapping[str, str]) -> None:
    """Write a .safetensors file under a temporary name beside `path`, then rename it.

    Whatever goes wrong, `path` holds either the old file or the new one. Raises OSError where it cannot be written.
    """
    with temporary_file(path) as temporary, temporary.open("wb") as file:
        file.write(to_safetensors(tensors, metadata))
        file.flush()
        # Without this a power loss can keep the new name and lose the bytes.
        os.fsync(file.fileno())
