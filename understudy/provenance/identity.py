"""This machine's own certificate: made at first use, known to nobody else.

A root that signs one certificate and is then forgotten (its key is never written), and the key of that one
certificate. Both are in the user's data folder: `identity.pem`, which only the user may read, and `certificate.pem`,
which may be given to whoever shall recognise films of this machine (`understudy verify --trust`).
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final

from understudy.errors import UnreadableMedia, Unwritable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder, KeyUsage, Name

VALID: Final = timedelta(days=3650)
ISSUER: Final = "Understudy, a certificate of one machine"
_BEGIN_KEY: Final = "-----BEGIN PRIVATE KEY-----"


@dataclass(frozen=True)
class Identity:
    """What films are signed with. All are PEM texts."""

    chain: str  # the certificate that signs, and its root
    key: str
    root: str


def data_folder() -> Path:
    """Where Understudy keeps what is the user's: $UNDERSTUDY_DATA, or what the system has for that."""
    named = os.environ.get("UNDERSTUDY_DATA")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "understudy"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "understudy"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "understudy"


def known() -> Identity | None:
    """This machine's identity, if it was ever made. Errors: `UnreadableMedia` where the file is damaged."""
    path = data_folder() / "identity.pem"
    try:
        text = path.read_text("ascii")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UnreadableMedia(f"{path} cannot be read", str(error), "its owner's rights") from error
    chain, begin, key = text.partition(_BEGIN_KEY)
    parts = chain.partition("-----END CERTIFICATE-----\n")
    if not begin or not parts[1] or not parts[2]:
        raise UnreadableMedia(f"{path} is damaged", "not a key and two certificates", "remove it; another is made")
    return Identity(chain, begin + key, parts[2])


def identity() -> Identity:
    """This machine's identity, made now if there is none. Errors: `Unwritable`, `UnreadableMedia`.

    Two processes that make one at the same time agree on that of the first."""
    found = known()
    if found is not None:
        return found
    folder = data_folder()
    made, fresh = _made(), folder / f".identity.{os.getpid()}.pem"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(made.chain + made.key)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(fresh, folder / "identity.pem")  # unlike a rename, it replaces nothing
        (folder / "certificate.pem").write_text((known() or made).root, "ascii")
    except OSError as error:
        raise Unwritable(
            f"this machine's certificate cannot be kept in {folder}", str(error), "$UNDERSTUDY_DATA names another place"
        ) from error
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    return known() or made


def _made() -> Identity:
    """A fresh root, which signs one certificate and whose key is then forgotten."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    above, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    begins = datetime.now(timezone.utc) - timedelta(hours=1)  # clocks differ
    root = _root(_unsigned(_name("root"), _name("root"), above, begins)).sign(above, hashes.SHA256())
    leaf = _leaf(_unsigned(_name("films"), _name("root"), own, begins), above).sign(above, hashes.SHA256())
    encoding, kind, plain = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key = own.private_bytes(encoding, kind, plain).decode("ascii")
    return Identity(_pem(leaf) + _pem(root), key, _pem(root))


def _pem(certificate: Certificate) -> str:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _name(role: str) -> Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    organisation, common = NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME
    return x509.Name([x509.NameAttribute(organisation, ISSUER), x509.NameAttribute(common, f"Understudy {role}")])


def _unsigned(subject: Name, issuer: Name, key: EllipticCurvePrivateKey, begins: datetime) -> CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _root(builder: CertificateBuilder) -> CertificateBuilder:
    """May sign certificates, and nothing else."""
    from cryptography import x509

    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).add_extension(
        _usage(certificates=True), critical=True
    )


def _leaf(builder: CertificateBuilder, above: EllipticCurvePrivateKey) -> CertificateBuilder:
    """May sign what is not a certificate; the purpose is one of those that C2PA accepts."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), critical=False)
    )


def _usage(certificates: bool) -> KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
