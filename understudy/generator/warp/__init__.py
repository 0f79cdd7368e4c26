"""The warp engine: a portrait bent to a driver's mesh."""

from understudy.generator.warp.transfer import Amounts, Reference, best_frame
from understudy.generator.warp.warp import Warp, WarpOptions

__all__ = ["Amounts", "Reference", "Warp", "WarpOptions", "best_frame"]
