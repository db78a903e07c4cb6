"""The newest release of ComfyUI's page, which users may have updated: the pack's nodes and panels work in it too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import distributions, version
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Route

from tests.browser.comfy_page import ComfyPage
from tests.browser.conftest import VIEW
from tests.browser.editor_page import Editor
from tests.browser.test_page import WRONG, template
from tests.host.comfyui import ComfyUI

FOLDER = Path(sys.prefix) / "newest-frontend"  # where dev.py installs it
STATIC = FOLDER / "comfyui_frontend_package" / "static"


def give_file(route: Route) -> None:
    """Answer with the newest page's file of that path; everything else is the server's."""
    path = (STATIC / urlsplit(route.request.url).path.lstrip("/")).resolve()
    path = path / "index.html" if path == STATIC else path
    if path.is_relative_to(STATIC) and path.is_file():
        route.fulfill(path=path)
    else:
        route.continue_()


@pytest.fixture(params=["classic", "nodes2"])
def page(request: pytest.FixtureRequest, browser: Browser, web_server: ComfyUI) -> Iterator[ComfyPage]:
    """The newest page, with the server of the other tests behind it. Nothing of ours may stand in its console."""
    if not STATIC.is_dir():
        pytest.skip("THE NEWEST PAGE OF COMFYUI IS NOT INSTALLED: only ComfyUI's own is tried (python3 dev.py test)")
    nodes2 = request.param == "nodes2"
    web_server.post("/settings", {"Comfy.VueNodes.Enabled": nodes2})
    context = browser.new_context(viewport=VIEW)
    context.route("**/*", give_file)
    page = ComfyPage(context.new_page(), nodes2)
    page.open(web_server.address)
    page.clear()
    yield page
    context.close()
    assert page.errors == []


def test_nodes_templates_and_a_panel_work_in_the_newest_page(page: ComfyPage, web_server: ComfyUI) -> None:
    (newest,) = distributions(path=[str(FOLDER)])
    assert page.page.evaluate("() => window.__COMFYUI_FRONTEND_VERSION__") == newest.version
    assert newest.version != version("comfyui-frontend-package")
    ours = [name for name in web_server.get("/object_info") if name.startswith("THA4")]
    assert ours
    known = page.page.evaluate("() => Object.keys(LiteGraph.registered_node_types)")
    assert set(ours) <= set(known)
    page.load(template("06 Fast student"))
    assert page.page.evaluate(WRONG) == []
    page.clear()
    editor = Editor(page, page.add("THA4PoseVector", 300, 80))
    before = editor.settle().picture()
    page.drag(editor.zone("head"), (0.5, 0.5), (0.1, 0.3))
    assert editor.pose()["head_y"] > 0.3
    assert (editor.settle().picture() != before).any()
