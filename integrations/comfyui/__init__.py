"""Understudy's nodes for ComfyUI: put this folder into ComfyUI's `custom_nodes`, and Understudy into its Python."""

from .nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
