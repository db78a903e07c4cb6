"""The translated help pages follow the English ones: part by part, with the same rows, pictures, links and code.

ComfyUI's page reads `docs/ID/LANGUAGE.md`, else `docs/ID.md`. Both take pictures from `docs/`, whatever the folder.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "web" / "docs"
LANGUAGES = ("ja", "ko", "zh")
PAGES = sorted(page.stem for page in DOCS.glob("*.md"))


def parts(page: Path) -> list[str]:
    """A page's text, cut before every heading; a `#` within a block of code is none."""
    pieces = re.split(r"(```.*?```)", page.read_text(encoding="utf-8"), flags=re.S)
    shielded = "".join(piece.replace("\n#", "\n #") if piece.startswith("```") else piece for piece in pieces)
    return re.split(r"^(?=#)", shielded, flags=re.M)[1:]


def shape(part: str) -> dict[str, Any]:
    """What a translation of this part must have too."""
    text = re.sub(r"```.*?```", "", part, flags=re.S)
    return {
        "level": len(text) - len(text.lstrip("#")),
        "blocks of code": part.count("```") // 2,
        "rows": len(re.findall(r"^\|", text, re.M)),
        "items": len(re.findall(r"^- ", text, re.M)),
        "links": re.findall(r"\]\(([^)]+)\)", text),
        "code": Counter(re.findall(r"`[^`]+`", text)),
        "names": len(re.findall(r"\*\*[^*]+\*\*", text)),
    }


def names(part: str) -> list[str]:
    return re.findall(r"^\| \*\*(.+?)\*\*", part, re.M)


def test_every_page_is_translated_and_no_translation_is_left_over() -> None:
    found = {str(page.relative_to(DOCS)) for page in DOCS.glob("*/*")}
    assert found == {f"{page}/{language}.md" for page in PAGES for language in LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_parts_of_the_english_page(language: str) -> None:
    for page in PAGES:
        english, translated = (parts(DOCS / name) for name in (f"{page}.md", f"{page}/{language}.md"))
        assert len(translated) == len(english), page
        for part, other in zip(english, translated, strict=True):
            assert (page, other.splitlines()[0], shape(other)) == (page, other.splitlines()[0], shape(part))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_names_nodes_inputs_and_outputs_as_the_page_shows_them(language: str) -> None:
    shown = json.loads((REPOSITORY / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
    for page in PAGES:
        node, english, translated = shown[page], parts(DOCS / f"{page}.md"), parts(DOCS / page / f"{language}.md")
        assert translated[0].startswith(f"# {node['display_name']}\n"), page
        kinds = [part.split("\n", 1)[0] for part in english]
        inputs, outputs = kinds.index("## Inputs"), kinds.index("## Outputs")
        assert names(translated[inputs]) == [node["inputs"][name]["name"] for name in names(english[inputs])], page
        assert names(translated[outputs]) == [output["name"] for output in node["outputs"].values()], page


@pytest.mark.parametrize("language", LANGUAGES)
def test_stars_of_a_translation_are_read_as_emphasis(language: str) -> None:
    """Markdown shows `**` itself between a bracket and a letter, as in `**fps (Hz)**is` and `the**(fps)**`."""
    for page in PAGES:
        text = (DOCS / page / f"{language}.md").read_text(encoding="utf-8")
        for found in re.finditer(r"\*+([^*\n]+)\*+", text):
            before, after = text[found.start() - 1], text[found.end()]
            assert not (after.isalnum() and not found[1][-1].isalnum()), (page, found[0])
            assert not (before.isalnum() and not found[1][0].isalnum()), (page, found[0])
