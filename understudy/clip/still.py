"""Pictures in files: read as 8-bit sRGB and the right way up, written whole or not at all."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from understudy.clip.colour import over
from understudy.clip.landing import landing, refuse_existing
from understudy.clip.media import MAX_PIXELS, WHITE, AnyPath, Picture, Warn, beginning, existing, say
from understudy.clip.metadata import exif_of, png_text
from understudy.clip.upright import Turn
from understudy.errors import BadOption, TooLarge, UnreadableMedia

_ORIENTATION = 0x0112  # EXIF tag
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, struct.error, zlib.error)
_SCALE_DOWN = "scale it down first: 2000 pixels on the longer side are plenty"
_SPACES = {"RGB": "RGB", "CMYK": "CMYK", "L": "GRAY"}  # Pillow's modes that a colour profile can be for


def opener(start: bytes) -> type[ImageFile.ImageFile] | None:
    """The class that reads a picture which begins so; none where it is no picture.

    Pillow's own `Image.open` tries every format it knows, obscure ones included, and judges by a limit of its own."""
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile
    if start.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    if start[:6] in (b"GIF87a", b"GIF89a"):
        return GifImagePlugin.GifImageFile
    if start[:2] == b"BM":
        return BmpImagePlugin.BmpImageFile
    if start[:4] in (b"II*\0", b"MM\0*"):
        return TiffImagePlugin.TiffImageFile
    if start[4:12] in (b"ftypavif", b"ftypavis"):
        return _avif()
    return None


def _avif() -> type[ImageFile.ImageFile] | None:
    try:
        from PIL import AvifImagePlugin  # Pillow 11.3 and later
    except ImportError:
        return None
    return AvifImagePlugin.AvifImageFile


@contextlib.contextmanager
def opened(path: Path, max_pixels: float = MAX_PIXELS) -> Iterator[ImageFile.ImageFile]:
    """A picture whose header has been read and nothing else.

    Errors: `UnreadableMedia` where it is no picture or turns out to be damaged, also in the hands of the caller;
    `TooLarge` by what its header says."""
    kind = opener(beginning(path))
    if kind is None:
        raise UnreadableMedia(
            f"{path} is not a picture", f"it begins with {beginning(path, 8)!r}", "give a PNG, JPEG or WebP file"
        )
    with path.open("rb") as file:
        try:
            with kind(file, str(path)) as picture:
                refuse_large(path, picture.size, max_pixels)
                yield picture
        except Image.DecompressionBombError as error:  # WebP's reader looks before it tells the size
            raise TooLarge(f"{path} is too large", str(error), _SCALE_DOWN) from error
        except _DAMAGED as error:
            remedy = "copy or download it again, or save it anew"
            raise UnreadableMedia(f"{path} is a damaged picture", str(error), remedy) from error


def refuse_large(path: Path, size: tuple[int, int], max_pixels: float) -> None:
    """Errors: `TooLarge` when a picture of this size (width, height) has more than `max_pixels`."""
    if size[0] * size[1] > max_pixels:
        raise TooLarge(
            f"{path} is too large",
            f"{size[0]}x{size[1]} pixels, and the limit is {max_pixels / 1e6:.3g} million",
            _SCALE_DOWN,
        )


def read_picture(
    path: AnyPath,
    *,
    max_pixels: float = MAX_PIXELS,
    background: tuple[int, int, int] = WHITE,
    warn: Warn = say,
) -> Picture:
    """A picture as `(h, w, 3) uint8` sRGB, the right way up; what is transparent shows `background`, white by default.

    Sixteen bits become eight, CMYK and embedded colour profiles sRGB, palettes and greys colours; of an animated
    picture, the first frame. Errors: `MissingFile`, `UnreadableMedia`, `TooLarge` (before anything is decoded)."""
    rgba = read_picture_rgba(path, max_pixels=max_pixels, warn=warn)
    return over(rgba, background)


def read_picture_rgba(path: AnyPath, *, max_pixels: float = MAX_PIXELS, warn: Warn = say) -> Picture:
    """As `read_picture`, with straight alpha: `(h, w, 4) uint8`, alpha 255 everywhere in a picture that has none."""
    path = existing(path)
    with opened(path, max_pixels) as picture:
        picture.load()
        rgba = rgba_of(picture, path, warn)
        orientation = picture.getexif().get(_ORIENTATION, 1)
    return np.ascontiguousarray(Turn.of_exif(orientation)(rgba))


def rgba_of(picture: Image.Image, path: Path, warn: Warn) -> Picture:
    """A loaded Pillow picture of any mode as `(h, w, 4) uint8` sRGB with straight alpha."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        grey = _eight_bits(np.asarray(picture))
        return np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    alpha = None
    if picture.has_transparency_data:
        straight = picture.convert("RGBA")
        alpha = np.asarray(straight.getchannel("A"))
        picture = straight.convert("RGB") if picture.mode != "LA" else picture.getchannel("L")
    rgb = np.asarray(_srgb(picture, path, warn))
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8) if alpha is None else alpha])


def _eight_bits(grey: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """A grey picture of 16 or 32 bits, or of real numbers, as 8 bits. Its white is the white of its kind."""
    top = float(grey.max(initial=0))
    if grey.dtype == np.uint16:
        white = 65535.0
    elif grey.dtype.kind == "f":
        white = 1.0 if top <= 1 else 255.0
    else:
        white = next((limit for limit in (255.0, 65535.0) if top <= limit), 2147483647.0)
    return np.rint(np.clip(grey.astype(np.float64) / white, 0, 1) * 255).astype(np.uint8)


def _srgb(picture: Image.Image, path: Path, warn: Warn) -> Image.Image:
    """In sRGB: through the picture's own colour profile where it carries one that can be used."""
    if picture.mode not in _SPACES:
        picture = picture.convert("RGB")
    embedded = picture.info.get("icc_profile")
    if embedded:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
            if not _plain(profile, picture.mode):
                srgb = ImageCms.createProfile("sRGB")
                return ImageCms.profileToProfile(picture, profile, srgb, outputMode="RGB") or picture.convert("RGB")
        except (ImageCms.PyCMSError, OSError) as error:
            warn(f"{path}: its colour profile cannot be used ({error}), so colours are taken as sRGB")
    return picture.convert("RGB")


def _plain(profile: ImageCms.ImageCmsProfile, mode: str) -> bool:
    """Whether a profile changes nothing: sRGB itself, or one for another kind of colours than the picture's."""
    space = profile.profile.xcolor_space.strip()
    return space != _SPACES[mode] or ImageCms.getProfileDescription(profile).startswith("sRGB")


def write_picture(
    path: AnyPath,
    picture: Picture,
    *,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
    quality: int = 95,
    seal: Callable[[Path], None] | None = None,
) -> Path:
    """Write `(h, w, 3 or 4) uint8` as PNG, JPEG (`quality` 1 to 100) or WebP (lossless), by the name's ending.

    `seal` is given the finished file before it takes its name, and may change it in place.

    Errors: `BadOption` for another ending, `Exists` unless `overwrite`, `Unwritable`; then nothing bears the name."""
    path = Path(path)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (3, 4):
        raise ValueError(f"a picture is (h, w, 3 or 4) uint8; this is {picture.shape} {picture.dtype}")
    options = _saving(path, dict(metadata or {}), quality)
    if options["format"] == "JPEG":
        picture = over(picture, WHITE) if picture.shape[2] == 4 else picture
    refuse_existing(path, overwrite)
    with landing(path, overwrite) as temporary:
        Image.fromarray(picture).save(temporary, **options)
        if seal:
            seal(temporary)
    return path


def _saving(path: Path, metadata: dict[str, str], quality: int) -> dict[str, Any]:
    """Pillow's options for a kind of file."""
    match path.suffix.lower():
        case ".png":
            return {"format": "PNG", "pnginfo": png_text(metadata), "compress_level": 4}
        case ".jpg" | ".jpeg":
            return {"format": "JPEG", "quality": quality, "subsampling": 0, "exif": exif_of(metadata)}
        case ".webp":
            return {"format": "WEBP", "lossless": True, "exif": exif_of(metadata)}
    seen = f"the ending {path.suffix!r}"
    raise BadOption(f"{path} cannot be written as a picture", seen, "end it in .png, .jpg or .webp")
