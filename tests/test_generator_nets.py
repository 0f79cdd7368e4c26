"""The nets compute what they should: as diffusers does, silent where they are fresh, the same cached as not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

from understudy.errors import BadOption
from understudy.generator.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    TemporalAutoencoder,
    TemporalAutoencoderConfig,
)
from understudy.generator.blocks import CodeConfig, MotionModule, TimeConfig, TimeModule
from understudy.generator.control import ControlConfig, ControlNet, HintConfig, added
from understudy.generator.layers import Attention, KeyValue, LevelEmbedding, fitted, looked
from understudy.generator.reference import ReferenceConfig, ReferenceNet, as_one, thinned
from understudy.generator.unet import UNet, UNetConfig

Net = TypeVar("Net", bound=nn.Module)
PLAIN = UNetConfig(
    channels=4, widths=(16, 32, 48, 48), attended=(True, True, True, False), layers=2, heads=4, groups=8, context=12
)
TIME = TimeConfig(heads=4, looks=2, longest=6, divide=1, mid=True, after_upsampler=False)
CODE = CodeConfig(heads=4, looks=2, width=5, divide=1)
FULL = replace(PLAIN, time=TIME, code=CODE)
HINT = HintConfig(widths=(16, 32, 96, 256))
CONTROL = ControlConfig(unet=PLAIN, hint=HINT, into=(*PLAIN.skips, 48))


def shaken(net: Net, seed: int = 0) -> Net:
    """The net with no parameter left as it was, zeros included."""
    chance = torch.Generator().manual_seed(seed)
    for value in net.parameters():
        value.data += 0.05 * torch.randn(value.shape, generator=chance)
    net.eval()
    return net


def unet(config: UNetConfig = PLAIN) -> UNet:
    return shaken(UNet(config))


def inputs(films: int = 1, frames: int = 3, side: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    chance = torch.Generator().manual_seed(1)
    noisy = torch.randn(films, frames, 4, side, side, generator=chance)
    level = (torch.randint(1000, (films, frames), generator=chance) + 1) / 1000
    return noisy, level, torch.randn(films, 7, 12, generator=chance)


@cache
def notes(films: int = 1) -> list[Tensor]:
    reference = shaken(ReferenceNet(ReferenceConfig(unet=PLAIN)), 3)
    portrait = torch.randn(films, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        taken = reference(portrait, torch.full((1,), 0.001), torch.zeros(1, 7, 12))
    return list(taken)


def close(here: Tensor, there: Tensor, most: float = 1e-5) -> bool:
    return bool((here - there).abs().max() <= most)


@torch.no_grad()
def test_unet_is_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    theirs = shaken(
        diffusers.UNet2DConditionModel(
            sample_size=8,
            block_out_channels=PLAIN.widths,
            layers_per_block=2,
            attention_head_dim=PLAIN.heads,
            norm_num_groups=PLAIN.groups,
            cross_attention_dim=PLAIN.context,
        )
    )
    ours = UNet(PLAIN).eval()
    ours.load_state_dict(theirs.state_dict())
    noisy, _, context = inputs(films=3, frames=1)
    step = torch.tensor([0, 477, 991])
    wanted = theirs(noisy[:, 0], step, encoder_hidden_states=context).sample
    found = ours(noisy, ((step + 1) / 1000)[:, None], context)[:, 0]
    assert wanted.abs().max() > 0.5 and close(found, wanted)


@torch.no_grad()
def test_control_net_is_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    theirs = shaken(
        diffusers.ControlNetModel(
            block_out_channels=PLAIN.widths,
            layers_per_block=2,
            attention_head_dim=PLAIN.heads,
            norm_num_groups=PLAIN.groups,
            cross_attention_dim=PLAIN.context,
        )
    )
    ours = ControlNet(CONTROL).eval()
    ours.load_state_dict(theirs.state_dict())
    noisy, _, context = inputs(films=2, frames=1)
    step, hint = torch.tensor([3, 700]), torch.rand(2, 3, 64, 64) * 2 - 1
    skips, middle = theirs(noisy[:, 0], step, encoder_hidden_states=context, controlnet_cond=hint, return_dict=False)
    found = ours(noisy, ((step + 1) / 1000)[:, None], context, ours.encode(hint))
    assert len(found) == 13
    assert all(close(a, b) for a, b in zip(found, [*skips, middle], strict=True))


@torch.no_grad()
def test_autoencoder_is_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    theirs = shaken(
        diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(16, 24, 32),
            layers_per_block=2,
            norm_num_groups=8,
            latent_channels=4,
        )
    )
    ours = Autoencoder(
        AutoencoderConfig(fold=1, widths=(16, 24, 32), layers=2, groups=8, latents=4, patch=1, scale=0.5)
    )
    ours.load_state_dict(theirs.state_dict())
    pictures = torch.rand(2, 3, 32, 32) * 2 - 1
    posterior = theirs.encode(pictures).latent_dist
    mean, log_variance = ours.posterior(pictures)
    assert close(mean, posterior.mean) and close(log_variance, posterior.logvar)
    assert close(ours.encode(pictures), posterior.mean * 0.5)
    assert close(ours.decode(posterior.mean * 0.5), theirs.decode(posterior.mean).sample, 2e-5)


@torch.no_grad()
def test_temporal_autoencoder() -> None:
    """diffusers' own class behind our two verbs: shapes, and frames decoded together in groups."""
    pytest.importorskip("diffusers")
    config = TemporalAutoencoderConfig(widths=(32, 64), layers=1, latents=4, scale=0.2, together=3)
    net = TemporalAutoencoder(config).eval()
    latents = net.encode(torch.rand(5, 3, 16, 16))
    assert latents.shape == (5, 4, 8, 8) and latents.dtype == torch.float32
    decoded = net.decode(latents)
    assert decoded.shape == (5, 3, 16, 16)
    assert close(decoded[:3], net.decode(latents[:3])) and close(decoded[3:], net.decode(latents[3:]))


@torch.no_grad()
def test_folds_and_patches_lose_nothing() -> None:
    config = AutoencoderConfig(fold=2, widths=(16, 16), layers=1, groups=8, latents=3, patch=2, scale=0.25)
    net = shaken(Autoencoder(config))
    pictures = torch.rand(2, 3, 32, 32)
    mean, _ = net.posterior(pictures)
    latents = net.encode(pictures)
    assert mean.shape == (2, 3, 8, 8) and latents.shape == (2, 12, 4, 4) and config.downscale == 8
    assert close(net.decode(latents), net.reconstruct(mean))
    sampled = net.encode(pictures, torch.Generator().manual_seed(1))
    assert torch.equal(sampled, net.encode(pictures, torch.Generator().manual_seed(1)))
    assert not close(sampled, latents, 1e-3)


@torch.no_grad()
def test_a_fresh_net_begins_as_the_plain_one() -> None:
    """No notes, fresh control nets, fresh motion and time modules: exactly the plain per-frame U-Net."""
    plain, full, control = unet(), UNet(FULL).eval(), ControlNet(CONTROL).eval()
    missing, unexpected = full.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and all("temporal_modules" in name or "motion_modules" in name for name in missing)
    noisy, level, context = inputs()
    encoded = control.encode(torch.rand(3, 3, 64, 64))
    controls = added([control(noisy, level, context, encoded), control(noisy, level, context, encoded)])
    code = torch.randn(1, 3, 9, 5)
    found = full(noisy, level, context, controls=controls, code=code)
    assert torch.equal(found, plain(noisy, level, context))


@torch.no_grad()
def test_every_way_in_matters() -> None:
    """With weights, each of notes, controls, code, context, level and the other frames changes the answer."""
    net, control = unet(FULL), shaken(ControlNet(CONTROL), 2)
    noisy, level, context = inputs()
    code = torch.randn(1, 3, 9, 5)
    plain = net(noisy, level, context, code=code)
    controls = control(noisy, level, context, control.encode(torch.rand(3, 3, 64, 64)))
    changed = [
        net(noisy, level, context, code=code, notes=notes()),
        net(noisy, level, context, code=code, controls=controls),
        net(noisy, level, context, code=code + 1),
        net(noisy, level, context + 1, code=code),
        net(noisy, level / 2, context, code=code),
    ]
    assert all(not close(each, plain, 1e-3) for each in changed)
    other = noisy.clone()
    other[:, 2] += 1
    assert not close(net(other, level, context, code=code)[:, :2], plain[:, :2], 1e-4)
    with pytest.raises(BadOption, match="code"):
        net(noisy, level, context)


@torch.no_grad()
def test_frames_do_not_see_each_other_without_time_modules() -> None:
    net = unet()
    noisy, level, context = inputs(films=2, frames=3)
    whole = net(noisy, level, context, notes=notes(films=2))
    for film in range(2):
        for frame in range(3):
            alone = net(
                noisy[film : film + 1, frame : frame + 1],
                level[film : film + 1, frame : frame + 1],
                context[film : film + 1],
                notes=[note[film : film + 1] for note in notes(films=2)],
            )
            assert close(alone[0, 0], whole[film, frame])


@torch.no_grad()
def test_films_in_a_batch_do_not_see_each_other() -> None:
    net = unet(FULL)
    noisy, level, context = inputs(films=2, frames=4)
    code = torch.randn(2, 4, 9, 5)
    whole = net(noisy, level, context, notes=notes(films=2), code=code)
    first = net(noisy[:1], level[:1], context[:1], notes=[note[:1] for note in notes(films=2)], code=code[:1])
    assert close(first, whole[:1])


@torch.no_grad()
def test_remembered_notes_are_the_notes() -> None:
    """Keys and values prepared once: a relative 1e-5 in fp32, and not what no notes at all would give."""
    net = unet(FULL)
    noisy, level, context = inputs()
    code = torch.randn(1, 3, 9, 5)
    read = net(noisy, level, context, notes=notes(), code=code)
    cached = net(noisy, level, context, notes=net.remembered(notes()), code=code)
    assert close(cached, read, 1e-5 * float(read.abs().max()))


@torch.no_grad()
def test_hints_are_encoded_once() -> None:
    control = shaken(ControlNet(CONTROL))
    noisy, level, context = inputs()
    hint = torch.rand(3, 3, 64, 64)
    one_by_one = torch.cat([control.encode(hint[frame : frame + 1]) for frame in range(3)])
    together = control(noisy, level, context, control.encode(hint))
    apart = control(noisy, level, context, one_by_one)
    assert all(close(a, b) for a, b in zip(together, apart, strict=True))


def test_a_narrow_control_net_steers_a_wide_unet() -> None:
    narrow = replace(CONTROL, unet=replace(PLAIN, widths=(8, 8, 16, 16)), hint=HintConfig(widths=(8, 16), fold=4))
    control = ControlNet(narrow)
    noisy, level, context = inputs()
    controls = control(noisy, level, context, control.encode(torch.rand(3, 3, 64, 64)))
    assert [each.shape[1] for each in controls] == [*PLAIN.skips, 48]
    assert unet()(noisy, level, context, controls=controls).shape == noisy.shape


@torch.no_grad()
def test_time_module_looks_along_each_place() -> None:
    """Against attention written out for one place of the picture."""
    module = shaken(TimeModule(16, 8, TIME))
    x = torch.randn(6, 16, 3, 3)  # two films of three frames
    found = module(x, 3)
    branch: Any = module.temporal_transformer
    normed = branch.proj_in(branch.norm(x).permute(0, 2, 3, 1))[3:, 1, 2]
    block = branch.transformer_blocks[0]
    for look, norm in zip(block.attention_blocks, block.norms, strict=True):
        here = norm(normed) + look.pos_encoder.pe[0, :3]
        heads = [part(here).view(3, 4, 4).transpose(0, 1) for part in (look.to_q, look.to_k, look.to_v)]
        weight = (heads[0] @ heads[1].transpose(1, 2) / 2).softmax(-1)
        normed = normed + look.to_out[0]((weight @ heads[2]).transpose(0, 1).reshape(3, 16))
    normed = normed + block.ff(block.ff_norm(normed))
    assert close(found[3:, :, 1, 2], x[3:, :, 1, 2] + branch.proj_out(normed))


@torch.no_grad()
def test_positions_are_the_published_ones() -> None:
    """pe[f, 2i] = sin(f / 10000^(2i/c)), pe[f, 2i+1] = cos of the same."""
    time = TimeModule(16, 8, TIME)
    table = time.state_dict()["temporal_transformer.transformer_blocks.0.attention_blocks.0.pos_encoder.pe"][0]
    for frame, place in [(0, 0), (1, 0), (5, 3), (4, 7)]:
        angle = torch.tensor(frame / 10_000 ** (2 * place / 16), dtype=torch.float64)
        assert float(table[frame, 2 * place]) == pytest.approx(float(angle.sin()), abs=1e-5)
        assert float(table[frame, 2 * place + 1]) == pytest.approx(float(angle.cos()), abs=1e-5)


def test_a_window_too_long_is_refused() -> None:
    with pytest.raises(BadOption, match="longer than this network can look along"):
        TimeModule(16, 8, TIME)(torch.randn(7, 16, 2, 2), 7)


@torch.no_grad()
def test_motion_module_sees_its_own_frames_code() -> None:
    module = shaken(MotionModule(16, 8, CODE))
    x, code = torch.randn(3, 16, 4, 4), torch.randn(3, 9, 5)
    plain, moved = module(x, code), module(x, code + torch.tensor([0.0, 1.0, 0.0])[:, None, None])
    assert close(moved[[0, 2]], plain[[0, 2]]) and not close(moved[1], plain[1], 1e-3)
    swapped = module(x, code.flip(1))  # a set of tokens, in no order
    assert close(swapped, plain)


@torch.no_grad()
def test_levels_are_told_as_published_steps() -> None:
    """The sinusoids of step t, cosines first, from an fp32 level of (t + 1) / 1000."""
    net = LevelEmbedding(32, 8)
    seen: list[Tensor] = []
    net.linear_1.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    step = torch.arange(1000)
    net((step + 1) / 1000)
    frequency = 10_000 ** -(torch.arange(16, dtype=torch.float64) / 16)
    angle = step.double()[:, None] * frequency
    assert close(seen[0].double(), torch.cat([angle.cos(), angle.sin()], 1), 1e-4)
    net(torch.tensor([0.0, 0.001]))
    assert torch.equal(seen[1][0], seen[1][1])


def test_one_token_has_all_the_attention() -> None:
    """The short cut for a context of one token is what the long way gives."""
    attention, x, context = Attention(16, 4, 12), torch.randn(3, 5, 16), torch.randn(3, 1, 12)
    with torch.no_grad():
        short = attention(x, attention.see(context))
    assert close(short.expand(3, 5, 16), attention(x, attention.see(context)))


def test_fitted_repeats_each_film_for_its_frames() -> None:
    values = torch.arange(2)[:, None]
    assert fitted(values, 6).flatten().tolist() == [0, 0, 0, 1, 1, 1]
    assert fitted(values, 2) is values


def test_notes_of_several_pictures_and_thinned_notes() -> None:
    taken = notes(films=3)
    joined = as_one(taken)
    assert all(a.shape == (1, 3 * b.shape[1], b.shape[2]) for a, b in zip(joined, taken, strict=True))
    thin = thinned(taken, 0.3, torch.Generator().manual_seed(0))
    for kept, whole in zip(thin, taken, strict=True):
        assert kept.shape[1] == int(whole.shape[1] * 0.7)
        assert all(bool((whole[film] == row).all(1).any()) for film in range(3) for row in kept[film])
    again = thinned(taken, 0.3, torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(thin, again, strict=True))


def test_everything_learns() -> None:
    """A gradient reaches every parameter of a U-Net and of the nets that speak to it, whatever begins silent."""
    net, control = unet(FULL).train(), shaken(ControlNet(CONTROL), 2).train()
    reference = shaken(ReferenceNet(ReferenceConfig(unet=PLAIN)), 3).train()
    noisy, level, context = inputs()
    taken = reference(torch.randn(1, 4, 8, 8), torch.full((1,), 0.001), context)
    encoded = control.encode(torch.rand(3, 3, 64, 64))
    controls = control(noisy, level, context, encoded)
    net(noisy, level, context, notes=taken, controls=controls, code=torch.randn(1, 3, 9, 5)).square().mean().backward()
    assert [name for name, value in net.named_parameters() if value.grad is None] == []
    assert [name for name, value in control.named_parameters() if value.grad is None] == []
    after_the_last_note = ("up_blocks.3.attentions.2",)
    unread = {name for name, value in reference.named_parameters() if value.grad is None}
    assert all(name.startswith(after_the_last_note) for name in unread)


def test_bad_numbers_are_refused_at_birth() -> None:
    with pytest.raises(BadOption, match="width 16 does not divide into 5"):
        replace(PLAIN, heads=5)
    with pytest.raises(BadOption, match="3 widths"):
        replace(PLAIN, widths=(16, 32, 48))


def test_training_time_on_a_frozen_backbone_does_not_crash() -> None:
    """PyTorch 2.13 kills the process in group norm's backward (channels_last, input without gradient) unless minded."""
    script = """
import torch
torch.set_num_threads(1)
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar
from understudy.generator.blocks import TimeConfig
from understudy.generator.unet import UNet, UNetConfig
time = TimeConfig(heads=2, looks=1, longest=4, divide=1, mid=False, after_upsampler=True)
shape = dict(channels=4, widths=(16, 16), attended=(True, True), layers=1, heads=2, groups=8, context=4)
net = UNet(UNetConfig(**shape, time=time))
net = net.to(memory_format=torch.channels_last)
torch.nn.init.normal_(net.conv_out.weight)
for name, value in net.named_parameters():
    value.requires_grad_("temporal_modules" in name)
net(torch.randn(1, 2, 4, 8, 8), torch.rand(1, 2), torch.zeros(1, 1, 4)).square().mean().backward()
print("lived", sum(value.grad is not None for value in net.parameters()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.startswith("lived"), done.stderr[-500:]


def test_plain_products_are_the_fused_kernel() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, count, 8) for count in (5, 7, 7))
    plain = looked(query, KeyValue(key, value))
    with torch.no_grad():
        fused = looked(query, KeyValue(key, value))
    assert not torch.equal(plain, fused) and torch.allclose(plain, fused, atol=1e-6)
