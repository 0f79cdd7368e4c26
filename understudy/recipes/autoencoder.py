"""The small autoencoder: pictures of the cast to latents and back.

L1 and differences of gradients draw it, eyes and mouth counting more; a weak pull towards N(0, 1) keeps the latents fit
for diffusion; when the large things are right, a critic of patches, trained beside it, makes it sharp: by its opinion,
and by its features, in which result and truth shall be alike. No net that measures has a part in this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy import weights
from understudy.cast.who import STYLES, TRAINING_STYLES
from understudy.data import shards
from understudy.data.drawn import HELD_OUT, Drawing, looks
from understudy.data.ensemble import Ensembles, drawn_ahead, drawn_on
from understudy.diffusion.noise import chance
from understudy.errors import BadOption
from understudy.generator.autoencoder import Autoencoder, AutoencoderConfig
from understudy.generator.layers import PictureNorm
from understudy.models import small_autoencoder
from understudy.recipes.objectives import cost_of, divergence, heard, told_apart
from understudy.recipes.recipe import Recipe, found, public
from understudy.train.journal import tiled
from understudy.train.task import Batch, Judgement, Loss, Moment, Plan, Task, Turn

UNSEEN: Final = next(style for style in STYLES if style not in TRAINING_STYLES)
COARSE: Final = 4
LOUDER: Final = 6.0
_FLIPS: Final = 0x666C6970
_LEARNERS: Final = {
    "all": ("autoencoder",),
    "decoder": ("autoencoder.post_quant_conv", "autoencoder.decoder"),
}


@dataclass(frozen=True, kw_only=True)
class CriticConfig:
    """Every number that shapes a critic. `fold`: pixels to a side of what is folded into channels."""

    fold: int
    widths: tuple[int, ...]
    groups: int


@dataclass(frozen=True, kw_only=True)
class AutoencoderRecipe(Recipe):
    """All that the training of an autoencoder depends on."""

    size: int
    """Pixels to a side of a picture."""
    pictures: int
    """Drawn ahead, into shards, and gone through again and again; 0: a new one is drawn for every sample."""
    config: AutoencoderConfig
    critic: CriticConfig
    rate: float
    critic_rate: float
    critic_from: float
    """The progress at which the critic comes in."""
    fine: float
    """How much more a place in eyes or mouth counts."""
    edges: float
    kl: float
    log_variance: float
    """Of latents, before anything is learnt."""
    opinion: float
    likeness: float
    """Weights of gradients, divergence, the critic's opinion and its features, beside L1, whose weight is 1."""
    learns: Literal["all", "decoder"]
    """The decoder alone may go on learning when other nets have learnt to speak in these latents."""
    shaken: float
    """Noise that the decoder is given besides the latents' own, in units of their size: what other nets say in these
    latents is not as clean as what the encoder says."""
    judged: int
    """Held-out pictures that are judged."""
    storage: weights.Storage


def autoencoder_small() -> AutoencoderRecipe:
    """2.9 M parameters, 256x256 to 8 x 32x32 (folded: 32 x 16x16). What to expect is in docs/training.md."""
    return AutoencoderRecipe(
        name="autoencoder-small",
        plan=Plan(
            steps=8000, batch=8, accumulate=1, clip=1.0, warm_up=100, floor=0.02, average=0.998, bf16=True, seed=0,
            judge_every=500, save_every=250, keep=2,
        ),
        start="",
        size=256,
        pictures=6144,
        config=small_autoencoder(),
        critic=CriticConfig(fold=2, widths=(32, 64, 128), groups=16),
        rate=2.5e-3,
        critic_rate=3e-4,
        critic_from=0.5,
        fine=4.0,
        edges=2.0,
        kl=5e-5,
        log_variance=-6.0,
        opinion=0.01,
        likeness=0.05,
        learns="all",
        shaken=0.0,
        judged=24,
        storage="bf16",
    )  # fmt: skip


class Critic(nn.Module):
    """Says of every patch whether it is true, and by the way what it sees there.

    What a good reconstruction lacks is small beside what it has; so the critic is shown, beside the picture, what is
    finer than `COARSE` pixels, as large as the rest."""

    def __init__(self, config: CriticConfig) -> None:
        super().__init__()
        self.fold = config.fold
        self.conv_in = nn.Conv2d(6 * config.fold**2, config.widths[0], 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(config.widths))
        self.norms = nn.ModuleList(PictureNorm(config.groups, width) for width in config.widths[1:])
        self.conv_out = nn.Conv2d(config.widths[-1], 1, 3, padding=1)

    def forward(self, pictures: Tensor) -> tuple[list[Tensor], Tensor]:
        """(n, 3, H, W) -> features (n, c, h, w) of every resolution, and opinions (n, 1, h, w), + is true."""
        rough = F.interpolate(F.avg_pool2d(pictures, COARSE), scale_factor=COARSE, mode="bilinear")
        seen = torch.cat([pictures, LOUDER * (pictures - rough)], 1)
        x = F.leaky_relu(self.conv_in(F.pixel_unshuffle(seen, self.fold)), 0.2)
        features = [x]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2)
            features.append(x)
        return features, self.conv_out(x)


class Pair(nn.Module):
    """The autoencoder and its critic."""

    def __init__(self, recipe: AutoencoderRecipe) -> None:
        super().__init__()
        self.autoencoder = Autoencoder(recipe.config)
        self.critic = Critic(recipe.critic)


@dataclass(frozen=True)
class Pictures:
    """Pictures by number, half of them mirrored, each pass other ones."""

    source: shards.Shuffled | Drawing
    seed: int

    def batch(self, numbers: Sequence[int]) -> Batch:
        """`picture` (n, 3, size, size) and `fine` (n, size/4, size/4), uint8."""
        found = self.source.batch([n % HELD_OUT for n in numbers] if isinstance(self.source, Drawing) else numbers)
        flip = torch.stack([torch.rand((), generator=chance(self.seed, n, _FLIPS)) < 0.5 for n in numbers])
        return {
            name: torch.where(flip.reshape(-1, *[1] * (value.ndim - 1)), value.flip(-1), value)
            for name, value in found.items()
        }


def pixels(batch: Batch) -> Tensor:
    """(n, 3, H, W) in [-1, 1]."""
    return batch["picture"].float() / 127.5 - 1


def attention(batch: Batch, fine: float) -> Tensor:
    """How much every pixel counts, (n, 1, H, W): 1, in eyes and mouth `1 + fine`."""
    places = F.interpolate(batch["fine"][:, None].float() / 255, size=batch["picture"].shape[-2:], mode="bilinear")
    return 1 + fine * places


def drawing(model: Pair, batch: Batch, moment: Moment, recipe: AutoencoderRecipe) -> Loss:
    """What the autoencoder makes smaller."""
    truth, weight = pixels(batch), attention(batch, recipe.fine)
    with torch.set_grad_enabled(recipe.learns == "all"):
        mean, log_variance = model.autoencoder.posterior(truth)
        latents = given(_sampled(mean, log_variance, moment, recipe.shaken), batch, recipe.config)
    result = model.autoencoder.reconstruct(latents).float()
    share = heard(moment.progress, recipe.critic_from)
    total, parts = cost_of(result, truth, weight, model.critic, share, recipe)
    parts = {**parts, "kl": divergence(mean, log_variance)}
    return Loss(total + recipe.kl * parts["kl"], parts)


def _sampled(mean: Tensor, log_variance: Tensor, moment: Moment, shaken: float) -> Tensor:
    noise = moment.chance.normal(*mean.shape[1:]).to(mean.device)
    deviation = (log_variance.float() / 2).exp()
    if shaken:
        size = mean.float().square().mean((1, 2, 3), keepdim=True).sqrt()
        deviation = (deviation.square() + (shaken * size) ** 2).sqrt()
    return mean.float() + deviation * noise


def given(latents: Tensor, batch: Batch, config: AutoencoderConfig) -> Tensor:
    """What the decoder is given: what the encoder says, or, where `said`, what a generator has said (see `finish`)."""
    if "latent" not in batch:
        return latents
    said = F.pixel_shuffle(batch["latent"].float() / config.scale, config.patch)
    return torch.where(batch["said"][:, None, None, None], said, latents)


def telling_apart(model: Pair, batch: Batch, moment: Moment, recipe: AutoencoderRecipe) -> Loss:
    """What the critic makes smaller."""
    truth = pixels(batch)
    with torch.no_grad():
        latents = given(_sampled(*model.autoencoder.posterior(truth), moment, recipe.shaken), batch, recipe.config)
        result = model.autoencoder.reconstruct(latents).float()
    _, opinions = model.critic(torch.cat([truth, result]))
    true, made = opinions.chunk(2)
    total = told_apart(true, made, attention(batch, recipe.fine))
    right = ((true > 0).float().mean() + (made < 0).float().mean()) / 2
    return Loss(total, {"right": right})


class Exam:
    """Held-out people, in the styles of training and in the one that is never trained on."""

    def __init__(self, recipe: AutoencoderRecipe, scale: float | None) -> None:
        """`scale`: of latents, if it must stay what it is."""
        self.recipe = recipe
        self.scores: Mapping[str, float] = {}
        self.scale, self.fixed = scale or recipe.config.scale, scale is not None
        few = max(recipe.judged // 3, 1)
        seen, unseen = Drawing(recipe.size), Drawing(recipe.size, style=UNSEEN)
        self.sets = {
            "": seen.batch(range(HELD_OUT, HELD_OUT + recipe.judged)),
            f"_{UNSEEN}": unseen.batch(range(HELD_OUT, HELD_OUT + few)),
        }

    def judge(self, model: Pair) -> Judgement:
        """PSNR of whole pictures and of eyes and mouth; sharpness there, result to truth; the unseen style."""
        scores: dict[str, float] = {}
        sheets: dict[str, Tensor] = {}
        for name, batch in self.sets.items():
            truth, result, deviation = self._reconstructed(model.autoencoder, batch)
            places = attention(batch, 1.0) - 1
            each = [psnr(error[None]) for error in (result - truth) ** 2]
            scores[f"psnr{name}"] = sum(each) / len(each)
            if not name:
                scores["foreign_below"] = min(each)  # worse than it draws anybody it should know
            scores[f"psnr_fine{name}"] = psnr((result - truth) ** 2, places)
            scores[f"sharpness{name}"] = sharpness(result, truth, places)
            if not name and not self.fixed:
                self.scale = 1 / max(deviation, 1e-6)
            sheets[f"held-out{name}"] = tiled([truth[:8] / 2 + 0.5, result[:8] / 2 + 0.5])
        scores["latent_scale"] = self.scale
        self.scores = scores
        return Judgement(scores, sheets)

    def keep(self, model: Pair, folder: Path, step: int) -> None:
        """The autoencoder alone, with the scale that brings its latents to unit size."""
        about = weights.About(
            name=self.recipe.name,
            config=replace(self.recipe.config, scale=self.scale),
            recipe=public(self.recipe),
            commit=weights.commit(),
            figures={"step": float(step), **self.scores},
            storage=self.recipe.storage,
        )
        weights.save(folder / f"{self.recipe.name}.safetensors", model.autoencoder.state_dict(), about)

    @torch.no_grad()
    def _reconstructed(self, net: Autoencoder, batch: Batch) -> tuple[Tensor, Tensor, float]:
        """Truth and result in [-1, 1], and how large sampled latents are."""
        device = net.quant_conv.weight.device
        truths, results, sizes = [], [], []
        for begin in range(0, len(batch["picture"]), 8):
            truth = pixels({"picture": batch["picture"][begin : begin + 8].to(device)})
            mean, log_variance = net.posterior(truth)
            results.append(net.reconstruct(mean).float().clamp(-1, 1).cpu())
            truths.append(truth.cpu())
            sizes.append((mean.float() ** 2 + log_variance.float().exp()).mean().cpu())
        return torch.cat(truths), torch.cat(results), float(torch.stack(sizes).mean().sqrt())


def prepare(
    recipe: AutoencoderRecipe, folder: Path, rank: int = 0, world: int = 1, device: str = "cpu"
) -> Iterator[tuple[int, int]]:
    """Draw ahead what is not there yet, one process of several its share; yields (drawn, wanted)."""
    if recipe.pictures:
        ensembles = drawn_on(Ensembles(size=recipe.size), device)
        yield from drawn_ahead(ensembles, folder / ensembles.kind, recipe.pictures, rank, world)


def task(recipe: AutoencoderRecipe, folder: Path) -> Task:
    """What the loop needs to know. `folder` is where `prepare` has drawn."""
    kept = weights.load(found(recipe.start)).about.config.scale if recipe.start and recipe.learns == "decoder" else None
    return taught(recipe, folder, Exam(recipe, kept))


def taught(recipe: AutoencoderRecipe, folder: Path, exam: Exam) -> Task:
    """What the loop needs to know, where `exam` judges and keeps."""
    torch.manual_seed(recipe.plan.seed)  # of the first weights; everything later has chance of its own
    model = Pair(recipe)
    with torch.no_grad():  # a net that hears its own noise from the first day first learns to shout
        model.autoencoder.quant_conv.get_parameter("bias")[recipe.config.latents :] = recipe.log_variance
    if recipe.start:
        weights.fill(model.autoencoder, weights.load(found(recipe.start)))
    elif recipe.learns == "decoder":
        raise BadOption("A decoder cannot learn alone to decode what no encoder has learnt to say", remedy="start=FILE")
    source: shards.Shuffled | Drawing = Drawing(recipe.size)
    if recipe.pictures:
        drawn = shards.Shards(folder / Ensembles(size=recipe.size).kind, recipe.pictures)
        source = shards.Shuffled(drawn, recipe.plan.seed, ("picture", "fine"))
    return Task(
        identity=weights.as_json(recipe) | ({} if recipe.pictures else {"looks": looks()}),
        plan=recipe.plan,
        model=model,
        turns=(
            Turn(
                name="draw", learns=_LEARNERS[recipe.learns], objective=partial(drawing, recipe=recipe),
                rate=recipe.rate, betas=(0.9, 0.99), optimiser="muon",
            ),
            Turn(
                name="criticise", learns=("critic",), objective=partial(telling_apart, recipe=recipe),
                rate=recipe.critic_rate, betas=(0.5, 0.9), start=recipe.critic_from, averaged=False,
            ),
        ),
        data=Pictures(source, recipe.plan.seed),
        show=_shown,
        judge=exam.judge,
        keep=exam.keep,
    )  # fmt: skip


def _shown(model: Pair, batch: Batch) -> dict[str, Tensor]:
    """What is given, what counts, and what comes back before anything is learnt."""
    few = {name: value[:8] for name, value in batch.items()}
    truth, net = pixels(few), model.autoencoder
    result = net.reconstruct(given(net.posterior(truth)[0].float(), few, net.config)).float()
    return {"first-batch": tiled([truth / 2 + 0.5, attention(few, 1.0) - 1, result / 2 + 0.5])}


def psnr(error: Tensor, weight: Tensor | None = None) -> float:
    """dB, of squared errors of pictures in [-1, 1]: the mean over pictures, as it is usually given."""
    weight = torch.ones_like(error[:, :1]) if weight is None else weight
    each = (error * weight).sum((1, 2, 3)) / (3 * weight.sum((1, 2, 3))).clamp_min(1e-6)
    return float((10 * torch.log10(4 / each.clamp_min(1e-10))).mean())


def sharpness(result: Tensor, truth: Tensor, weight: Tensor) -> float:
    """Gradient energy of a result, of the truth's."""
    return _energy(result, weight) / max(_energy(truth, weight), 1e-9)


def _energy(picture: Tensor, weight: Tensor) -> float:
    """Squared gradients along both axes, where weighted."""
    across = (torch.diff(picture, dim=3) ** 2 * weight[..., 1:]).mean()
    down = (torch.diff(picture, dim=2) ** 2 * weight[..., 1:, :]).mean()
    return float(across + down)
