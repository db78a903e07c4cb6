"""What the live page gets of the library."""

import json

from tha4_core import pose
from tha4_core.motion import expressions, live


def test_all_of_it_is_plain_json() -> None:
    library = live.library()
    assert json.loads(json.dumps(library, allow_nan=False)).keys() == {"parameters", "expressions", "live"}
    assert [parameter["name"] for parameter in library["parameters"]] == list(pose.NAMES)
    assert {one["name"] for one in library["expressions"]} == set(expressions.built_in())


def test_the_vocal_tracts_have_as_many_templates_as_vowels_have_places() -> None:
    speech = live.library()["live"]["speech"]
    assert {len(templates) for templates in speech["tracts"]} == {sum(speech["places"])}
    assert len(speech["mouth"]) == len(speech["places"]) == len(speech["weights"])
