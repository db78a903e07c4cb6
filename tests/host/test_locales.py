"""The translations: complete, none left over, and read by ComfyUI. English is what the schemas say themselves."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.host.comfyui import PACK, ComfyUI
from tha4_core.motion.groups import GROUPS
from tha4_core.picture.diagnosis import NOTES, WARNINGS
from tha4_core.weights import PUBLICATIONS

LANGUAGES = ("ja", "ko", "zh")
SCRIPTS = PACK / "web" / "js"


def translation(language: str, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((PACK / "locales" / language / f"{name}.json").read_text(encoding="utf-8"))
    return content


def texts(content: object, path: str = "") -> dict[str, str]:
    """Every text of nested objects by its place, such as `THA4LoadStudent.inputs.student.name`."""
    if isinstance(content, dict):
        return {k: v for key, value in content.items() for k, v in texts(value, f"{path}.{key}").items()}
    return {path.removeprefix("."): str(content)}


def expected(info: dict[str, Any]) -> set[str]:
    """The places where texts of one node's schema have their translations."""
    places = {"display_name", "description"}
    for group in ("required", "optional"):
        for name in info["input"].get(group, {}):
            places |= {f"inputs.{name}.name", f"inputs.{name}.tooltip"}
    tooltips = info.get("output_tooltips") or [None] * len(info["output_name"])
    for index, tooltip in enumerate(tooltips):
        places |= {f"outputs.{index}.name", *([f"outputs.{index}.tooltip"] if tooltip else [])}
    return places


def test_there_are_these_languages() -> None:
    assert sorted(path.name for path in (PACK / "locales").iterdir()) == sorted(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_node_input_and_output_is_translated_and_nothing_is_left_over(server: ComfyUI, language: str) -> None:
    ours = {name: info for name, info in server.get("/object_info").items() if name.startswith("THA4")}
    wanted = {f"{name}.{place}" for name, info in ours.items() for place in expected(info)}
    found = {place for place, text in texts(translation(language, "nodeDefs")).items() if text.strip()}
    assert {"missing": sorted(wanted - found), "left over": sorted(found - wanted)} == {"missing": [], "left over": []}


@pytest.mark.parametrize("language", LANGUAGES)
def test_settings_are_translated(language: str) -> None:
    ids = set(re.findall(r'"(THA4\.[\w.]+)"', (SCRIPTS / "settings.js").read_text())) - {"THA4.Settings"}
    assert set(translation(language, "settings")) == {each.replace(".", "_") for each in ids}


def widget_texts() -> set[str]:
    """The texts of the widgets: given to `text`, constants, states, parts of the character, licences, findings."""
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS.rglob("*.js"))
    found = set(re.findall(r'\btext\("([^"]+)"', scripts)) | set(re.findall(r'^const HOW = "([^"]+)"', scripts, re.M))
    found |= set(re.findall(r'button\("\w+", "[^"]+", "([^"]+)"', scripts))
    states = re.findall(r"^const (?:STATES|ADVICE) = \{(.*?)\}", scripts, re.M | re.S)
    assert len(states) == 2
    found |= {*re.findall(r'"([^"]+)"', " ".join(states)), *GROUPS, "face"}
    found |= {publication.licence for publication in PUBLICATIONS.values()}
    return found | {f"finding.{code}" for code in (*WARNINGS, *NOTES)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_texts_of_the_widgets_are_translated(language: str) -> None:
    found = {text for text, translated in translation(language, "main")["tha4"].items() if translated.strip()}
    assert {"missing": widget_texts() - found, "left over": found - widget_texts()} == {
        "missing": set(),
        "left over": set(),
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_keeps_the_places_of_numbers(language: str) -> None:
    for text, translated in translation(language, "main")["tha4"].items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", translated)), text


def without_names(template: str) -> str:
    return re.sub(r"\{\w+\}", "{}", template)


def python_texts(source: str) -> Iterator[str]:
    """Every text of Python's source, with `{}` where an f-string has a value."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def sent_sentences() -> set[str]:
    """The lines of what messages are made of: texts of the library, nodes and routes, and of errors in the page."""
    sources = [
        path.read_text(encoding="utf-8") for room in ("tha4_core", "nodes") for path in (PACK / room).rglob("*.py")
    ]
    errors = re.findall(r"Error\([`\"](.+?)[`\"]\)", "\n".join(path.read_text() for path in SCRIPTS.rglob("*.js")))
    found = {text for source in sources for text in python_texts(source)}
    found |= {re.sub(r"\$\{.*?\}", "{}", text) for text in errors}
    return {line.replace("{}{}", "{}") for text in found for line in text.splitlines()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_that_is_translated_is_one_that_is_sent(language: str) -> None:
    """Else a sentence that was changed would stay English on the page, and nobody would see it."""
    messages = translation(language, "main")["tha4Messages"]
    assert list(messages) == list(translation("ja", "main")["tha4Messages"])
    assert [text for text, translated in messages.items() if not translated.strip()] == []
    sent = sent_sentences()
    assert [each for each in map(without_names, messages) if not any(one.startswith(each) for one in sent)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translated_message_keeps_its_places(language: str) -> None:
    for text, translated in translation(language, "main")["tha4Messages"].items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", translated)), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_has_what_the_page_reads_as_a_command(language: str) -> None:
    """The page's message format gives these characters a meaning, and shows nothing where they make no sense."""
    for name in ("nodeDefs", "settings"):
        assert [text for text in texts(translation(language, name)).values() if re.search(r"[{}@|]", text)] == []


def test_comfyui_reads_them(server: ComfyUI) -> None:
    assert server.get("/i18n")["ja"]["nodeDefs"]["THA4PoseVector"] == translation("ja", "nodeDefs")["THA4PoseVector"]
