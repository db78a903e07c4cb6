"""A node pack for the tests: a node by which the real server sends the events that it is given.

Where there is no Distill Student yet, it also has a node of that name, for the monitor to be on.
"""

import json

from server import PromptServer

import nodes


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
        for event in json.loads(events):
            PromptServer.instance.send_sync("tha4.distill", event)
        return {}


class StandIn(SendEvents):
    """What the monitor is on until there is a Distill Student."""


NODE_CLASS_MAPPINGS = {"SendEvents": SendEvents}
if "THA4DistillStudent" not in nodes.NODE_CLASS_MAPPINGS:
    NODE_CLASS_MAPPINGS["THA4DistillStudent"] = StandIn
