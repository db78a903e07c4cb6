"""ES modules as one script: what the bundler refuses, and that it leaves nothing to chance.

That the script does what the modules do is in tests/browser/test_export.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tha4_core.errors import PageError
from tha4_core.export.modules import bundle


def write(folder: Path, **modules: str) -> Path:
    """Modules by their names without `.js`, of which `main` is the entry."""
    for name, text in modules.items():
        (folder / f"{name}.js").write_bytes(text.encode())
    return folder


@pytest.mark.parametrize(
    ("main", "message"),
    [
        ('import { a } from "./missing.js";', "missing.js"),
        ('import { b } from "./other.js";', "b is not exported by other.js"),
        ('import { a as } from "./other.js";', "a as is not exported"),
        ('import * as all from "./other.js";', r"not known to the bundler: import \*"),
        ('import a from "./other.js";', "not known"),
        ('  import { a } from "./other.js";', "not known"),
        ('const a = await import("./other.js");', "not known"),
        ("const a = import(`./other.js`);", "not known"),
        ("const here = import.meta.url;", "not known"),
        ("await 1;", "not known"),
        ("export let a = 1;", "not known"),
        ("export default 1;", "not known"),
        ('export { a } from "./other.js";', "not known"),
        ("export const { a } = b;", "not known"),
        ('import "../outside.js";', "no module of the folder"),
        ('import "https://example.com/a.js";', "no module of the folder"),
        ('import "/etc/passwd";', "no module of the folder"),
        ('import "./main.js";', "imports itself by way of main.js"),
        ('import "./circle.js";', "main.js: imports itself by way of main.js, circle.js"),
        ('const a = "</SCRIPT>";', "would end the page's script"),
        ('const a = "<!--";', "would end the page's script"),
        ('const a = new URL("./main.js", import.meta.url);\nexport let b = 1;', "not known"),
        ('const a = new URL("./circle.js", import.meta.url);', "circle.js: this is not known"),
    ],
)
def test_what_it_does_not_know_is_an_error_that_names_the_module(tmp_path: Path, main: str, message: str) -> None:
    write(tmp_path, main=main, other="export const a = 1;", circle='import "./main.js";')
    (tmp_path.parent / "outside.js").write_text("")
    with pytest.raises(PageError, match=message):
        bundle(tmp_path, "main.js")


def test_an_import_of_what_the_page_makes_stays_as_it_is(tmp_path: Path) -> None:
    call = "export const load = async (bytes) => import(URL.createObjectURL(new Blob([bytes])));"
    write(tmp_path, main=call, asset=call.removeprefix("export "))
    assert "async (bytes) => import(URL" in bundle(tmp_path, "main.js")
    write(tmp_path, main='const a = new URL("./asset.js", import.meta.url);')
    assert "data:text/javascript" in bundle(tmp_path, "main.js")


def test_a_module_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "main.js").write_bytes(b"\xff\xfe")
    with pytest.raises(PageError, match=r"main\.js: this module cannot be read"):
        bundle(tmp_path, "main.js")


def test_line_ends_make_no_difference(tmp_path: Path) -> None:
    modules = {"main": 'import { a } from "./other.js";\n\nconsole.log(a);\n', "other": "export const a = 1;\n"}
    made = bundle(write(tmp_path, **modules), "main.js")
    assert bundle(write(tmp_path, **{k: v.replace("\n", "\r\n") for k, v in modules.items()}), "main.js") == made


def test_the_page_is_bundled_with_every_module_once() -> None:
    script = bundle(REPOSITORY / "web" / "js", "export/page.js")
    for name in ("live/engine.js", "puppet/puppet.js", "live/inputs/microphone.js", "export/page.js"):
        assert script.count(f"\n// {name}\n") == 1
    assert "import.meta" not in script
