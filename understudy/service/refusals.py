"""What a service answers instead of a result: every error, its HTTP status, and how it travels."""

from __future__ import annotations

from typing import Any, Final

from understudy import errors
from understudy.errors import UnderstudyError


class Refused(UnderstudyError):
    """Something that only a service says. `status` is HTTP's."""

    status = 400


class BadRequest(Refused):
    """A request that makes no sense: not a form, cut short, a field given twice."""


class NotAllowed(Refused):
    """No key or a wrong one."""

    status = 401


class Forbidden(Refused):
    """A request that a web page of somebody else has sent, or one for another host."""

    status = 403


class NoSuchJob(Refused):
    """There is no job of that number, or there is none any more."""

    status = 404


class NoSuchPlace(Refused):
    """There is nothing at that address."""

    status = 404


class NotReady(Refused):
    """A result was asked for that is not there (yet)."""

    status = 409


class KeyReused(Refused):
    """An idempotency key that belongs to another job."""

    status = 409


class TooMuch(Refused):
    """More bytes than a job may have."""

    status = 413


class TooSlow(Refused):
    """A request that took too long to be sent."""

    status = 408


class Busy(Refused):
    """As many jobs wait as may. `retry` is in seconds."""

    status = 503

    def __init__(self, happened: str, seen: str = "", remedy: str = "", retry: int = 1) -> None:
        super().__init__(happened, seen, remedy)
        self.retry = retry


class Crashed(UnderstudyError):
    """The input has killed whoever looked at it."""


_STATUS: Final[dict[str, int]] = {"TooLarge": 413, "UnreadableMedia": 415, "MissingExtra": 501, "Internal": 500}
KINDS: Final[dict[str, type[UnderstudyError]]] = {
    name: kind
    for home in (vars(errors), globals())
    for name, kind in dict(home).items()
    if isinstance(kind, type) and issubclass(kind, UnderstudyError)
}


def status_of(kind: str) -> int:
    """HTTP's status for an error of this kind."""
    own = KINDS.get(kind)
    return own.status if own is not None and issubclass(own, Refused) else _STATUS.get(kind, 422)


def as_json(error: UnderstudyError) -> dict[str, str]:
    """An error on its way."""
    return {
        "kind": type(error).__name__,
        "happened": error.happened,
        "seen": error.seen,
        "remedy": error.remedy,
    }


def from_json(told: dict[str, Any]) -> UnderstudyError:
    """An error that has arrived: of its own class where that is known here."""
    words = (str(told.get(part, "")) for part in ("happened", "seen", "remedy"))
    return KINDS.get(str(told.get("kind")), UnderstudyError)(*words)


def internal() -> dict[str, str]:
    """What strangers are told of our own faults: nothing."""
    return {
        "kind": "Internal",
        "happened": "something went wrong that is not your fault",
        "seen": "",
        "remedy": "try once more; whoever runs this service finds the reason in its log",
    }
