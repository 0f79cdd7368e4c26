"""Motion codes slice, join, retime, are edited, saved, loaded; encoders see faces one by one; boxes as published."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from test_frames import made as made_frames
from toy_code import ENCODER

from understudy import models
from understudy.errors import BadMotionFile, BadOption, WrongMotion
from understudy.motion import file as motion_file
from understudy.motion.code import NAMES, MotionCode, column, join, whole
from understudy.motion.encoder import (
    Encoder,
    EncoderConfig,
    FaceNet,
    FaceNetConfig,
    Probe,
    boxed,
    cut,
    places,
    relative,
)
from understudy.motion.fan import FanConfig, FanNet, Look
from understudy.motion.file import MotionFile
from understudy.motion.kinds import CODE
from understudy.motion.probing import blinding, curves_mirrored, fill, measured, ridge
from understudy.motion.reading import in_the_film, read_code

RATE = Fraction(25)
PUBLISHED = 61_665_393


def made(frames: int = 10, rate: Fraction = RATE, seed: int = 0, numbers: int = 5) -> MotionCode:
    chance = np.random.default_rng(seed)
    return MotionCode(
        times=np.arange(frames) / float(rate),
        code=chance.normal(0, 1, (frames, numbers)).astype(np.float32),
        box=(chance.uniform(0, 5, (frames, 3)) + 100).astype(np.float32),
        seen=np.arange(frames) % 7 != 3,
        shots=(np.arange(frames) // 6).astype(np.int32),
        rate=rate,
        provenance={"encoder": "toy 1"},
    )


def same(one: MotionCode, other: MotionCode) -> bool:
    def alike(a: object, b: object) -> bool:
        return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b  # type: ignore[arg-type]

    return all(alike(getattr(one, field.name), getattr(other, field.name)) for field in fields(MotionCode))


def test_slices_put_together_are_the_whole() -> None:
    motion = made()
    assert same(whole([motion[:3], motion[3:4], motion[4:]]), motion)
    assert len(motion[8:20]) == 2 and motion[2:5].times[0] == motion.times[2]
    assert np.shares_memory(motion[2:5].code, motion.code)
    with pytest.raises(ValueError, match="consecutive"):
        motion[::2]
    with pytest.raises(WrongMotion, match="different performances"):
        whole([motion, replace(motion, rate=Fraction(30))])
    with pytest.raises(WrongMotion, match="different encoders"):
        whole([motion, replace(motion, provenance={"encoder": "toy 2"})])


def test_joined_ones_follow_each_other_after_a_cut() -> None:
    both = join(made(4), made(6, Fraction(50), 1))
    assert len(both) == 4 + 3 and both.rate == RATE
    assert np.allclose(both.times, np.arange(7) / 25) and both.shots.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_another_rate_is_as_long_and_between_frames_lies_between() -> None:
    motion = replace(made(5), seen=np.ones(5, bool), shots=np.zeros(5, np.int32))
    fine = motion.retime(50)
    assert len(fine) == 10 and np.allclose(fine.code[::2], motion.code, atol=1e-6)
    assert np.allclose(fine.code[1], motion.code[:2].mean(0), atol=1e-5)
    assert np.allclose(fine.box[3], motion.box[1:3].mean(0), atol=1e-4)
    cut_up = replace(motion, shots=np.array([0, 0, 1, 1, 1], np.int32)).retime(100)
    assert all(any(np.array_equal(code, known) for known in motion.code[[1, 2]]) for code in cut_up.code[4:8])
    assert same(motion.retime(25), motion)


def test_strength_and_blends_are_straight_lines() -> None:
    motion, other, neutral = made(), made(8, seed=1), np.ones(5, np.float32)
    assert same(motion.scaled(1, neutral), motion)
    assert np.allclose(motion.scaled(0, neutral).code, 1)
    assert np.allclose(motion.scaled(2, neutral).code, 2 * motion.code - 1, atol=1e-6)
    assert np.array_equal(motion.blended(other, 0).code, motion.code[:8])
    assert np.array_equal(motion.blended(other, 1).code, other.code)
    assert np.allclose(motion.blended(other, 0.25).code, 0.75 * motion.code[:8] + 0.25 * other.code, atol=1e-6)
    with pytest.raises(WrongMotion, match="different encoders"):
        motion.blended(made(numbers=4), 0.5)
    moved = motion.moved(np.eye(5, dtype=np.float32)[[1, 3]], (0.5, -1))
    assert np.allclose(moved.code - motion.code, [0, 0.5, 0, -1, 0], atol=1e-6)


def test_smooth_ones_keep_their_mean_and_stay_within_shots() -> None:
    motion = replace(made(12), seen=np.ones(12, bool))
    quiet = motion.smooth(0.08)
    assert np.abs(np.diff(quiet.code[:6], axis=0)).mean() < 0.6 * np.abs(np.diff(motion.code[:6], axis=0)).mean()
    louder = replace(motion, code=np.where(motion.shots[:, None] == 1, 1000, motion.code).astype(np.float32))
    assert np.allclose(louder.smooth(0.08).code[:6], quiet.code[:6])
    assert same(motion.smooth(0), motion)


@pytest.mark.parametrize("exact", [True, False])
def test_files_hold_them(exact: bool, tmp_path: Path) -> None:
    motion = made(30)
    motion.save(tmp_path / "a.safetensors", exact=exact)
    back = MotionCode.load(tmp_path / "a.safetensors")
    assert same(replace(back, code=motion.code), motion) and np.allclose(back.code, motion.code, atol=2e-3)
    assert not exact or np.array_equal(back.code, motion.code)
    with pytest.raises(WrongMotion, match="motion codes, not points") as caught:
        next(motion_file.read(tmp_path / "a.safetensors"))
    assert "x-portrait-2-small" in caught.value.remedy
    with pytest.raises(WrongMotion, match="not motion codes"):
        made_frames(3).save(tmp_path / "b.safetensors")
        MotionCode.load(tmp_path / "b.safetensors")


def test_a_growing_file_goes_on(tmp_path: Path) -> None:
    motion = made(9)
    for part in (motion[:4], motion[4:]):
        with MotionFile(tmp_path / "a.motion", exact=True, kind=CODE) as file:
            file.append(part)
            assert same(whole(file), motion[: len(file)])


@pytest.mark.parametrize("harm", ["code", "box", "size", "names", "numbers"])
def test_files_of_strangers_are_distrusted(harm: str, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "code.safetensors"
    made(3).save(path)
    tensors = {name: tensor.copy() for name, tensor in load_file(path).items()}
    with safe_open(path, "numpy") as file:
        about = file.metadata()
    if harm == "code":
        tensors["0000/code"][1, 1] = np.nan
    elif harm == "box":
        tensors["0000/box"] = tensors["0000/box"][:, :2].copy()
    elif harm == "size":
        tensors["0000/box"][0, 2] = 0
    elif harm == "numbers":
        tensors["0000/code"] = np.zeros((3, 5000), np.float16)
    else:
        about["names"] = '["jawOpen"]'
    save_file(tensors, path, about)
    with pytest.raises(BadMotionFile, match="damaged"):
        MotionCode.load(path)


def test_curves_have_names() -> None:
    assert NAMES[column("jawOpen")] == "jawOpen" and column("roll") == len(NAMES) - 1
    with pytest.raises(BadOption, match="no curve"):
        column("jawDrop")


# --- encoders ---------------------------------------------------------------------------------------------------------


FAN = FanConfig(side=64, width=16, depth=2, points=4, tokens=64, heads=2, patches=(4, 2), dropout=0.5)


@pytest.mark.parametrize("normal", ["none", "layer", "batch"])
@pytest.mark.parametrize("net", [ENCODER.net, FAN])
def test_a_code_does_not_depend_on_its_neighbours(normal: str, net: object) -> None:
    side = 64 if isinstance(net, FanConfig) else 32
    torch.manual_seed(0)
    encoder = Encoder(replace(ENCODER, net=net, side=side, normal=normal)).eval()  # type: ignore[arg-type]
    faces = torch.rand(5, 3, side, side) * 2 - 1
    many = encoder.encode(faces)
    assert many.shape == (5, 10) and not torch.allclose(many[0], many[1], atol=1e-4)
    assert torch.allclose(encoder.encode(faces[2:3]), many[2:3], atol=1e-5)
    assert torch.allclose(encoder.encode(faces.flip(0)), many.flip(0), atol=1e-5)


def test_a_net_that_is_given_more_blocks_begins_as_it_was() -> None:
    less = Encoder(ENCODER)
    for parameter in less.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # as if it had learnt
    assert isinstance(ENCODER.net, FaceNetConfig)
    more = Encoder(replace(ENCODER, net=replace(ENCODER.net, blocks=(1, 3))))
    assert not more.load_state_dict(less.state_dict(), strict=False).unexpected_keys
    faces = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(more.encode(faces), less.encode(faces))


def test_normal_codes_have_one_length() -> None:
    codes = Encoder(ENCODER).encode(torch.rand(4, 3, 32, 32))
    assert torch.allclose(codes.mean(1), torch.zeros(4), atol=1e-5)
    assert torch.allclose(codes.square().mean(1), torch.ones(4), atol=1e-2)


def test_the_published_encoder_is_the_published_one() -> None:
    config = models.published_encoder()
    with torch.device("meta"):
        encoder = Encoder(config)
    assert sum(value.numel() for value in encoder.parameters()) == PUBLISHED
    state = {name: tuple(value.shape) for name, value in encoder.state_dict().items()}
    assert len(state) == 407
    for name, shape in {
        "pe": (1, 32, 16), "bbox_proj.0.weight": (64, 3), "bbox_proj.3.weight": (64, 64),
        "final_proj.weight": (512, 576), "model.conv1.weight": (64, 3, 7, 7),
        "model.conv2.conv1.weight": (64, 64, 3, 3), "model.conv2.downsample.2.weight": (128, 64, 1, 1),
        "model.att_1.norm.weight": (128,), "model.att_1.pos_embed.proj.weight": (1024, 128, 4, 4),
        "model.att_1.transformer_blocks.0.attention_blocks.0.to_q.weight": (1024, 1024),
        "model.att_1.transformer_blocks.0.ff.net.0.proj.weight": (8192, 1024),
        "model.att_1.transformer_blocks.0.ff.net.2.weight": (1024, 4096), "model.att_1.proj_out.weight": (128, 64),
        "model.att_2.pos_embed.proj.weight": (1024, 256, 2, 2), "model.att_2.proj_out.weight": (256, 256),
        "model.m0.b2_plus_1.conv1.weight": (128, 256, 3, 3), "model.m0.b3_4.bn1.running_mean": (256,),
        "model.top_m_0.conv1.weight": (128, 256, 3, 3), "model.conv_last0.weight": (256, 256, 1, 1),
        "model.l0.weight": (68, 256, 1, 1), "model.bn5.weight": (68,), "model.conv6.weight": (1, 68, 3, 3),
        "model.fc.weight": (512, 784),
    }.items():  # fmt: skip
        assert state[name] == shape, name
    code = encoder.encode(torch.empty(2, 3, 224, 224, device="meta"))
    assert code.shape == (2, 512)
    assert encoder.tokens(code, torch.empty(2, 3, device="meta")).shape == (2, 32, 16)


def test_looks_begin_silent() -> None:
    """So PD-FGC's weights mean what they meant."""
    torch.manual_seed(0)
    net = FanNet(FAN, 10).eval()
    faces = torch.rand(2, 3, 64, 64)
    before = net(faces)
    for look in (net.att_1, net.att_2, net.att_3):
        assert isinstance(look, Look)
        for value in look.transformer_blocks.parameters():
            value.data += 1
    assert torch.equal(net(faces), before)
    net.att_2.proj_out.weight.data += 0.1
    assert not torch.equal(net(faces), before)


def test_the_small_encoder_is_small() -> None:
    with torch.device("meta"):
        encoder = Encoder(models.small_encoder())
    assert 2e6 < sum(value.numel() for value in encoder.parameters()) < 2.5e6
    assert 64 <= encoder.config.code <= 128


def test_nonsense_is_refused() -> None:
    with pytest.raises(BadOption, match="halved"):
        replace(ENCODER, side=30)
    with pytest.raises(BadOption, match="groups"):
        replace(models.small_encoder().net, widths=(30, 64, 96, 160))
    assert isinstance(models.small_encoder(), EncoderConfig)


# --- boxes ------------------------------------------------------------------------------------------------------------


def test_boxes_move_and_grow_with_what_they_are_round() -> None:
    centres = torch.rand(2, 3, 2) * 50
    box = boxed(centres)
    assert torch.allclose(boxed(centres[:, [1, 0, 2]]), box), "whichever eye is which"
    assert torch.allclose(boxed(centres * 2 + 7), torch.cat([box[:, :2] * 2 + 7, box[:, 2:] * 2], 1), atol=1e-4)
    assert torch.allclose(relative(box, box), torch.tensor([[0.0, 0.0, 1.0]] * 2)), "X-NeMo's constant"
    down = relative(box + torch.tensor([0, 10.0, 0]), box)
    assert torch.allclose(down[:, 0], 10 / box[:, 2], atol=1e-4) and torch.allclose(
        down[:, 1], torch.zeros(2), atol=1e-5
    )


def test_a_cut_shows_what_is_in_the_box_and_black_beyond() -> None:
    picture = torch.rand(1, 3, 40, 60) * 2 - 1
    seen = cut(picture, torch.tensor([[30.0, 20.0, 16.0]]), 16, 1.0)
    assert torch.allclose(seen, picture[:, :, 12:28, 22:38], atol=1e-5)
    beside = cut(picture, torch.tensor([[-30.0, 20.0, 16.0]]), 16, 1.0)
    assert torch.equal(beside, torch.full_like(beside, -1))
    same_face = cut(picture.repeat_interleave(2, 2).repeat_interleave(2, 3), torch.tensor([[60.0, 40.0, 32.0]]), 8, 1.0)
    assert torch.allclose(same_face, torch.nn.functional.avg_pool2d(seen, 2), atol=0.35)


def test_a_driver_s_codes_do_not_depend_on_chunks() -> None:
    torch.manual_seed(0)
    encoder, frames = Encoder(ENCODER).eval(), made_frames(37)
    motion = whole(read_code([frames], encoder, "toy 1"))
    for size in (1, 5, 16):
        again = whole(read_code((frames[k : k + size] for k in range(0, 37, size)), encoder, "toy 1"))
        assert same(again, motion)
    assert len(motion) == 37 and motion.provenance == {"source": "noise", "encoder": "toy 1"}
    assert np.array_equal(motion.seen, frames.seen) and np.array_equal(motion.shots, frames.shots)


def test_boxes_are_in_the_driver_s_own_picture() -> None:
    """A square of 300 pixels about (100, 90), cut to 256: its middle is there, and it is so much larger."""
    there = in_the_film(np.array([[128, 128, 256]], np.float32), np.array([[100, 90, 300]], np.float32), 256)
    assert np.allclose(there, [[100.5, 90.5, 300]])
    corner = in_the_film(np.array([[0, 0, 64]], np.float32), np.array([[100, 90, 300]], np.float32), 256)
    assert np.allclose(corner, [[-49.5, -59.5, 75]])


# --- what codes say ---------------------------------------------------------------------------------------------------


def test_a_planted_line_is_found_and_nothing_is_not() -> None:
    torch.manual_seed(0)
    curves = torch.rand(400, 6)
    codes = curves @ torch.randn(6, 12) + 0.3 + 0.01 * torch.randn(400, 12)
    matrix, rest = ridge(codes[:300], curves[:300])
    found = measured(codes[300:], curves[300:], matrix, rest)
    assert (found > 0.98).all()
    noise = torch.randn(400, 12)
    matrix, rest = ridge(noise[:300], curves[:300])
    assert (measured(noise[300:], curves[300:], matrix, rest) < 0.1).all()
    still = measured(codes, torch.zeros(400, 1), torch.zeros(1, 12), torch.zeros(1))
    assert torch.isnan(still).all(), "what does not move cannot be told"


def test_what_tells_people_is_projected_away_and_what_is_done_stays() -> None:
    torch.manual_seed(0)
    curves, doing, looking = torch.rand(500, 4), torch.randn(4, 12), torch.randn(3, 12)
    theirs, ours = (curves @ doing + torch.randn(500, 3) @ looking + 0.02 * torch.randn(500, 12) for _ in range(2))
    matrix, rest = blinding(theirs[:400], ours[:400], 4)
    assert torch.linalg.matrix_rank(matrix, rtol=1e-4) == 4 and torch.allclose(matrix @ matrix, matrix, atol=1e-4)
    held = [each[400:] @ matrix.T + rest for each in (theirs, ours)]
    assert (held[0] - held[1]).std() < 0.05 * (theirs - ours)[400:].std()
    line = ridge(theirs[:400] @ matrix.T + rest, curves[:400])
    assert (measured(held[0], curves[400:], *line) > 0.95).all()


def test_a_net_follows_an_affine_map() -> None:
    net = Encoder(ENCODER).model
    assert isinstance(net, FaceNet)
    faces, matrix, rest = torch.rand(4, 3, 32, 32), torch.randn(10, 10), torch.randn(10)
    before = net(faces)
    net.follow(matrix, rest)
    assert torch.allclose(net(faces), before @ matrix.T + rest, atol=1e-5)


def test_a_probe_reads_and_makes_what_it_was_told() -> None:
    torch.manual_seed(0)
    curves = torch.rand(300, 4)
    making, rest = torch.randn(4, 9), torch.randn(9)
    probe = Probe(4, 9)
    fill(probe, curves @ making + rest, curves)
    assert torch.allclose(probe.curves(curves @ making + rest), curves, atol=0.05)
    assert torch.allclose(probe.making, making, atol=0.05) and torch.allclose(probe.neutral, rest, atol=0.05)


def test_places_are_the_published_ones() -> None:
    embeddings = pytest.importorskip("diffusers.models.embeddings")
    theirs = embeddings.get_1d_sincos_pos_embed_from_grid(16, torch.arange(32), output_type="pt")
    assert torch.allclose(places(32, 16), theirs.float(), atol=1e-6)


def test_a_mirror_of_a_mirror_is_nothing() -> None:
    curves = torch.rand(5, len(NAMES))
    once = curves_mirrored(curves)
    assert torch.equal(curves_mirrored(once), curves) and not torch.equal(once, curves)
    for name in ("jawOpen", "pitch", "tongueOut"):
        assert torch.equal(once[:, NAMES.index(name)], curves[:, NAMES.index(name)])
