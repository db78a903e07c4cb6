"""THA4 for ComfyUI: what ComfyUI looks for when it loads this folder."""

from .nodes import comfy_entrypoint

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
