"""The verb `animate(portrait, driving)`: a picture performs what a driver does; and the public program in three lines.

Two passes. The first watches the driver: frames -> motion, spooled to disk beside the result, from which the driver's
best-matching frame is chosen. The second draws the portrait from the spool and writes the film. Both are chains of
generators with threads between them, and neither ever holds more than a few frames. A film that was stopped goes on:
what was watched is not watched again, what was drawn is not drawn again.
"""

from understudy.animate.acting import act
from understudy.animate.engine import Engine, load
from understudy.animate.pace import Progress
from understudy.animate.perform import Result, Stopped, animate

__all__ = ["Engine", "Progress", "Result", "Stopped", "act", "animate", "load"]
