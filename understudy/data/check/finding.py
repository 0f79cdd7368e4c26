"""What a check says: findings, each with how bad it is and what to change, and a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["good", "note", "poor", "unusable"]
Kind = Literal["portrait", "driving", "voice"]
Verdict = Literal["good", "usable", "unusable"]
ORDER: Final = ("unusable", "poor", "note", "good")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `poor` will show in the result; `unusable` is refused by the engines."""

    severity: Severity
    about: str
    seen: str
    advice: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that was found about one file. These are the fields of `--json`."""

    file: str
    kind: Kind
    verdict: Verdict
    summary: str
    findings: list[Finding]
    sheet: str


def verdict_on(findings: list[Finding]) -> tuple[Verdict, str]:
    """The verdict, and why in a few words."""
    worst = [finding for finding in findings if finding.severity == "unusable"]
    if worst:
        return "unusable", "; ".join(finding.seen for finding in worst)
    poor = [finding.about for finding in findings if finding.severity == "poor"]
    if poor:
        return "usable", f"could be better: {', '.join(poor)}"
    return "good", "nothing to change"


def graded(value: float, poor: float, unusable: float | None = None, note: float | None = None) -> Severity:
    """How bad a value is that is worse the larger it is."""
    if unusable is not None and value >= unusable:
        return "unusable"
    if value >= poor:
        return "poor"
    return "note" if note is not None and value >= note else "good"
