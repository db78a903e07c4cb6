"""Which modules import which, read from the sources: no circles, and rooms import only from rooms below them.

Imports inside functions and under TYPE_CHECKING count like all others.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

# From the bottom to the top. A room imports from itself and from the floors below it, not from its own floor.
FLOORS = (
    {"tha4_core.errors", "tha4_core.atomic_write", "tha4_core.file_lock", "tha4_core.cuda_graph"},
    {"tha4_core.pose", "tha4_core.cpu", "tha4_core.weights"},
    {"tha4_core.picture"},
    {"tha4_core.networks"},
    {"tha4_core.teacher", "tha4_core.student", "tha4_core.motion", "tha4_core.video"},
    {"tha4_core.demo", "tha4_core.export"},
    {"tha4_core.distill"},
    {"tha4_core"},
    {"nodes"},
    {""},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

COMFYUI = {"comfy", "comfy_api", "comfy_config", "comfy_execution", "comfy_extras", "execution", "folder_paths"}
COMFYUI |= {"nodes", "server"}


# The pack itself is "", a package has the name of its folder. All that ships, and nothing else:
FILES = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix("__init__").removesuffix("."): path
    for path in (
        REPOSITORY / "__init__.py",
        *(p for r in ("nodes", "tha4_core") for p in (REPOSITORY / r).rglob("*.py")),
    )
}


def _imports(path: Path) -> Iterator[str]:
    """What a module imports: our modules by their names in FILES, others as they are written."""
    package = path.relative_to(REPOSITORY).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) + 1 - node.level], *([node.module] if node.module else [])])
            for alias in node.names:
                submodule = f"{base}.{alias.name}".removeprefix(".")
                yield submodule if submodule in FILES else base


IMPORTS = {name: set(_imports(path)) for name, path in FILES.items()}
OURS = {name: imports & FILES.keys() for name, imports in IMPORTS.items()}


def _room(name: str) -> str:
    """The floor plan's name for where a module is: `tha4_core` is its face alone, `nodes` all of ComfyUI's side."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "tha4_core" else parts[0]


def test_no_module_imports_itself_by_way_of_others() -> None:
    try:
        TopologicalSorter(OURS).prepare()
    except CycleError as error:
        pytest.fail(f"These import each other: {' <- '.join(error.args[1])}")


def test_every_room_has_its_floor() -> None:
    assert {_room(name) for name in FILES} - FLOOR.keys() == set()


# A package's `__main__` is a program on top of the library, which nothing imports.
@pytest.mark.parametrize("name", sorted(name for name in FILES if not name.endswith("__main__")))
def test_rooms_import_only_from_rooms_below(name: str) -> None:
    here = _room(name)
    wrong = [other for other in OURS[name] if _room(other) != here and FLOOR[_room(other)] >= FLOOR[here]]
    assert not wrong


def test_the_library_knows_nothing_of_comfyui() -> None:
    library = {name: imports for name, imports in IMPORTS.items() if name.startswith("tha4_core")}
    assert library
    for name, imports in library.items():
        assert not {other.partition(".")[0] for other in imports} & COMFYUI, name
