"""The people of `understudy demo`, drawn anew: two portraits and a driving film of the cast into understudy/assets.

    python runs/demo_assets.py        some minutes on a CPU; needs torch, and nothing from anywhere else

The seeds were chosen by eye. Run it again when the cast has learned to look better.
"""

from __future__ import annotations

from pathlib import Path

from understudy import __version__
from understudy.cast import stage
from understudy.cast.film import motion
from understudy.cast.how import neutral
from understudy.cast.who import sample
from understudy.clip import write, write_picture

ASSETS = Path(__file__).resolve().parent.parent / "understudy" / "assets"
PORTRAITS = {"painted": (110, "paint"), "realistic": (117, "realistic")}  # who, style
DRIVER = (115, 24)  # who, how
CALM = 0.5  # of the usual turns of the head: a bent picture follows about 30 degrees, and this is the first impression
SECONDS, FPS, SIZE = 6.0, 25.0, 512
SMILE = {
    "mouthSmileLeft": 0.42, "mouthSmileRight": 0.38, "eyeSquintLeft": 0.1, "eyeSquintRight": 0.1,
    "cheekSquintLeft": 0.15, "cheekSquintRight": 0.15,
}  # fmt: skip


def words(cast: str) -> dict[str, str]:
    """Metadata: that nobody is shown."""
    return {
        "synthetic": "AI-generated: a made-up person of Understudy's cast; nobody who exists is shown.",
        "software": f"Understudy {__version__}",
        "cast": cast,
    }


def main() -> None:
    ASSETS.mkdir(exist_ok=True)
    for name, (who, style) in PORTRAITS.items():
        picture = next(stage.frames(sample([who], style), neutral(1).having(**SMILE), 768, 2))
        path = ASSETS / f"portrait-{name}.jpg"
        write_picture(path, picture, metadata=words(f"who {who}, style {style}"), overwrite=True, quality=90)
        print(path)
    who, how = DRIVER
    frames = stage.frames(sample([who], "realistic"), motion(how, 0, round(SECONDS * FPS), FPS, CALM), SIZE)
    metadata = words(f"who {who}, how {how}, style realistic, calm {CALM:g}")
    print(write(ASSETS / "driver.mp4", frames, fps=FPS, metadata=metadata, quality=26, overwrite=True).path)


if __name__ == "__main__":
    main()
