"""Does this Python fit? Exit status 0, or one line that says why not. Written so that any Python can read it."""

import platform
import sys

GOOD = "Linux on x86-64, macOS and Windows"


def why_not():
    # type: () -> str
    """What keeps this Python from running Understudy; nothing where it fits."""
    version = "Python " + ".".join(map(str, sys.version_info[:3]))
    if not (3, 10) <= sys.version_info[:2] < (3, 13):
        return version + " (MediaPipe's models need 3.10 to 3.12)"
    if sys.maxsize < 2**32:
        return version + ", 32 bit (64 bit is needed)"
    if sys.platform.startswith("linux") and platform.machine() != "x86_64":
        return version + " on " + platform.machine() + " (MediaPipe's models come for " + GOOD + ")"
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return version + " without venv (Debian, Ubuntu: sudo apt install python" + sys.version[:4] + "-venv)"
    return ""


if __name__ == "__main__":
    reason = why_not()
    if reason:
        print(reason)
        sys.exit(1)
