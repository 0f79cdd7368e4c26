"""The C2PA manifest of a result: what it is, by what it was made, from what; signed, and put into the file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from understudy import __version__
from understudy.clip import Warn
from understudy.errors import UnderstudyError
from understudy.provenance.identity import identity

Seal = Callable[[Path], None]
"""Signs a file where it is, before it takes its final name."""

PROGRAM: Final = "Understudy"
PERFORMANCE: Final = "understudy.performance"  # the assertion that holds our own facts
MIME: Final = {
    ".mp4": "video/mp4", ".mov": "video/quicktime", ".avi": "video/avi", ".gif": "image/gif",
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
}  # fmt: skip
SOURCE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_OFFLINE: Final = {
    "version": 1,
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"ocsp_fetch": False, "remote_manifest_fetch": False, "verify_after_sign": False},
}


def can_sign() -> bool:
    """Whether the extra `provenance` is installed."""
    return find_spec("c2pa") is not None and find_spec("cryptography") is not None


def sealing(facts: Mapping[str, Any], warn: Warn) -> Seal | None:
    """What signs a result of which `facts` are true, JSON values by name; None without the extra.

    A result is worth more than its signature: where signing fails, that is a warning, and the file stays as it is."""
    if not can_sign():
        return None

    def seal(path: Path) -> None:
        from c2pa import C2paError

        try:
            sign(path, facts)
        except (C2paError, UnderstudyError, OSError) as error:
            warn(f"the result is not signed: {error}")

    return seal


def sign(path: Path, facts: Mapping[str, Any]) -> None:
    """Sign a file, in one step and in place; a kind of file that cannot carry a manifest is left as it is.

    Errors: C2PA's own, those of `identity`, and of the disk; then the file is as it was."""
    import c2pa

    kind = MIME.get(path.suffix.lower())
    if kind is None:
        return
    own = identity()
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", own.chain.encode(), own.key.encode(), None))
    fresh = path.with_name(f".{path.name}.signing")
    context = c2pa.Context.from_dict(_OFFLINE)
    try:
        with path.open("rb") as source, fresh.open("w+b") as target:
            c2pa.Builder.from_json(json.dumps(manifest(path, facts)), context).sign(signer, kind, source, target)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def manifest(path: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest before it is signed."""
    program = {"name": PROGRAM, "version": __version__}
    made = {"action": "c2pa.created", "digitalSourceType": SOURCE, "softwareAgent": program}
    return {
        "claim_generator_info": [program],
        "title": str(facts.get("title") or path.name),
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [made]}},
            {"label": PERFORMANCE, "data": dict(facts)},
        ],
    }
