"""What an actor hears: rows of sound."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from understudy.clip.sound import Sound
from understudy.data import revoice
from understudy.motion import speech


def voice(seconds: float = 3.0, rate: int = 16_000, hertz: float = 200.0) -> np.ndarray:
    """Something like a voice: a buzz with pauses."""
    at = np.arange(round(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * hertz * k * at) / k for k in range(1, 18))
    return (0.2 * buzz * (np.sin(2 * np.pi * 1.3 * at) > -0.3)).astype(np.float32)


def pieces(samples: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    chance, place = np.random.default_rng(seed), 0
    while place < len(samples):
        size = int(chance.integers(1, 4000))
        yield samples[place : place + size]
        place += size


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100])
def test_a_stream_is_the_whole(rate: int) -> None:
    samples = voice(2.3, rate)
    whole = speech.rows_of(samples, rate)
    assert whole.shape == (58, speech.WIDTH)
    for seed in range(3):
        assert np.array_equal(np.concatenate(list(speech.heard(pieces(samples, seed), rate))), whole)


def test_a_row_hears_its_own_30_ms_and_nothing_else() -> None:
    samples = voice()
    changed = samples.copy()
    at = 16_000
    changed[at:] = 0.5
    one, other = speech.rows_of(samples, 16_000), speech.rows_of(changed, 16_000)
    last = int((1.0 - speech.REACH) * 25)
    assert np.array_equal(one[: last + 1], other[: last + 1]) and not np.array_equal(one[26:], other[26:])


def test_the_rate_and_the_channels_do_not_show() -> None:
    sound = Sound(voice()[:, None], 16_000)
    low = speech.rows_of(sound.samples, 16_000)
    high = speech.rows_of(np.repeat(sound.resample(48_000).samples, 2, 1), 48_000)
    assert np.abs(low[:, : 4 * speech.BANDS] - high[:, : 4 * speech.BANDS]).mean() < 0.05
    assert np.abs(low[:, -2] - high[:, -2]).mean() < 0.05


def test_pitch_is_heard() -> None:
    rows = speech.rows_of(voice(hertz=220.0), 16_000)
    sure = rows[:, -1] > 0.9
    assert sure.mean() > 0.4 and np.median(2 ** rows[sure, -2] * 150) == pytest.approx(220, rel=0.03)


def test_loudness_can_be_changed_afterwards_and_noise_added() -> None:
    samples = voice()
    rows, louder = speech.rows_of(samples, 16_000), speech.rows_of(samples, 16_000, gain=-12.0)
    tensor = torch.from_numpy(rows)[None]
    quiet = revoice.equalised(tensor, torch.full((1, speech.BANDS), -12.0))
    assert float((quiet - torch.from_numpy(louder)).abs().max()) < 2e-3
    dull = revoice.equalised(tensor, -3 * revoice.octaves()[None]) - tensor
    assert float(dull[..., :10].min()) >= 0 and float(dull[..., 30 : speech.BANDS].mean()) < 0  # about a kilohertz
    assert torch.allclose(revoice.noisier(tensor, torch.full((1, speech.BANDS), -30.0)), tensor, atol=1e-5)
    assert float(revoice.noisier(tensor, torch.full((1, speech.BANDS), -4.0))[..., :-2].min()) > 0.9


def test_another_throat_has_other_formants() -> None:
    rows = torch.from_numpy(speech.rows_of(voice(), 16_000))[None].repeat(3, 1, 1)
    moved = revoice.from_another(rows, torch.tensor([1.0, 1.15, 0.87]))
    assert torch.allclose(moved[0], rows[0], atol=1e-4) and torch.equal(moved[..., -2:], rows[..., -2:])
    bands = (moved[..., :-2] - speech.SILENCE).reshape(3, -1, speech.BANDS)
    middle = (bands * torch.arange(speech.BANDS)).sum((1, 2)) / bands.sum((1, 2))
    assert middle[1] > middle[0] > middle[2]


def test_rooms_give_back_and_spectra_are_smoothed() -> None:
    rows = torch.from_numpy(speech.silence(20))[None].repeat(3, 1, 1)
    rows[:, 8, :-2] = 1.0  # a clap of four hops
    far, share = torch.tensor([0.5, 0.5, 0.1]), torch.tensor([0.0, 0.4, 0.4])
    heard = revoice.in_a_room(rows, far, share)
    assert torch.allclose(heard[0], rows[0], atol=1e-3) and float(heard[:, :8, :-2].max()) < speech.SILENCE + 1e-3
    assert bool((heard[1, 9:14, 0] > heard[2, 9:14, 0]).all()) and float(heard[1, 9, 0]) > float(heard[1, 12, 0])
    blurred = revoice.smoother(rows, torch.tensor([0.0, 1.0, 2.0]))
    assert torch.allclose(blurred[0], rows[0], atol=1e-5)
    assert bool((blurred[2, 8, :-2] <= blurred[1, 8, :-2] + 1e-5).all()) and float(blurred[2, 7, -3]) > speech.SILENCE
    assert torch.allclose(blurred.sum((1, 2)), rows.sum((1, 2)), rtol=1e-4)  # nothing is lost


def test_silence_is_silence() -> None:
    assert np.array_equal(speech.rows_of(np.zeros(16_000, np.float32), 16_000), speech.silence(25))
    assert speech.rows_of(np.zeros(0, np.float32), 16_000).shape == (0, speech.WIDTH)
    assert speech.level_of(speech.silence(3)).max() < -6


def test_wav2vec2_streams_as_the_whole(tmp_path: object) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    torch.manual_seed(0)
    ear = object.__new__(speech.Wav2Vec2)
    ear.device, ear.net = "cpu", transformers.Wav2Vec2Model(config).eval()
    samples = voice(2.5)
    whole = np.concatenate(list(ear.heard([samples])))
    assert whole.shape == (63, 16)
    assert np.array_equal(np.concatenate(list(ear.heard(pieces(samples, 1)))), whole)
