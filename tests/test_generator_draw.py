"""A generator draws: any length, the same however its cues come, nothing shown changes, and it can learn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from understudy.diffusion import forcing
from understudy.diffusion.noise import STABLE_DIFFUSION, X_NEMO, RectifiedFlow, clean_in, noised, target
from understudy.diffusion.windows import Window
from understudy.errors import BadOption
from understudy.generator.autoencoder import AutoencoderConfig
from understudy.generator.blocks import CodeConfig, TimeConfig
from understudy.generator.control import ControlConfig, HintConfig
from understudy.generator.embedding import EmbeddingConfig, PictureEmbedding
from understudy.generator.generator import (
    Cues,
    Generator,
    GeneratorConfig,
    Likeness,
    Manner,
    StartConfig,
    blurred,
    part,
    regrouped,
    together,
)
from understudy.generator.reference import ReferenceConfig, thinned
from understudy.generator.unet import UNetConfig

BACKBONE = UNetConfig(channels=8, widths=(16, 24), attended=(True, True), layers=1, heads=2, groups=8, context=4)
CONTROL = ControlConfig(
    unet=replace(BACKBONE, widths=(8, 8)), hint=HintConfig(widths=(8, 8), fold=4), into=(*BACKBONE.skips, 24)
)
TIME = TimeConfig(heads=2, looks=1, longest=6, divide=1, mid=False, after_upsampler=True)
FRAMES = GeneratorConfig(
    picture=32,
    autoencoder=AutoencoderConfig(fold=2, widths=(8, 8), layers=1, groups=4, latents=2, patch=2, scale=0.7),
    unet=replace(BACKBONE, time=TIME),
    reference=ReferenceConfig(unet=BACKBONE),
    controls=(CONTROL, CONTROL),
    shared_context=1,
    schedule=RectifiedFlow(),
    prediction="flow",
    reference_level=0.0,
    start=None,
    window=6,
    overlap=2,
)
CODE = replace(
    FRAMES,
    unet=replace(
        BACKBONE,
        time=replace(TIME, mid=True, after_upsampler=False),
        code=CodeConfig(heads=2, looks=1, width=5, divide=1),
    ),
    controls=(),
    shared_context=0,
    schedule=X_NEMO,
    prediction="eps",
    reference_level=X_NEMO.level(0),
    start=StartConfig(blur=3, deviation=18.0),
)
SEEN = replace(CODE, shared_context=1, embedding=EmbeddingConfig(widths=(8, 12), groups=4))
LIKE_X_PORTRAIT = replace(
    FRAMES, schedule=STABLE_DIFFUSION, prediction="eps", reference_level=None, start=StartConfig(blur=1, deviation=1.0)
)
MANNER = Manner(steps=3, sampler="ddim", spacing="even", guidance=2.0, seed=4)


def made(config: GeneratorConfig) -> Generator:
    """A generator in which nothing is silent."""
    torch.manual_seed(0)
    generator = Generator(config)
    for value in generator.parameters():
        value.data += 0.05 * torch.randn_like(value)
    generator.eval()
    return generator


def cues_for(config: GeneratorConfig, frames: int) -> Cues:
    chance = torch.Generator().manual_seed(2)
    hints = tuple(torch.rand(frames, 3, config.picture, config.picture, generator=chance) for _ in config.controls)
    code = torch.randn(frames, 7, config.unet.code.width, generator=chance) if config.unet.code else None
    return Cues(hints, code)


def likeness_for(generator: Generator) -> Likeness:
    chance = torch.Generator().manual_seed(3)
    pictures = torch.rand(1, 3, generator.config.picture, generator.config.picture, generator=chance) * 2 - 1
    context = None if generator.config.shared_context else torch.randn(1, 1, 4, generator=chance)
    with torch.no_grad():
        return generator.likeness(pictures, context)


def drawn(generator: Generator, cues: Cues, chunk: int, manner: Manner = MANNER, still: Cues | None = None) -> Tensor:
    chunks = (cues[at : at + chunk] for at in range(0, len(cues), chunk))
    return torch.cat(list(generator.draw(likeness_for(generator), chunks, manner, still=still)))


CONFIGS = {"frames": FRAMES, "code": CODE, "seen": SEEN, "like_x_portrait": LIKE_X_PORTRAIT}


@pytest.mark.parametrize("kind", CONFIGS)
def test_any_length_the_same_however_it_comes(kind: str) -> None:
    """Chunks of cues change not a bit; every frame of the driver gives one frame."""
    generator = made(CONFIGS[kind])
    for frames in (1, 9):
        cues = cues_for(generator.config, frames)
        whole = drawn(generator, cues, frames)
        assert whole.shape == (frames, 3, 32, 32) and bool(whole.isfinite().all())
        assert torch.equal(whole, drawn(generator, cues, 4))
        assert torch.equal(whole, drawn(generator, cues, 1))


def test_a_short_film_is_the_beginning_of_a_long_one() -> None:
    generator = made(FRAMES)
    short, long = (drawn(generator, cues_for(FRAMES, 18)[:frames], 5) for frames in (14, 18))
    assert torch.equal(short, long[:14])


def test_films_begin_before_they_are_known() -> None:
    generator, taken = made(FRAMES), 0

    def endless() -> Iterator[Cues]:
        nonlocal taken
        while True:
            taken += 1
            yield cues_for(FRAMES, 1)

    frames = generator.draw(likeness_for(generator), endless(), MANNER)
    next(frames)
    assert taken <= 8
    for _ in range(6):
        next(frames)
    assert taken <= 32


def test_the_seed_decides() -> None:
    generator = made(FRAMES)
    cues = cues_for(FRAMES, 7)
    assert torch.equal(drawn(generator, cues, 7), drawn(generator, cues, 7))
    assert not torch.allclose(drawn(generator, cues, 7), drawn(generator, cues, 7, replace(MANNER, seed=5)))


@pytest.mark.parametrize("sampler", ["ddim", "euler", "heun", "dpm_solver"])
def test_all_samplers_draw(sampler: str) -> None:
    generator = made(CODE)
    manner = replace(MANNER, sampler=sampler, spacing="leading")  # type: ignore[arg-type]
    assert bool(drawn(generator, cues_for(CODE, 8), 8, manner).isfinite().all())


def test_steps_are_told_as_they_are_done() -> None:
    generator, done = made(FRAMES), list[tuple[Window, int]]()
    chunks = [cues_for(FRAMES, 9)]
    list(
        generator.draw(
            likeness_for(generator), chunks, MANNER, stepped=lambda window, step: done.append((window, step))
        )
    )
    assert [step for _, step in done] == [0, 1, 2] * 2
    assert {window.start for window, _ in done} == {0, 3}


def test_guidance_draws_away_from_still() -> None:
    """Guidance of 1 asks one net, more asks two; what the driver did not do matters only then."""
    generator, cues = made(CODE), cues_for(CODE, 6)
    still, other = cues_for(CODE, 1), Cues((), torch.zeros(1, 7, 5))
    plain = replace(MANNER, guidance=1.0)
    assert torch.equal(drawn(generator, cues, 6, plain, still), drawn(generator, cues, 6, plain, other))
    assert not torch.allclose(drawn(generator, cues, 6, MANNER, still), drawn(generator, cues, 6, MANNER, other))


def test_notes_read_for_each_level_only_if_the_net_is_told_it() -> None:
    for config, wanted in ((FRAMES, 1), (LIKE_X_PORTRAIT, MANNER.steps)):
        generator, reads = made(config), list[float]()
        generator.reference.register_forward_pre_hook(lambda _net, given, reads=reads: reads.append(float(given[1])))
        drawn(generator, cues_for(config, 15), 15)
        assert len(reads) == wanted and len(set(reads)) == wanted


def test_two_pictures_of_one_person() -> None:
    generator = made(FRAMES)
    pictures = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        one, both = generator.likeness(pictures[:1]), generator.likeness(pictures)
        first, second = generator.notes(one, torch.tensor(0.5)), generator.notes(both, torch.tensor(0.5))
    assert all(b.shape[1] == 2 * a.shape[1] and len(b) == 1 for a, b in zip(first, second, strict=True))
    frames = list(generator.draw(both, [cues_for(FRAMES, 3)], MANNER))
    assert sum(map(len, frames)) == 3


def test_without_local_control_the_first_hint_alone_is_seen() -> None:
    generator = made(replace(FRAMES, controls=FRAMES.controls[:1]))
    both = cues_for(FRAMES, 3)
    first, dark = Cues(both.hints[:1]), Cues((both.hints[0], torch.zeros_like(both.hints[1])))
    wanted = drawn(generator, first, 3)
    assert torch.equal(drawn(generator, both, 3), wanted) and torch.equal(drawn(generator, dark, 3), wanted)


def test_wrong_cues_are_refused() -> None:
    generator = made(FRAMES)
    with pytest.raises(BadOption, match="follows 2 hints a frame, given 0"):
        list(generator.draw(likeness_for(generator), [cues_for(CODE, 3)], MANNER))
    with pytest.raises(BadOption, match="context"):
        made(CODE).likeness(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 9}, "windows of 9 frames are longer than 6"),
        ({"unet": replace(BACKBONE, channels=4)}, "the U-Net has 4 channels, the autoencoder 8"),
        ({"reference": ReferenceConfig(unet=replace(BACKBONE, context=6))}, "told 6 numbers of context"),
        ({"unet": replace(BACKBONE, widths=(16, 16))}, "does not fit a U-Net"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        replace(FRAMES, **change)  # type: ignore[arg-type]


def test_cues_slice_join_and_regroup() -> None:
    cues = cues_for(FRAMES, 11)
    groups = list(regrouped((cues[at : at + 3] for at in range(0, 11, 3)), 4))
    assert [len(group) for group in groups] == [4, 4, 3]
    joined = together(groups)
    assert all(torch.equal(a, b) for a, b in zip(joined.hints, cues.hints, strict=True))
    codes = cues_for(CODE, 5)
    assert len(codes) == 5 and codes.code is not None and torch.equal(codes[2:4].to("cpu").code, codes.code[2:4])  # type: ignore[arg-type]
    assert len(Cues()) == 0


def test_blur() -> None:
    flat, point = torch.ones(1, 2, 9, 9), torch.zeros(1, 1, 9, 9)
    point[0, 0, 4, 4] = 1
    assert torch.allclose(blurred(flat, 9, 18.0), flat, atol=1e-6)
    spread = blurred(point, 3, 18.0)
    assert float(spread.sum()) == pytest.approx(1, abs=1e-5) and float(spread[0, 0, 3, 3]) == pytest.approx(
        1 / 9, abs=1e-3
    )
    assert torch.equal(blurred(point, 1, 1.0), point)


def test_parts_of_a_generator() -> None:
    names = {part(name) for name, _ in made(FRAMES).named_parameters()}
    assert names == {"autoencoder", "backbone", "time", "reference", "control 0", "control 1", "context"}
    assert "motion" in {part(name) for name, _ in made(CODE).named_parameters()}


@pytest.mark.parametrize("kind", CONFIGS)
def test_training_and_drawing_ask_the_same_net(kind: str) -> None:
    """What `forward` answers is what the drawing's denoiser is told, cached notes and encoded hints included."""
    generator = made(CONFIGS[kind])
    cues, likeness = cues_for(generator.config, 4), likeness_for(generator)
    noisy, level = torch.randn(1, 4, 8, 4, 4), torch.full((1, 4), 0.4)
    with torch.no_grad():
        trained = generator(noisy, level, portrait=likeness.latents, cues=cues, context=likeness.context)
        encoded = together(list(generator._frame_by_frame([cues])))
        denoise = generator._denoise(likeness, generator._reader(likeness, level[0]), encoded, None, 1.0)
        wanted = clean_in(trained[0], noisy[0], level[0], generator.config.schedule, generator.config.prediction)
        assert torch.allclose(denoise(noisy[0], level[0]), wanted, atol=1e-5)


def test_a_picture_embedding_begins_silent_and_then_tells_portraits_apart() -> None:
    torch.manual_seed(0)
    new, latents = PictureEmbedding(EmbeddingConfig(widths=(8, 12), groups=4), 8, 4), torch.randn(3, 8, 4, 4)
    assert new(latents).shape == (3, 1, 4) and not new(latents).any()
    generator, cues = made(SEEN), cues_for(SEEN, 2)
    noisy, level = torch.randn(2, 1, 8, 4, 4), torch.full((2, 1), 0.4)
    with torch.no_grad():
        told = generator.told_of(latents)
        assert (told[0] - told[1]).abs().max() > 1e-3
        both = generator(noisy, level, portrait=latents[:2], cues=cues)
        each = [generator(noisy[[k]], level[:1], portrait=latents[[k]], cues=cues[k : k + 1]) for k in (0, 1)]
        assert torch.allclose(both, torch.cat(each), atol=1e-5), "each film is told of its own portrait"
        assert torch.equal(both, generator(noisy, level, portrait=latents[:2], cues=cues, context=told[:2]))
        untold = generator(noisy, level, portrait=None, cues=cues)
        assert torch.equal(untold, generator(noisy, level, portrait=None, cues=cues, context=generator.context))
        two = generator.likeness(torch.rand(2, 3, 32, 32))
        assert torch.allclose(two.context, generator.told_of(two.latents).mean(0, keepdim=True), atol=1e-6)
    with pytest.raises(BadOption, match="shared context"):
        replace(SEEN, shared_context=0)
    with pytest.raises(BadOption, match="multiples"):
        EmbeddingConfig(widths=(8, 10), groups=4)


def test_one_film_can_be_overfitted() -> None:
    """All nets together, through the public forward: the loss on one film falls to a small part."""
    torch.manual_seed(0)
    generator = Generator(FRAMES).train()
    learning = [value for name, value in generator.named_parameters() if part(name) != "autoencoder"]
    optimiser = torch.optim.AdamW(learning, lr=1e-2)
    clean, portrait = torch.randn(1, 4, 8, 4, 4), torch.randn(1, 8, 4, 4)
    cues, chance = cues_for(FRAMES, 4), torch.Generator().manual_seed(0)
    losses = []
    for _ in range(70):
        level = 0.6 + 0.4 * forcing.together(1, 4, chance)
        noise = torch.randn(clean.shape, generator=chance)
        answer = generator(
            noised(clean, noise, level, FRAMES.schedule),
            level,
            portrait=portrait,
            cues=cues,
            altered=lambda notes: thinned(notes, 0.3, chance),
        )
        loss = (answer - target(clean, noise, level, FRAMES.schedule, "flow")).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) < 0.45 * sum(losses[:10])


def test_with_noise_that_frames_share_a_still_driver_gives_a_still_film() -> None:
    generator = made(FRAMES)
    for value in (p for name, p in generator.named_parameters() if part(name) == "time"):
        value.data.zero_()  # or the place in a window would tell frames apart
    still = together([cues_for(FRAMES, 1)] * 9)
    restless, calm = (drawn(generator, still, 9, replace(MANNER, alike=alike)) for alike in (0.0, 1.0))
    assert torch.diff(restless, dim=0).abs().max() > 1e-2
    assert torch.diff(calm, dim=0).abs().max() < 1e-4
