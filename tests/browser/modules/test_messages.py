"""Messages of the server in the language of the page: real errors and notes, through the page's own module."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page

from tests.host.comfyui import PACK
from tha4_core.errors import MotionError
from tha4_core.motion import script
from tha4_core.motion.speech import timings

TRANSLATE = """async ([templates, text]) => {
    const { translator } = await import("/messages.js");
    return translator(templates)(text);
}"""
WRONG = (
    "0 foo",
    "0 smiel",
    "1 smile\n0.5 sad",
    "x smile",
    "hold",
    "hold x",
    "0 smile 2",
    "0 smile loud",
    "0 head_y",
    "0 head_y=5",
    "0 head_y=a",
    "0 key 1",
    "0 =1",
    "0 1",
    "0",
    "0 smile in x",
    "0 blink x999",
    "0 say hello",
    '0 say "漢"',
    '0 say "a" b c',
    "99999999 smile",
    "\n".join(f"{i} foo" for i in range(30)),
)


def messages(language: str) -> dict[str, str]:
    content: dict[str, str] = json.loads((PACK / "locales" / language / "main.json").read_text("utf-8"))["tha4Messages"]
    return content


def error_of(text: str) -> str:
    with pytest.raises(MotionError) as wrong:
        script.parse(text)
    return str(wrong.value)


@pytest.mark.parametrize("text", WRONG)
def test_an_error_of_a_script_is_told_in_japanese(modules: Page, text: str) -> None:
    told = modules.evaluate(TRANSLATE, [messages("ja"), error_of(text)])
    # What a user wrote, and what can be written, stay as they are.
    sentences = [re.sub(r"'[^']*'|「[^」]*」|使えるもの.*|もしかして.*|例: .*", "", line) for line in told.splitlines()]
    assert [line for line in sentences if re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", line)] == [], told


def test_places_keep_what_stands_in_them(modules: Page) -> None:
    told = modules.evaluate(TRANSLATE, [messages("ja"), error_of("0 smile\n0.5 foo")])
    assert told.startswith("2 行目、'0.5 foo': 「foo」という表情やパラメーターはありません。 使えるもの: smile, sad")


def test_notes_are_translated_and_what_is_not_known_stays(modules: Page) -> None:
    notes = timings.parse("1 2 [door] a").notes
    told = modules.evaluate(
        TRANSLATE, [messages("ja"), "\n".join((*notes, "1,200 lines were left out; the first: no"))]
    )
    assert told == "話さないもの: [door]。\n読み飛ばし: 1,200 件。最初の 1 件: no"
    assert modules.evaluate(TRANSLATE, [messages("ja"), "Somebody else's text (1.5)."]) == "Somebody else's text (1.5)."
