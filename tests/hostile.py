"""Inputs that mean no good: damaged media, huge pictures, lists that point elsewhere, tricks with names and forms."""

from __future__ import annotations

import io
import json
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import clip_made
import faces
import numpy as np
from PIL import Image

from understudy.clip import Sound, write, write_sound
from understudy.motion.livelink import write_livelink

Part = tuple[str, str, bytes]
"""Field, file name, content."""


@dataclass
class Case:
    """A form. Whether it `may` be accepted: what was damaged may still be a picture."""

    name: str
    files: list[Part]
    options: dict[str, str] = field(default_factory=dict)
    may: bool = False
    raw: bytes | None = None  # a body instead of a form
    chunked: bool = False  # without saying how long it is


@dataclass
class Material:
    """What is good, to be spoilt."""

    portrait: bytes
    film: bytes
    others: dict[str, bytes]


def material(place: Path, portrait: Path, film: Path) -> Material:
    """Small files of every kind."""
    others = {}
    with Image.open(portrait) as picture:
        for kind in ("JPEG", "WEBP", "GIF", "BMP", "TIFF"):
            held = io.BytesIO()
            picture.convert("RGB").resize((96, 96)).save(held, kind)
            others[kind.lower()] = held.getvalue()
    for ending in (".mkv", ".webm", ".avi", ".gif"):
        path = place / f"film{ending}"
        write(path, clip_made.made(6), fps=25)
        others[f"film{ending}"] = path.read_bytes()
    motion = faces.performance(0, 10)
    motion.save(place / "motion.safetensors")
    write_livelink(place / "take.csv", motion)
    hum = np.sin(np.arange(8000) * 0.1).astype(np.float32)[:, None] * 0.3
    for ending in (".wav", ".mp3", ".ogg"):
        others[f"sound{ending}"] = write_sound(place / f"sound{ending}", Sound(hum, 16_000)).read_bytes()
    others["motion"] = (place / "motion.safetensors").read_bytes()
    others["csv"] = (place / "take.csv").read_bytes()
    return Material(portrait.read_bytes(), film.read_bytes(), others)


def cases(given: Material, secret: Path, port: int, most: int, many: int) -> Iterator[Case]:
    """`many` of them, of all kinds in turn, the same ones every time. `secret`: a file that nothing may show; `port`:
    where nobody may call; `most`: bytes that a job may have."""
    kinds = [
        _damaged(given), _huge(given), _lists(given, secret, port), _names(given), _forms(given, most), _motions(given),
    ]  # fmt: skip
    made = 0
    while made < many:
        for kind in kinds:
            if made < many:
                yield next(kind)
                made += 1


def _damaged(given: Material) -> Iterator[Case]:
    media = [("png", given.portrait), ("film", given.film), *given.others.items()]
    for number in count():
        chance = random.Random(number)
        name, data = media[number % len(media)]
        spoilt = _spoilt(data, chance)
        if name.startswith("sound"):
            yield Case(f"damaged voice {name} {number}", [_portrait(given), ("voice", name, spoilt)], may=True)
        elif name in ("motion", "csv"):
            yield Case(f"damaged {name} {number}", [_portrait(given), ("motion", name, spoilt)], may=True)
        elif chance.random() < 0.5 and not name.startswith("film"):
            yield Case(f"damaged portrait {name} {number}", [("portrait", name, spoilt), _film(given)], may=True)
        else:
            yield Case(f"damaged driver {name} {number}", [_portrait(given), ("driving", name, spoilt)], may=True)


def _spoilt(data: bytes, chance: random.Random) -> bytes:
    """Bits flipped, cut short, repeated, or overwritten with large numbers."""
    held = bytearray(data)
    match chance.randrange(5):
        case 0:
            for _ in range(chance.choice((1, 5, 50))):
                held[chance.randrange(len(held))] ^= 1 << chance.randrange(8)
        case 1:
            del held[chance.randrange(1, len(held)) :]
        case 2:
            at, length = chance.randrange(len(held)), chance.randrange(1, 4000)
            held[at:at] = held[at : at + length] * 3
        case 3:
            for _ in range(4):
                at = chance.randrange(min(len(held) - 4, 4000))
                held[at : at + 4] = chance.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0"))
        case 4:
            at = chance.randrange(min(200, len(held)))
            held[at:] = chance.randbytes(len(held) - at)
    return bytes(held)


def _huge(given: Material) -> Iterator[Case]:
    for number in count():
        side = 30_000 + number
        for name, data in (
            ("png", _png(side, side)),
            ("jpeg", _resized_jpeg(given.others["jpeg"], 65_000)),
            ("gif", given.others["gif"][:6] + struct.pack("<HH", 65_535, 65_535) + given.others["gif"][10:]),
            ("bmp", given.others["bmp"][:18] + struct.pack("<ii", side, side) + given.others["bmp"][26:]),
            ("bomb", _png(side, 9_000, filled=True)),
        ):
            which = "portrait" if number % 2 else "driving"
            files = [(which, f"huge.{name}", data), _film(given) if which == "portrait" else _portrait(given)]
            yield Case(f"huge {which} {name} {side}", files)


def _png(width: int, height: int, filled: bool = False) -> bytes:
    """A picture of which only the header is large; or, `filled`, one whose pixels are all there, and black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(b"\0" * ((width // 8 + 1) * height if filled else 1000), 9)
    header = struct.pack(">IIBBBBB", width, height, 1 if filled else 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _resized_jpeg(data: bytes, side: int) -> bytes:
    at = next(at for at in range(len(data)) if data[at : at + 2] in (b"\xff\xc0", b"\xff\xc2"))
    return data[: at + 5] + struct.pack(">HH", side, side) + data[at + 9 :]


def _lists(given: Material, secret: Path, port: int) -> Iterator[Case]:
    """Text that FFmpeg would follow to other files, and to addresses."""
    places = (f"file://{secret}", str(secret), f"http://127.0.0.1:{port}/x.mp4", f"tcp://127.0.0.1:{port}")
    for number in count():
        for place in places:
            for ending, text in (
                ("m3u8", f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:{number}\n#EXTINF:10.0,\n{place}\n#EXT-X-ENDLIST\n"),
                ("mp4", f"#EXTM3U\n#EXT-X-TARGETDURATION:{number + 1}\n#EXTINF:1,\nconcat:{place}|{place}\n"),
                ("ffconcat", f"ffconcat version 1.0\nfile '{place}'\n# {number}\n"),
                ("mpd", f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><!--{number}--><Period>'
                        f"<BaseURL>{place}</BaseURL></Period></MPD>"),
                ("sdp", f"v=0\no=- {number} 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\n"),
                ("svg", f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{place}"/><!--{number}--></svg>'),
            ):  # fmt: skip
                which = ("driving", "voice", "portrait")[number % 3]
                files = [(which, f"list.{ending}", text.encode())]
                files.append(_film(given) if which == "portrait" else _portrait(given))
                yield Case(f"list {which} {ending} {place} {number}", files)


def _names(given: Material) -> Iterator[Case]:
    """Names that would be paths elsewhere, on files that cannot be used: whatever is made of them would be left."""
    names = (
        "../../escaped.png", "/tmp/escaped.png", "..\\..\\escaped.png", "C:\\escaped.png", "escaped\0.png", "a" * 3000,
        ".", "..", "", "con", "jobs.sqlite", "../jobs.sqlite", "%2e%2e%2fescaped.png", "portrait; rm -rf escaped",
        "${HOME}/escaped", "\u202egnp.escaped", "file:///escaped", "-o escaped",
    )  # fmt: skip
    for number in count():
        for name in names:
            yield Case(f"file name {name[:20]!r} {number}", [("portrait", name, b"nothing"), ("driving", name, b"no")])
            yield Case(f"field {name[:20]!r} {number}", [_portrait(given), _film(given), (name or "x", "a.png", b"no")])


def _forms(given: Material, most: int) -> Iterator[Case]:
    portrait, film = _portrait(given), _film(given)
    for number in count():
        pad = b"\0" * (most + number)
        yield Case(f"large {number}", [portrait, ("driving", "a.mp4", pad)])
        yield Case(f"large and silent {number}", [portrait, ("driving", "a.mp4", pad)], chunked=True)
        yield Case(f"twice {number}", [portrait, portrait, film])
        yield Case(f"no end {number}", [], raw=b'--x\r\nContent-Disposition: form-data; name="portrait"\r\n\r\nabc')
        yield Case(f"no form {number}", [], raw=random.Random(number).randbytes(1000))
        yield Case(f"nothing {number}", [], raw=b"")
        yield Case(f"many fields {number}", [portrait], {f"field{k}": "x" for k in range(100)})
        for name, value in (
            ("strength", "nan"), ("strength", "1e999"), ("seed", "-1"), ("seed", "1e3"), ("max_size", "1000000"),
            ("max_size", "9" * 400), ("only", "../.."), ("only", ""), ("model", "../../etc/passwd"), ("model", "\0"),
            ("reference_frame", "0x1"), ("face", "1" * 30), ("face", "\u0663\u00b2"), ("device", "cuda"),
            ("out", "/tmp/escaped.mp4"), ("force", "true"), ("progress", "1"), ("command", "x" * 3000),
            ("relative", "?"), ("mouth", "own'; drop table jobs"), ("license", "free"), ("voice", "hello"),
        ):  # fmt: skip
            yield Case(f"option {name}={value[:20]} {number}", [portrait, film], {name: value})


def _motions(given: Material) -> Iterator[Case]:
    """Motion files whose headers lie."""
    for number in count():
        for name, data in (
            ("long header", struct.pack("<Q", 1 << 60) + b"{" + b" " * number),
            ("no header", struct.pack("<Q", 2) + b"{}" + b" " * number),
            ("deep header", _header(b'{"a":' + b"[" * 100_000)),
            ("other tensors", _header(json.dumps({"x": _tensor([4], (0, 16))}).encode()) + b"\0" * 16),
            ("huge tensor", _header(json.dumps({"points": _tensor([1 << 40, 478, 3], (0, 16))}).encode()) + b"\0" * 16),
            ("wide csv", b"Timecode,BlendshapeCount" + b",jawOpen" * 100_000 + b"\n" + b"1," * 1000),
            ("binary csv", random.Random(number).randbytes(5000)),
            ("formula csv", b'Timecode,BlendshapeCount\n=cmd|"/c calc",1\n'),
        ):
            yield Case(f"motion {name} {number}", [_portrait(given), ("motion", name, data)], may=name == "wide csv")


def _header(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _tensor(shape: list[int], offsets: tuple[int, int]) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": offsets}


def _portrait(given: Material) -> Part:
    return ("portrait", "portrait.png", given.portrait)


def _film(given: Material) -> Part:
    return ("driving", "driving.mp4", given.film)
