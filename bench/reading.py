"""What a perfect artist could make of what X-Portrait 2 small reads off a driver.

The same held-out people and motions as `understudy evaluate`, but the cast draws the answer itself: the portrait's own
person, doing what the encoder's lines say that the driver does, with eyes and mouth where they truly are. How far that
is from the truth, and how far from each other for two drivers who do the same, is the reading's share; whatever is
worse in the table of `evaluate` is the generator's. Turns alone: curves are the true ones; curves alone: turns are.

    python bench/reading.py
    python bench/reading.py --people 4 --weights journal/x-portrait-2-small.safetensors
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from understudy import models, weights
from understudy.cast.how import How
from understudy.cast.view import seen_turn
from understudy.cast.who import Who
from understudy.data.ensemble import centres
from understudy.evaluate import measure
from understudy.evaluate.scenes import Drive, Programme, drawn, taken
from understudy.models import weights_file
from understudy.motion.code import TURN, TURNS
from understudy.motion.encoder import Encoder, boxed

KINDS = {"all": (True, True), "turns alone": (True, False), "curves alone": (False, True)}
FITS = 2  # a head that is moved is turned a little, as seen from its eyes and mouth


def encoder_of(path: Path) -> Encoder:
    """The encoder in a file of weights."""
    read = weights.load(path)
    inner = {
        name.removeprefix("encoder."): value for name, value in read.tensors.items() if name.startswith("encoder.")
    }
    encoder = Encoder(read.about.config.encoder)
    encoder.load_state_dict(inner)
    return encoder.eval()


@torch.no_grad()
def said(encoder: Encoder, drive: Drive) -> Tensor:
    """(f, 55), what the lines of an encoder say of a driver."""
    assert encoder.probe is not None
    return encoder.probe.curves(encoder.seen(drive.pictures * 2 - 1, boxed(drive.centres)))


def acted(person: Who, moves: How, at: Tensor, size: int) -> Tensor:
    """Pictures (f, 3, s, s) of somebody whose eyes and mouth are at boxes (f, 3)."""
    for _ in range(FITS):
        there = boxed(centres(taken(person, moves, size).landmarks.pixels))
        right, down = ((at - there)[:, :2] / (size / 2)).unbind(1)
        place = torch.stack([right, -down, at[:, 2] / there[:, 2]], 1)
        place = torch.cat([moves.place[:, :2] + place[:, :2], moves.place[:, 2:] * place[:, 2:]], 1)
        moves = replace(moves, place=place)
    return taken(person, moves, size).image


def main() -> None:
    """Prints a line for each kind."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, default=weights_file(models.X_PORTRAIT_2_SMALL.weights[0]))
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    encoder = encoder_of(asked.weights)
    columns: dict[str, list[float]] = defaultdict(list)
    astray = []
    for scene in Programme(people=asked.people, seed=asked.seed).scenes():
        snippet = drawn(scene)
        person, size = scene.portrait.repeated(len(scene.how)), scene.size
        at = boxed(centres(taken(person, scene.how, size).landmarks.pixels))
        drives = [snippet.drive] if snippet.other is None else [snippet.drive, snippet.other]
        heard = [said(encoder, drive) for drive in drives]
        wrong = [each[:, -TURNS:] * TURN - seen_turn(scene.how) for each in heard]
        astray.append(wrong[0])
        for name, (turns, curves) in KINDS.items():
            results = [
                acted(
                    person,
                    How(
                        curves=each[:, :-TURNS].clamp(0, 1) if curves else scene.how.curves,
                        turn=scene.how.turn + degrees if turns else scene.how.turn,
                        place=scene.how.place,
                    ),
                    at,
                    size,
                )
                for each, degrees in zip(heard, wrong, strict=True)
            ]
            columns[f"{name}: psnr_face"] += measure.psnr(results[0], snippet.truth, measure.box(snippet.face)).tolist()
            if snippet.other is not None:
                seen = [drive.pictures for drive in drives]
                columns[f"{name}: leak"] += measure.leak(*results, *seen).tolist()
    missed = torch.cat(astray).square().mean(0).sqrt().tolist()
    print("turns, degrees astray: yaw {:.2f}, pitch {:.2f}, roll {:.2f}".format(*missed))
    for name, values in columns.items():
        print(f"{name} {sum(values) / len(values):.3f} ({len(values)} frames)")


if __name__ == "__main__":
    main()
