"""A node pack for the tests: a node by which the real server sends the events that it is given."""

import json

from server import PromptServer


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


NODE_CLASS_MAPPINGS = {"SendEvents": SendEvents}
