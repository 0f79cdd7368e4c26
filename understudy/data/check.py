"""Is this portrait, driving film or voice good for the job, and what should be changed?

Each check measures and says what it saw; limits stand beside the sentence they lead to. Nothing is rejected for taste:
`unusable` is what the engines refuse, `poor` what will show in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np

from understudy.clip import AnyPath, Picture, read, read_picture
from understudy.clip.landing import landing
from understudy.clip.media import existing, open_media
from understudy.clip.sound import placed, sound_stream
from understudy.clip.still import opener
