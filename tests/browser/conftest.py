"""A real ComfyUI and Debian's Chromium, in both of the page's renderers. `modules/` does without ComfyUI."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.comfy_page import SETTINGS, ComfyPage
from tests.browser.puppet_site import SOFTWARE_GPU, puppet_site
from tests.host.comfyui import PACK, ComfyUI, prepare_base, running
from tha4_core.motion import live

COMFYUI = Path(os.environ.get("THA4_COMFYUI", PACK / ".comfyui"))
ARGUMENTS = (
    *("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
VIEW = {"width": 1600, "height": 1000}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Callable[..., Browser]]:
    """Starts Debian's Chromium with more arguments; it is closed at the end."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("CHROMIUM IS NOT INSTALLED: the web side is not tried (apt-get install chromium)")
    with sync_playwright() as playwright, ExitStack() as browsers:

        def start(*arguments: str) -> Browser:
            browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *arguments])
            browsers.callback(browser.close)
            return browser

        yield start


@pytest.fixture(scope="session")
def browser(chromium: Callable[..., Browser]) -> Browser:
    return chromium("--disable-gpu")


@pytest.fixture(scope="session")
def gpu_browser(chromium: Callable[..., Browser]) -> Browser:
    """A browser with a WebGPU adapter, which computes on the CPU."""
    return chromium(*SOFTWARE_GPU)


@pytest.fixture(scope="session")
def modules(browser: Browser) -> Iterator[Page]:
    """A page without ComfyUI that may import the live engine's modules, and has the `library` that they need."""
    with puppet_site({}) as site:
        page = browser.new_page()
        page.goto(f"{site}/live/engine.js")
        page.evaluate("(content) => { window.library = content; }", live.library())
        yield page
        page.close()


@pytest.fixture(scope="session")
def vulkan() -> Any:
    """A device of `wgpu` on a Vulkan driver: Mesa's for the CPU, where the machine has no GPU."""
    wgpu = pytest.importorskip("wgpu", reason="WGPU IS NOT INSTALLED: WGSL is compiled by Chromium alone")
    adapters = [one for one in wgpu.gpu.enumerate_adapters_sync() if one.info["backend_type"] == "Vulkan"]
    if not adapters:
        pytest.skip(
            "THERE IS NO VULKAN DRIVER: WGSL is compiled by Chromium alone (apt-get install mesa-vulkan-drivers)"
        )
    limit = "max-compute-workgroup-storage-size"
    return adapters[0].request_device_sync(required_limits={limit: adapters[0].limits[limit]})


@pytest.fixture(scope="session")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """A ComfyUI of the browser's own, with the published character among its students where there is one."""
    if not (COMFYUI / "main.py").is_file():
        pytest.fail(f"There is no ComfyUI in {COMFYUI}. Run these tests with: python3 dev.py test")
    base = tmp_path_factory.mktemp("comfyui")
    prepare_base(base)
    settings = base / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(SETTINGS))
    packs = Path(__file__).with_name("events_pack"), PACK / "tests" / "host" / "small_presets_pack"
    for pack in packs:
        (base / "custom_nodes" / pack.name).symlink_to(pack)
    with running(
        COMFYUI, base, arguments=("--whitelist-custom-nodes", "tha4", *(pack.name for pack in packs))
    ) as server:
        yield server


@pytest.fixture(scope="session")
def with_student(web_server: ComfyUI, lambda_00: Path) -> str:
    """The name of a student that the server has."""
    (web_server.base / "models" / "tha4" / "students" / "lambda_00").symlink_to(lambda_00)
    return "lambda_00"


@pytest.fixture(scope="session", params=["classic", "nodes2"])
def opened(request: pytest.FixtureRequest, browser: Browser, web_server: ComfyUI) -> Iterator[ComfyPage]:
    """The page, opened once for each renderer; pytest runs the tests of one before those of the other."""
    nodes2 = request.param == "nodes2"
    web_server.post("/settings", {"Comfy.VueNodes.Enabled": nodes2})
    context = browser.new_context(viewport=VIEW)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = ComfyPage(context.new_page(), nodes2)
    page.open(web_server.address)
    yield page
    context.close()


@pytest.fixture
def comfy(opened: ComfyPage) -> Iterator[ComfyPage]:
    """The page with an empty graph. Afterwards nothing of ours may stand in its console as an error."""
    opened.errors.clear()
    opened.clear()
    yield opened
    assert opened.errors == []
