"""What the page says: advice, progress, errors, as small pieces of HTML. All that comes from files is escaped."""

from __future__ import annotations

from html import escape
from typing import Final

from understudy.animate import Progress
from understudy.animate.motions import About
from understudy.animate.pace import spoken
from understudy.animate.perform import Stopped
from understudy.data.check import Report
from understudy.errors import UnderstudyError
from understudy.extras import absent
from understudy.service.studio.room import Kept, called

VERDICTS: Final = {"good": "Good", "usable": "Usable", "unusable": "Cannot be used"}
STAGES: Final = {
    "": "Beginning",
    "waiting": "Waiting",
    "watching": "Watching the performance",
    "acting": "Acting from the voice",
    "drawing": "Drawing",
    "laying the driver beside": "Laying the driver beside",
}


def advice(report: Report) -> str:
    """What `check` found: what is wrong first, all else on demand."""
    wrong = [each for each in report.findings if each.severity in ("unusable", "poor")]
    rest = [each for each in report.findings if each not in wrong]
    said = "".join(
        f"<li class='{each.severity}'><b>{escape(each.about)}</b> {escape(each.seen)}"
        + (f"<br><i>{escape(each.advice)}</i>" if each.advice else "")
        + "</li>"
        for each in wrong
    )
    more = "".join(
        f"<li><b>{escape(each.about)}</b> {escape(each.seen)}{': ' * bool(each.advice)}{escape(each.advice)}</li>"
        for each in rest
    )
    summary = "nothing to change" if not wrong else f"{len(wrong)} thing{'s' * (len(wrong) > 1)} to change"
    return (
        f"<div class='us-card {report.verdict}' data-verdict='{report.verdict}'>"
        f"<p><b>{VERDICTS[report.verdict]}</b> <span>{summary}</span></p><ul>{said}</ul>"
        f"<details><summary>all that was looked at</summary><ul>{more}</ul></details></div>"
    )


def motion(found: About, title: str = "") -> str:
    """What is in a motion file; `title` first, if there is one."""
    many = f"{found.frames} frame{'s' * (found.frames != 1)}, {found.fps:.4g} a second, {found.seconds:.1f} s"
    faces = f"a face in {found.faces} of them" if found.faces < found.frames else ""
    cuts = f"{found.cuts} cut{'s' * (found.cuts > 1)}" if found.cuts else ""
    origin = found.provenance.get("source", "")
    told = " · ".join(part for part in (many, faces, cuts, f"from {called(origin)}" if origin else "") if part)
    said = "".join(f"<li class='poor'>{escape(text)}</li>" for text in found.warnings)
    return (
        f"<div class='us-card good' data-motion='{found.frames}'><p><b>{escape(title or 'Motion')}</b> "
        f"<span>{escape(told)}</span></p><ul>{said}</ul></div>"
    )


def note(text: str, command: str = "") -> str:
    """Something to know beforehand, such as what is not installed."""
    typed = f" <code>{escape(command)}</code>" if command else ""
    return f"<p class='us-small'>{escape(text)}{typed}</p>"


def looking(name: str) -> str:
    """While it is being checked."""
    return f"<div class='us-card'><p>Looking at {escape(name)} ...</p></div>"


def progress(now: Progress, opening: str = "") -> str:
    """A bar, and how long it will still take; `opening`: who draws, and why."""
    share = 0.0 if not now.total else min(now.done / now.total, 1.0)
    words = STAGES.get(now.stage, now.stage.capitalize())
    count = f"{now.done} of {now.total} frames" if now.total else f"{now.done} frames" if now.done else ""
    left = f"about {spoken(now.left)} left" if now.left is not None else ""
    told = now.note if now.stage == "waiting" else " · ".join(part for part in (count, left) if part)
    return (
        f"<div class='us-card us-progress' data-stage='{escape(now.stage)}'>"
        f"<p><b>{escape(words)}</b> <span>{escape(told)}</span></p>"
        f"<div class='us-bar'><div style='width:{100 * share:.1f}%'></div></div>"
        + (f"<p><small>{escape(opening)}</small></p>" if opening else "")
        + "</div>"
    )


def done(kept: Kept, note: str = "") -> str:
    """The film is there."""
    said = "".join(f"<li class='poor'>{escape(text)}</li>" for text in kept.warnings)
    more = f"<p><span>{escape(note)}</span></p>" if note else ""
    return f"<div class='us-card good' data-done='1'><p><b>{escape(kept.title)}</b></p>{more}<ul>{said}</ul></div>"


def problem(error: BaseException, hidden: str = "") -> str:
    """What happened, what was seen, what to try, without the folder that is `hidden`; of our own faults no more than
    that they are ours."""
    if isinstance(error, Stopped):
        again = "Animate goes on where it stopped." if error.partial else "Nothing was kept."
        return f"<div class='us-card' data-stopped='1'><p><b>Stopped</b> <span>{again}</span></p></div>"
    if isinstance(error, ImportError):
        error = absent(error)
    if not isinstance(error, UnderstudyError):
        return (
            "<div class='us-card unusable' data-error='fault'><p><b>Something went wrong inside the studio</b></p>"
            "<p>It is our fault; the window in which it was started says more.</p></div>"
        )
    seen = f"<p><span>{escape(error.seen)}</span></p>" if error.seen else ""
    remedy = f"<p><i>{escape(error.remedy)}</i></p>" if error.remedy else ""
    kind = type(error).__name__
    happened = escape(error.happened.rstrip("."))
    said = f"<div class='us-card unusable' data-error='{kind}'><p><b>{happened}</b></p>{seen}{remedy}</div>"
    return said.replace(escape(hidden), "") if hidden else said
