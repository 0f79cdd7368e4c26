"""What is judged while X-Portrait 2 learns, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Final, cast

import torch
from torch import Tensor

from understudy import weights
from understudy.generator.generator import Cues, Generator, Sitter
from understudy.motion.code import TURNS
from understudy.motion.encoder import Codes, FaceNet, boxed, cut
from understudy.motion.probing import blinding, curves_of, fill
from understudy.recipes.autoencoder import pixels, psnr
from understudy.recipes.exam import Exam
from understudy.recipes.following import Done, Learner, XPortrait2Recipe
from understudy.recipes.portrayal import Question
from understudy.train.journal import tiled
from understudy.train.task import Judgement

EXAMPLES: Final = 2048
"""Pictures by which codes are given names, when weights are kept."""
PAIRS: Final = 1024
"""Times two people, by whom it is known in which directions of codes people differ."""
HEAD: Final = "-head.safetensors"


class Rehearsal(Exam):
    """Held-out people, driven by others."""

    def told(self, model: Generator, q: Question) -> tuple[Cues, Tensor]:
        """See `Exam`."""
        code, box, driver = self.read(model, q.drivers)
        then = boxed(self.taken("centres", (q.driver_then,))).to(code.device)
        sitter = None
        if model.config.turning is not None:
            own, place, picture = self.read(model, (q.portrait,))
            sitter = Sitter(picture.to(code.device), own, place)
        return model.coded(code, box, then, sitter), driver

    def read(self, model: Generator, numbers: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Codes and boxes of some pictures, and the pictures."""
        assert model.encoder is not None
        device = model.unet.conv_out.weight.device
        pictures, box = self.picture(numbers), boxed(self.taken("centres", numbers)).to(device)
        return model.encoder.seen(pictures.to(device), box), box, pictures

    def rehearse(self, model: Learner) -> Judgement:
        """As `judge`; before there is a generator, what the head shows. `blind`: how different the codes of two people
        who do the same are, of how different those of two who do not are. `unread`: see `Reading`, the mean of
        curves; `astray`: of the head's turns."""
        recipe = cast(XPortrait2Recipe, self.recipe)
        judged = self.judge(model.generator) if recipe.stage != "expression" else self._head(model, recipe)
        theirs, ours = (
            torch.cat([self.read(model.generator, numbers)[0] for numbers in some])
            for some in ([q.drivers for q in self.asked], [q.answers for q in self.asked])
        )
        self.scores = {**judged.scores, "blind": float(blindness(theirs.float(), ours.float()))}
        if model.reading is not None:  # the same of people and expressions that nobody has learnt by heart
            each, moments = self.ensembles.pictures, self.ensembles.moments
            done = [self.ensembles.moment(n // each, n % moments) for q in self.asked for n in q.drivers]
            curves = torch.cat([curves_of(how) for how in done]).to(theirs.device)
            missed = model.reading(theirs, curves)
            self.scores = {**self.scores, "unread": float(missed.mean()), "astray": float(missed[-TURNS:].mean())}
        return Judgement(self.scores, judged.sheets)

    def _head(self, model: Learner, recipe: XPortrait2Recipe) -> Judgement:
        if model.head is None:
            return Judgement({}, {})
        config, device = model.encoder.config, next(model.head.parameters()).device
        side, rows, errors = recipe.head.config.side, [], []
        for q in self.asked:
            pairs = [(self.picture(n), boxed(self.taken("centres", n))) for n in ((q.portrait,), q.answers)]
            portrait, truth = (cut(seen, box, side, config.room).to(device) for seen, box in pairs)
            code, box, driver = self.read(model.generator, q.drivers)
            result = model.head(portrait, code).float().clamp(-1, 1)
            errors.append(psnr((result - truth).square().cpu()))
            seen = cut(driver, box.cpu(), side, config.room)
            rows.append([x[:1].cpu() / 2 + 0.5 for x in (portrait, seen, result, truth)])
        columns = [torch.cat([row[k] for row in rows[:12]]) for k in range(4)]
        return Judgement({"head": sum(errors) / len(errors)}, {"held-out": tiled(columns)})

    def keep_all(self, model: Learner, folder: Path, step: int, done: Done) -> None:
        """The generator, its codes given names by examples where it has learnt any and, where close-ups have taught it,
        without what tells people; and the head, for the next stage alone."""
        generator, recipe = model.generator, cast(XPortrait2Recipe, self.recipe)
        if recipe.near and recipe.directions:
            generator = deepcopy(generator)  # what goes on learning keeps all its directions
            assert generator.encoder is not None and isinstance(generator.encoder.model, FaceNet)
            theirs, ours = (codes(generator, generator.encoder.model, *seen) for seen in done.pairs(PAIRS))
            generator.encoder.model.follow(*blinding(theirs, ours, recipe.directions))
        if not recipe.still and generator.encoder is not None and generator.encoder.probe is not None:
            *seen, curves = done.examples(EXAMPLES)
            known = codes(generator, generator.encoder.encode, *seen)
            fill(generator.encoder.probe, known, curves.to(known.device))
        self.keep(generator, folder, step)
        if model.head is not None:
            about = weights.About(
                name=f"{self.recipe.name}-head", config=None, recipe={}, commit=weights.commit(), figures={},
                storage="bf16",
            )  # fmt: skip
            weights.save(folder / f"{self.recipe.name}{HEAD}", model.head.state_dict(), about)


def codes(model: Generator, net: Codes, pictures: Tensor, box: Tensor) -> Tensor:
    """What the encoder, or its net alone, says (n, d) of the faces in pictures (n, 3, s, s), uint8, at boxes (n, 3)."""
    assert model.encoder is not None
    config, device = model.encoder.config, model.unet.conv_out.weight.device
    groups = zip(torch.split(pictures, 64), torch.split(box, 64), strict=True)
    shown = ((pixels({"picture": some}).to(device), at.to(device)) for some, at in groups)
    return torch.cat([net(cut(some, at, config.side, config.room)).float() for some, at in shown])


def blindness(theirs: Tensor, ours: Tensor) -> Tensor:
    """0 where codes (n, d) and (n, d), row by row of the same doing, are the same; 1 where they might be any. Every
    number of a code counts the same: a classifier finds people in the smallest."""
    own = (theirs - ours).square().mean(0)
    any_two = (theirs[:, None] - ours).square().mean((0, 1))
    return (own / any_two.clamp_min(1e-6)).mean()
