"""A node pack for the tests: a node by which the real server tells of a training that is not there.

A real one takes minutes. The server then sends the events that it is given, and answers the page as they say.
"""

import json
import sys

from server import PromptServer


class Told:
    """Stands for a run of Distill Student: what its events have told so far."""

    prompt_id = ""

    def __init__(self, events):
        self.events = events
        self.state = events[-1]["state"]

    def facts(self):
        facts = {key: value for key, value in self.events[-1].items() if key not in ("loss", "psnr", "preview")}
        facts |= {"losses": self.rows("loss"), "scores": self.rows("psnr")}
        return facts | {"preview": next((e["preview"] for e in reversed(self.events) if e["preview"]), None)}

    def rows(self, name):
        points = (event[name] for event in self.events if event[name])
        return [[point["step"], point["face"], point["body"]] for point in points]


class SendEvents:
    """Sends every event of a JSON list."""

    CATEGORY = "tests"
    RETURN_TYPES = ()
    FUNCTION = "send"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 - ComfyUI's name
        return {"required": {"events": ("STRING", {"multiline": True})}}

    def send(self, events):
        runs = next(m for name, m in sys.modules.items() if name.endswith(".nodes.page.distillations"))._runs
        for event in json.loads(events):
            before = runs[event["name"]].events if event["name"] in runs else []
            if before and event["step"] < before[-1]["step"]:  # another training
                before = []
            runs[event["name"]] = Told([*before, event])
            PromptServer.instance.send_sync("tha4.distill", event)
        return {}


NODE_CLASS_MAPPINGS = {"SendEvents": SendEvents}
