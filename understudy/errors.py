"""Everything that can go wrong and that a person can mend, in one tree.

    UnderstudyError
    ├── MediaError            a picture, film or sound
    │   ├── MissingFile       it is not there
    │   ├── UnreadableMedia   it is there and cannot be decoded
    │   ├── NoPicture         it can be decoded and has no video stream (or no frames)
    │   ├── NoSound           it can be decoded and has no sound
    │   ├── TooLarge          it would not fit in memory
    │   ├── Unwritable        the result cannot be put there
    │   └── Exists            the result is already there
    ├── FaceError
    │   ├── NoFace            nobody in the picture
    │   ├── FaceTooSmall      somebody, too few pixels
    │   └── NoSuchFace        --face N with fewer than N + 1 faces
    ├── MotionError
    │   ├── WrongMotion       a kind of motion that this generator does not follow
    │   └── BadMotionFile     a motion file that is damaged or of another version
    ├── UnknownModel
    ├── BadWeights            weights that are damaged, or do not fit the net they are for
    ├── TooLittleMemory       a model that does not fit into what the device has
    ├── FetchFailed           a public file that could not be downloaded
    ├── BadRun                a training run that cannot go on
    ├── BadOption             options that contradict each other, or a value out of range
    └── MissingExtra          an optional dependency that this job needs

Each carries three sentences: what happened, what was seen, what to try. The command line prints them and exits with 1.
"""

from __future__ import annotations


class UnderstudyError(Exception):
    """Something a person can mend. `happened`, `seen` and `remedy` are whole clauses without a final full stop."""

    def __init__(self, happened: str, seen: str = "", remedy: str = "") -> None:
        self.happened, self.seen, self.remedy = happened, seen, remedy
        super().__init__(self.__str__())

    def __str__(self) -> str:
        parts = [self.happened]
        if self.seen:
            parts.append(f"Seen: {self.seen}")
        if self.remedy:
            parts.append(f"Try: {self.remedy}")
        return ". ".join(part.rstrip(".") for part in parts) + "."


class MediaError(UnderstudyError):
    """A picture, film or sound."""


class MissingFile(MediaError):
    """The file is not there."""


class UnreadableMedia(MediaError):
    """The file is there and cannot be decoded."""


class NoPicture(MediaError):
    """The file has no video stream, or one without frames."""


class NoSound(MediaError):
    """The file has no sound."""


class TooLarge(MediaError):
    """The media would not fit in memory; refused before decoding."""


class Unwritable(MediaError):
    """The result cannot be put where it was asked for."""


class Exists(MediaError):
    """The result is already there, and nobody said that it may be replaced."""


class FaceError(UnderstudyError):
    """A face that is not there, or not usable."""


class NoFace(FaceError):
    """Nobody in the picture."""


class FaceTooSmall(FaceError):
    """Somebody is in the picture, with too few pixels."""


class NoSuchFace(FaceError):
    """A face was asked for by number, and there are fewer."""


class MotionError(UnderstudyError):
    """A motion that cannot be used."""


class WrongMotion(MotionError):
    """A kind of motion that this generator does not follow."""


class BadMotionFile(MotionError):
    """A motion file that is damaged, or of another version."""


class UnknownModel(UnderstudyError):
    """No model goes by that name."""


class BadOption(UnderstudyError):
    """Options that contradict each other, or a value out of its range."""


class MissingExtra(UnderstudyError):
    """An optional dependency that this job needs is not installed."""


class BadWeights(UnderstudyError):
    """A file of weights that is damaged, or does not fit the net it is for."""


class TooLittleMemory(UnderstudyError):
    """The device ran out of memory."""


class FetchFailed(UnderstudyError):
    """A public file that could not be downloaded, or not to its end."""


class BadRun(UnderstudyError):
    """A training run that cannot go on: another recipe, a damaged checkpoint, a loss that is not a number."""
