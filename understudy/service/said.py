"""What the service says of a job, and how it describes itself in OpenAPI."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from understudy.service.options import ACTING, OPTIONS, WATCHED
from understudy.service.store import Job

NUMBER: Final = "3f1c2a9e5b7d4e0f8a6c1b2d3e4f5a6b"


class Progress(BaseModel):
    """How far a job is."""

    stage: str = Field(
        "", description="watching the driver (or acting from the voice), or drawing", examples=["drawing"]
    )
    done: int = Field(0, description="frames of this stage", examples=[84])
    total: int | None = Field(None, examples=[150])
    left: float | None = Field(
        None, description="seconds to the end of the job, once that can be known", examples=[3.2]
    )
    note: str = Field("", description="who draws, and why", examples=["warp draws it: built in, for photos; about 7 s"])


class Problem(BaseModel):
    """Something that a person can mend."""

    kind: str = Field(examples=["NoFace"])
    happened: str = Field(examples=["no face was found in driving"])
    seen: str = Field("", examples=["150 frames without a human face"])
    remedy: str = Field("", examples=["a clip of one person"])


class Trouble(BaseModel):
    """What every answer from 400 on says."""

    error: Problem


class JobSaid(BaseModel):
    """A job."""

    id: str = Field(examples=[NUMBER])
    state: Literal["queued", "running", "done", "failed", "cancelled"] = Field(examples=["running"])
    created: float = Field(description="seconds since 1970", examples=[1790000000.0])
    started: float | None = None
    ended: float | None = None
    progress: Progress
    result: dict[str, Any] | None = Field(
        None, description="of a job that is done: what `understudy animate --json` prints", examples=[None]
    )
    error: Problem | None = Field(None, description="of a job that has failed")

    @staticmethod
    def of(job: Job) -> JobSaid:
        return JobSaid(
            id=job.id,
            state=job.state,  # type: ignore[arg-type, unused-ignore]
            created=job.created,
            started=job.started,
            ended=job.ended,
            progress=Progress(stage=job.stage, done=job.done, total=job.total, left=job.remaining, note=job.note),
            result=None if job.result is None else dict(job.result),
            error=None if job.error is None else Problem(**job.error),
        )


class Jobs(BaseModel):
    """The newest first."""

    jobs: list[JobSaid]


class Health(BaseModel):
    """Whether it works."""

    status: Literal["ok", "no worker"] = Field(examples=["ok"])
    version: str = Field(examples=["0.1.0"])
    waiting: int = Field(examples=[0])
    workers: int = Field(examples=[1])


def form() -> dict[str, Any]:
    """The body of POST /v1/jobs, for OpenAPI."""
    file = {"type": "string", "format": "binary"}
    files = {
        "portrait": {**file, "description": "the picture of somebody who shall perform: PNG, JPEG, WebP, ..."},
        "driving": {**file, "description": "the performance: a film or a picture"},
        "motion": {**file, "description": "instead of driving: a motion file, or Live Link Face CSV"},
        "voice": {**file, "description": "instead of driving: who speaks: a sound file, or a film"},
    }
    helps = {name: option.help for name, option in {**OPTIONS, **ACTING}.items()}
    helps |= {name: f"{helps[name]}; with a voice alone" for name in ACTING}
    helps |= {name: f"{helps[name]}; not with a voice" for name in WATCHED}
    options = {name: {**option.schema, "description": helps[name]} for name, option in {**OPTIONS, **ACTING}.items()}
    one = [{"required": ["portrait", name]} for name in ("driving", "motion", "voice")]
    schema = {"type": "object", "oneOf": one, "properties": {**files, **options}}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema, "examples": EXAMPLES}}}


_FILE: Final = "(a file)"
EXAMPLES: Final[dict[str, Any]] = {
    name: {"summary": summary, "value": {"portrait": _FILE, **value}}
    for name, summary, value in (
        ("driving", "a film drives", {"driving": _FILE, "model": "warp", "strength": 1.2, "only": "mouth,eyes"}),
        ("voice", "a voice drives", {"voice": _FILE, "mood": "happy", "lively": 1.3, "seed": 7}),
        ("motion", "a motion file drives", {"motion": _FILE, "crop": True}),
    )
}


TROUBLES: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Trouble, "description": meaning}
    for status, meaning in {
        400: "a request that makes no sense",
        401: "no key, or a wrong one",
        408: "it took too long to come in",
        409: "an idempotency key that belongs to another job",
        413: "too many bytes, pixels or seconds",
        415: "a file that cannot be read as a picture, film, motion or sound",
        422: "options that cannot be, or inputs without a face, a frame or a sound",
        501: "a voice, where nothing is installed that acts",
        503: "as many jobs wait as may; the header Retry-After says when to ask again",
    }.items()
}
MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": Trouble, "description": "no such job"}}
