"""Was this made by Understudy, how, from what; and what the answer is worth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from understudy.clip import AnyPath, read_metadata
from understudy.clip.media import beginning, existing
from understudy.clip.still import opener
from understudy.errors import MediaError, MissingExtra
from understudy.provenance.hashes import content
from understudy.provenance.identity import ISSUER, known
from understudy.provenance.manifest import PERFORMANCE, PROGRAM, can_sign

Origin = Literal["here", "trusted", "understudy", "changed", "claimed", "other", "unknown"]

SUMMARY: Final[dict[Origin, str]] = {
    "here": "made by Understudy on this machine, and not changed since",
    "trusted": "made by Understudy on a machine whose certificate you trust, and not changed since",
    "understudy": "signed as made by Understudy, by a certificate that is not known here; not changed since",
    "changed": "signed as made by Understudy, and changed since",
    "claimed": "says of itself that Understudy made it",
    "other": "signed by another program",
    "unknown": "nothing in it says that Understudy made it",
}
WORTH: Final[dict[Origin, str]] = {
    "here": "the signature covers every picture and sound in it and what is said below",
    "trusted": "the signature covers every picture and sound in it and what is said below",
    "understudy": "whoever holds that certificate vouches for it, and anybody can make one; "
    "--trust CERTIFICATE, if you have it from its owner",
    "changed": "something signed was altered, cut off or added, so nothing below need be true of what is shown",
    "claimed": "little: words can be written and removed by anybody, and nothing is signed",
    "other": "what it says is that program's word, which is not judged here",
    "unknown": "nothing: what carried the words and the signature can be removed",
}
_MANIFEST: Final = b"c2pa.signature"  # a box that every manifest has
_NEAR: Final = 1 << 16  # bytes from the beginning within which a manifest stands, in files that we write


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer. These are the fields of `--json`."""

    file: str
    origin: Origin
    summary: str
    worth: str
    made: dict[str, Any]  # what is said of how it was made
    signer: str  # whose certificate, in its own words; empty without a signature
    problems: list[str]  # what is wrong with the signature
    inputs: dict[str, str]  # the files that were asked about: "portrait", "driving", or "not an input"

    @property
    def vouched(self) -> bool:
        """Whether a signature that means something holds."""
        return self.origin in ("here", "trusted")


def verify(path: AnyPath, *, inputs: Iterable[AnyPath] = (), trust: AnyPath | None = None) -> Verdict:
    """Look at what a film or picture says of itself, and check it.

    inputs: files of which to say whether the result was made from them; trust: a certificate (PEM) of another machine.
    Errors: `MissingFile`, `UnreadableMedia`; `MissingExtra` where `trust` cannot be used."""
    path = existing(path)
    if trust is not None and not can_sign():
        raise MissingExtra(
            "checking signatures needs c2pa, which is not installed", remedy='pip install "understudy[provenance]"'
        )
    said = _words(path)
    claims = said.get("software", "").startswith(PROGRAM) and "synthetic" in said
    signed = _signed(path, trust) if can_sign() else None
    if signed is not None:
        return _verdict(path, signed.origin, signed.facts or said, inputs, signed.signer, signed.problems)
    if not can_sign() and claims and _MANIFEST in beginning(path, _NEAR):
        hint = ['it seems to carry a signature, which pip install "understudy[provenance]" can check']
        return _verdict(path, "claimed", said, inputs, problems=hint)
    return _verdict(path, "claimed" if claims else "unknown", said if claims else {}, inputs)


@dataclass(frozen=True)
class _Signed:
    origin: Origin
    facts: dict[str, Any]
    signer: str
    problems: list[str]


def _verdict(
    path: Path, origin: Origin, made: Mapping[str, Any], inputs: Iterable[AnyPath], signer: str = "",
    problems: Iterable[str] = (),
) -> Verdict:  # fmt: skip
    known_as = dict(_hashes(made))
    asked = {str(each): known_as.get(content(existing(each)), "not an input") for each in inputs}
    return Verdict(
        file=str(path),
        origin=origin,
        summary=SUMMARY[origin],
        worth=WORTH[origin],
        made=dict(made),
        signer=signer,
        problems=list(problems),
        inputs=asked,
    )


def _hashes(made: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """SHA-256 and role of every input, from a manifest or from words."""
    for given in made.get("inputs", ()):
        if isinstance(given, dict):
            yield str(given.get("sha256")), str(given.get("role"))
    for role in ("portrait", "driving"):
        if isinstance(words := made.get(role), str):
            yield words.rpartition("sha256:")[2], role


def _words(path: Path) -> dict[str, str]:
    """What its metadata says; nothing where it can be read no more, since a signature may still be there."""
    try:
        return read_metadata(path)
    except MediaError:
        return {}


def _signed(path: Path, trust: AnyPath | None) -> _Signed | None:
    """What its manifest says and whether that holds; None where there is no manifest."""
    import c2pa

    own = known()
    given = "" if trust is None else existing(trust).read_text("ascii", "replace")
    context = _context((own.root if own else "") + given)
    try:
        with path.open("rb") as file:
            reader = c2pa.Reader.try_create(_kind(path), file, context=context)
            if reader is None:
                return None
            with reader:
                store = json.loads(reader.json())
    except c2pa.C2paError.NotSupported:
        return None
    except c2pa.C2paError as error:  # a manifest that cannot even be read
        return _unreadable(path, str(error))
    return _judged(store, own.root if own else "", path, context)


def _judged(store: Mapping[str, Any], root: str, path: Path, context: Any) -> _Signed:
    """From what C2PA's library found."""
    manifests = store.get("manifests", {})
    active = manifests.get(store.get("active_manifest"), {})
    failures = store.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    problems = [str(each.get("explanation") or each.get("code")) for each in failures if _counts(each)]
    signature = active.get("signature_info", {})
    signer = f"{signature.get('issuer', '')} {signature.get('cert_serial_number', '')}".strip()
    if not _ours(active):
        earlier = next((each for each in manifests.values() if _ours(each)), None)
        program = _program(active)
        if earlier is None:
            return _Signed("other", {"software": program}, signer, problems)
        return _Signed("changed", _facts(earlier), signer, [f"it was edited by {program}, which says so", *problems])
    state = store.get("validation_state")
    if state == "Trusted":
        return _Signed("here" if _by(root, path) else "trusted", _facts(active), signer, problems)
    return _Signed("understudy" if state == "Valid" else "changed", _facts(active), signer, problems)


def _by(root: str, path: Path) -> bool:
    """Whether a file that is trusted is so for the sake of this one certificate."""
    import c2pa

    if not root:
        return False
    with path.open("rb") as file:
        reader = c2pa.Reader.try_create(_kind(path), file, context=_context(root))
        return reader is not None and reader.get_validation_state() == "Trusted"


def _context(anchors: str) -> Any:
    """Nothing is asked of the network; trusted is what these certificates (PEM) vouch for, and nothing else."""
    import c2pa

    asked = {"ocsp_fetch": False, "remote_manifest_fetch": False, "verify_trust": bool(anchors)}
    trusted = {"trust": {"trust_anchors": anchors}} if anchors else {}
    return c2pa.Context.from_dict({"version": 1, "verify": asked, **trusted})


def _counts(failure: Mapping[str, Any]) -> bool:
    """An unknown certificate is told by the origin already."""
    return failure.get("code") != "signingCredential.untrusted"


def _ours(manifest: Mapping[str, Any]) -> bool:
    return _program(manifest) == PROGRAM and bool(_facts(manifest))


def _program(manifest: Mapping[str, Any]) -> str:
    programs = manifest.get("claim_generator_info") or [{}]
    return str(programs[0].get("name") or manifest.get("claim_generator") or "a program without a name")


def _facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    for assertion in manifest.get("assertions", ()):
        if assertion.get("label") == PERFORMANCE and isinstance(assertion.get("data"), dict):
            return dict(assertion["data"])
    return {}


def _unreadable(path: Path, why: str) -> _Signed | None:
    """A file with a manifest that makes no sense: one of ours if it names us, else nobody knows whose."""
    if ISSUER.encode() not in beginning(path, _NEAR):
        return None
    return _Signed("changed", {}, "", [f"its manifest cannot be read: {why}"])


def _kind(path: Path) -> str:
    """The MIME type that a file's content is of, whatever its name."""
    start = beginning(path)
    picture = opener(start)
    if picture is not None:
        return {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}.get(
            picture.format or "", "image/tiff"
        )
    return "video/avi" if start[:4] == b"RIFF" else "video/mp4"
