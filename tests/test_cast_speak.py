"""The cast speaks: what is heard, when, and what faces do meanwhile."""

# ruff: noqa: RUF001 - letters of the International Phonetic Alphabet

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.cast.how import INDEX
from understudy.cast.landmarks import NAMES
from understudy.cast.speak import acting, espeak, festival, invented, mouth
from understudy.cast.speak.acting import Temper
from understudy.cast.speak.lines import (
    HELD_OUT,
    LANGUAGES,
    RECORDED,
    UNSEEN_VARIANTS,
    VARIANTS,
    phrases_of,
    script,
    vocabulary,
)
from understudy.cast.speak.take import Take
from understudy.cast.speak.timbre import PLAIN, Timbre, coloured
from understudy.cast.speak.voice import MOODS, Phone, Phrase, Speech, Voice, bare, speak
from understudy.errors import BadOption

SAID = "Peter bought a big map. [happy] My mama came home! [angry] Put it back, Bob!"


def made() -> Speech:
    """A speech by hand: silence, then m a p a, in two phrases."""
    pieces = (("m", 0), ("a", 2), ("p", 0), ("a", 0))
    phones = tuple(
        Phone(symbol, 1 + 0.1 * k + 2 * n, 1.1 + 0.1 * k + 2 * n, stress, n)
        for n in range(2)
        for k, (symbol, stress) in enumerate(pieces)
    )
    spans = (acting.Span(1, 1.4, "happy", 1.0), acting.Span(3, 3.4, "sad", 1.0))
    samples = np.zeros(5 * 8000, np.float32)
    for span in spans:
        inside = slice(round(span.start * 8000), round(span.end * 8000))
        samples[inside] = 0.5 * np.sin(np.arange(inside.stop - inside.start) * 0.2)
    return Speech(samples, 8000, phones, spans)


@lru_cache(maxsize=1)
def spoken() -> Speech:
    pytest.importorskip("espeakng_loader")
    return speak(Voice("en-us", "f2"), phrases_of(SAID))


def test_sounds_lie_inside_what_is_heard_in_order() -> None:
    speech = spoken()
    starts = [phone.start for phone in speech.phones]
    assert starts == sorted(starts) and starts[0] > 0
    assert all(phone.start < phone.end <= speech.seconds for phone in speech.phones)
    assert [p.symbol for p in speech.phones if p.phrase == 0][:3] == ["p", "i", "ɾ"]
    assert [span.mood for span in speech.phrases] == ["neutral", "happy", "angry"]
    loud = speech.loudness()
    assert all(loud[int(100 * (p.start + p.end) / 2)] > 0.02 for p in speech.phones if set(p.symbol) & mouth.VOWELS)
    assert np.abs(speech.samples).max() <= 0.91 and loud[:20].max() < 0.01


def test_the_same_is_always_said_the_same() -> None:
    speech = spoken()
    again = speak(Voice("en-us", "f2"), phrases_of(SAID))
    assert np.array_equal(again.samples, speech.samples) and again.phones == speech.phones


def test_moods_are_heard() -> None:
    pytest.importorskip("espeakng_loader")
    words = "never before this evening"
    speech = speak(Voice("en-us", "m3"), [Phrase(words, mood) for mood in MOODS])
    long, power, bright = {}, {}, {}
    for span in speech.phrases:
        wave = speech.samples[round(span.start * speech.rate) : round(span.end * speech.rate)].astype(np.float64)
        spectrum = np.abs(np.fft.rfft(wave)) ** 2
        high = np.fft.rfftfreq(len(wave), 1 / speech.rate) > 1000
        long[span.mood], power[span.mood] = span.end - span.start, (wave**2).mean()
        bright[span.mood] = spectrum[high].sum() / spectrum.sum()
    assert long["sad"] > long["neutral"] > long["angry"]
    assert power["sad"] < power["neutral"] < power["angry"]
    assert bright["sad"] < bright["neutral"] < bright["angry"]


@pytest.mark.parametrize("short", [0.93, 1.08])
def test_a_timbre_shortens_a_voice_and_leaves_it_as_loud(short: float) -> None:
    rate = 22_050
    wave = np.sin(2 * np.pi * 300 * np.arange(rate) / rate)
    made = coloured(wave, rate, Timbre(short=short, bright=3, rough=0.5, breath=0.2))
    assert len(made) == round(rate / short) and (made**2).mean() == pytest.approx((wave**2).mean(), rel=1e-6)
    hertz = np.fft.rfftfreq(len(made), 1 / rate)[np.abs(np.fft.rfft(made)).argmax()]
    assert hertz == pytest.approx(300 * short, rel=0.01)
    assert coloured(wave, rate, Timbre(short=short, bright=3).at(0.0)) is wave


def test_a_voice_that_there_is_not_is_explained() -> None:
    pytest.importorskip("espeakng_loader")
    with pytest.raises(BadOption, match="no voice xx-yy"):
        speak(Voice("xx-yy", ""), [Phrase("hello")])
    with pytest.raises(BadOption, match="nothing to say"):
        speak(Voice("en-us", ""), [Phrase("  ")])


def heard(name: str, told: str) -> list[str]:
    """What comes of what festival says of its sounds: name, vowel or not, stress, syllable."""
    lines = [piece.split("/") for piece in told.split()]
    said = [f"sound {n} {0.1 * (k + 1):.6f} {v} {s} _{y} _1" for k, (n, v, s, y) in enumerate(lines)]
    found = list(festival._sounds("\n".join(["a word of warning", *said]), festival.SPEAKERS[name]))
    assert [start for start, *_ in found] == pytest.approx([0.1 * k for k in range(len(lines))])
    return [sound for *_, sound in found]


def test_festival_tells_its_sounds_in_ipa() -> None:
    assert heard("ked", "pau/-/0/0 m/-/1/1 ey/+/1/1 b/-/0/2 iy/+/0/2 pau/-/0/0") == ["", "m", "ˈeɪ", "b", "i", ""]
    assert heard("lj", "p:/-/0/1 @/+/2/1 i/+/2/1 k/-/1/2 e/+/1/2 ##/-/0/0") == ["p", "ˈæ", "i", "k", "e", ""]
    assert heard("ona", "b/-/1/1 e1/+/1/1 b/-/0/2 ax/+/0/2 m/-/0/3 b/-/0/3") == ["b", "ˈe", "β", "ə", "m", "b"]
    assert heard("hindi", "m/-/0/1 eh/+/0/1 r/-/0/2 aa/+/0/2") == ["m", "ˈe", "ɾ", "ɑ"]  # each word's first vowel
    for speaker in festival.SPEAKERS.values():  # and every sound has a shape
        assert all(set(bare(sound)) <= set(mouth.SHAPES) for sound in speaker.sounds.values())


def test_a_speaker_who_cannot_speak_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadOption, match=r"lj does not speak en-us.*fi\+lj"):
        speak(Voice("en-us", "lj"), [Phrase("hello")])
    monkeypatch.setattr(festival.shutil, "which", lambda name: None)
    with pytest.raises(BadOption, match=r"festival did not speak as fi\+lj.*not installed"):
        speak(Voice("fi", "lj"), [Phrase("moi")])
    monkeypatch.setattr(festival.shutil, "which", lambda name: name)
    with pytest.raises(BadOption, match=r"nothing to say in '\.\.\.'"):
        speak(Voice("fi", "lj"), [Phrase("...")])
    wrong = "US_db: warning redefining\nSIOD ERROR: unbound variable : voice_suo_fi_lj_diphone"
    assert "festvox-suopuhe-lj" in festival._why(wrong, 255, festival.SPEAKERS["lj"])
    other = "SIOD ERROR: voice_suo_fi_lj_diphone: no such file"  # which is no reason to look for a package
    assert festival._why(other, 255, festival.SPEAKERS["lj"]) == other
    assert festival._why("", -11, festival.SPEAKERS["lj"]) == "it ended with -11"


@pytest.mark.parametrize("name", festival.SPEAKERS)
def test_recorded_voices_are_silent_in_stops_and_loud_in_vowels(name: str) -> None:
    if shutil.which(festival.FESTIVAL) is None:
        pytest.skip("festival is not installed")
    language = festival.SPEAKERS[name].language
    words = [Phrase(" ".join([*vocabulary(language, False)][:12]))]
    try:
        speech = speak(Voice(language, name), words)
    except BadOption as error:
        if "it has no voice" in str(error):
            pytest.skip(str(error))
        raise
    loud = speech.loudness()
    middles = {phone: loud[int(100 * (phone.start + phone.end) / 2)] for phone in speech.phones}
    stops = [value for phone, value in middles.items() if set(phone.symbol) & set("ptk")]
    vowels = [value for phone, value in middles.items() if set(phone.symbol) & mouth.VOWELS]
    assert np.mean(stops) < 0.35 * np.mean(vowels)
    assert 8 <= sum(phone.stress == 2 for phone in speech.phones) <= 24  # about one a word
    assert np.array_equal(speak(Voice(language, name), words).samples, speech.samples)
    if name != "nsh":  # which is cut from recordings as they are
        slow, fast = (speak(Voice(language, name, rate), words).phrases[0] for rate in (120, 240))
        assert slow.end - slow.start > 1.3 * (fast.end - fast.start)


def test_lips_touch_for_p_b_and_m_and_are_drawn_shut() -> None:
    from understudy.cast import draw, who

    take = Take(spoken(), Temper(), 3)
    how = take.how(0, take.frames())
    closed = how.curve("mouthClose").numpy()
    lips = [phone for phone in take.speech.phones if phone.symbol in "pbm"]
    assert len(lips) >= 8
    for phone in lips:
        near = range(int(phone.start * 25 - 0.8), int(phone.end * 25 + 0.8) + 2)
        assert max(closed[k] for k in near) > 0.95, phone
    frames = torch.from_numpy(np.flatnonzero(closed > 0.97)[:6])
    with torch.no_grad():
        drawn = draw.draw(who.sample([5] * len(frames)), how[frames], 64)
    upper, lower = (
        [k for k, name in enumerate(NAMES) if name.startswith(f"lip_inner_{side}")] for side in ("upper", "lower")
    )
    gap = drawn.landmarks.pixels[:, lower, 1] - drawn.landmarks.pixels[:, upper, 1]
    assert float(gap[:, len(upper) // 2].max()) < 0.02 * 64


def test_silence_rests_the_mouth_and_vowels_open_it() -> None:
    take = Take(made(), Temper(), 0)
    how = take.how(0, 125)
    jaw = how.curve("jawOpen")
    assert float(jaw[:18].max()) < 0.02 and float(jaw[50:68].max()) < 0.02
    assert float(jaw[25:36].max()) > 0.2 and float(how.curve("mouthClose")[50:68].max()) < 0.02


def test_any_stretch_is_the_same_alone_and_at_any_rate() -> None:
    take = Take(made(), Temper(), 1)
    whole, part, twice = take.how(0, 100), take.how(40, 20), take.how(0, 200, 50.0)
    for name in ("curves", "turn", "place"):
        assert torch.allclose(getattr(whole, name)[40:60], getattr(part, name), atol=1e-6)
        assert torch.allclose(getattr(whole, name), getattr(twice, name)[::2], atol=1e-6)


def test_moods_come_with_their_phrases_and_stay() -> None:
    moods = acting.moods(made().phrases, np.array([0.0, 2.5, 4.9]), 0)
    assert moods.sum(1) == pytest.approx(1)
    assert moods.argmax(1).tolist() == [MOODS.index("neutral"), MOODS.index("happy"), MOODS.index("sad")]


def test_blinks_and_looks_are_as_frequent_as_asked() -> None:
    seconds = np.arange(3000) / 25
    for rate in (8.0, 30.0):
        shut = acting.blinks(made(), Temper(blinks=rate), 2, seconds) > 0.5
        count = int((np.diff(shut.astype(int)) == 1).sum())
        assert 0.7 * 2 * rate < count < 1.5 * 2 * rate


def test_another_seed_is_another_performance_of_the_same_lips() -> None:
    one, other = (Take(made(), Temper(), seed).how(0, 100) for seed in (1, 2))
    assert torch.equal(one.curve("jawOpen"), other.curve("jawOpen"))
    assert float((one.turn - other.turn).abs().mean()) > 1


def test_scripts_hold_out_voices_and_words() -> None:
    learnt, held = [script(n).voice for n in range(60)], [script(HELD_OUT + n).voice for n in range(20)]
    brought = {voice.variant for voice in learnt if invented.number_of(voice.variant) is None}
    assert brought and brought <= set(VARIANTS) and {v.variant for v in held} <= set(UNSEEN_VARIANTS)
    assert 20 < sum(invented.number_of(voice.variant) is not None for voice in learnt) < 60
    assert all(voice.timbre == PLAIN for voice in (*learnt, *held))
    assert not set(vocabulary("en-us", True)) & set(vocabulary("en-us", False))
    assert script(3) == script(3) and script(3) != script(4)
    assert {voice.language for voice in learnt} <= set(LANGUAGES)
    recorded = [script(RECORDED + n).voice for n in range(60)]
    assert {voice.variant for voice in recorded} == set(festival.SPEAKERS) and all(v.recorded for v in recorded)
    assert len({voice.timbre for voice in recorded}) == 60
    assert not any(voice.recorded for voice in [*learnt, *held])


def test_invented_voices_say_the_same_and_sound_otherwise() -> None:
    pytest.importorskip("espeakng_loader")
    assert invented.character(3) == invented.character(3)
    assert invented.character(3).splitlines()[2:] != invented.character(4).splitlines()[2:]
    assert [invented.number_of(name) for name in ("made12", "made", "m1", "made-1", "made²")] == [12, *[None] * 4]
    plain, one, again, other = (
        speak(Voice("en-us", name), [Phrase("Peter bought a map")]) for name in ("", "made3", "made3", "made4")
    )
    sounds = [[phone.symbol for phone in speech.phones] for speech in (plain, one, again, other)]
    assert all(each == sounds[0] for each in sounds)
    assert np.array_equal(one.samples, again.samples)
    assert not any(
        len(a.samples) == len(b.samples) and np.allclose(a.samples, b.samples)
        for a, b in ((plain, one), (one, other), (plain, other))
    )


def test_a_timbre_of_ones_own_is_heard_in_every_mood() -> None:
    pytest.importorskip("espeakng_loader")
    phrases = [Phrase("a map", mood) for mood in MOODS]
    plain, small = (speak(Voice("en-us", "", timbre=timbre), phrases) for timbre in (PLAIN, Timbre(short=1.15)))
    for own, other in zip(plain.phrases, small.phrases, strict=True):
        assert other.end - other.start == pytest.approx(own.end - own.start, rel=0.1)  # as fast as before,
        assert centre(small, other) > 1.05 * centre(plain, own)  # but higher


def centre(speech: Speech, span: acting.Span) -> float:
    """Of a phrase's spectrum, in hertz."""
    samples = speech.samples[round(span.start * speech.rate) : round(span.end * speech.rate)]
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float((power * np.fft.rfftfreq(len(samples), 1 / speech.rate)).sum() / power.sum())


def test_held_out_voices_are_still_who_they_were() -> None:
    """All that was ever measured is of them."""
    first = script(HELD_OUT)
    assert first.voice == Voice("en-us", "m8", rate=164, pitch=32, range=59)
    assert first.phrases[0].text == "baby judge big baby between"


@pytest.mark.parametrize("name", ["made", "Made17", "nobody"])
def test_a_character_that_there_is_not_is_refused(name: str) -> None:
    pytest.importorskip("espeakng_loader")
    with pytest.raises(BadOption, match=f"no character {name}"):
        speak(Voice("en-us", name), [Phrase("a map")])


def test_without_links_there_are_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("phontab", "voices/!v/f2", "lang/en"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)

    def refused(self: Path, target: Path) -> None:
        raise OSError("no links here")

    for linked in (True, False):
        if not linked:
            monkeypatch.setattr(Path, "symlink_to", refused)
        with espeak.with_characters(tmp_path, {"made1": "pitch 80 120"}) as folder:
            texts = [(folder / name).read_text() for name in ("phontab", "lang/en", "voices/!v/f2", "voices/!v/made1")]
            assert texts == ["phontab", "lang/en", "voices/!v/f2", "pitch 80 120"]
            assert (folder / "phontab").is_symlink() == linked
        assert not folder.exists() and (tmp_path / "voices/!v/f2").exists()
    with espeak.with_characters(tmp_path, {}) as folder:
        assert folder == tmp_path


def test_a_name_that_espeak_ng_cannot_hold_is_refused() -> None:
    with pytest.raises(BadOption, match="as long as that"):
        speak(Voice("en-us", "made" + "1" * 5000), [Phrase("a map")])


def test_texts_are_cut_at_sentences_and_moods() -> None:
    found = phrases_of("One. Two, three! [sad] Four [nonsense] five")
    assert [(p.text, p.mood) for p in found] == [
        ("One.", "neutral"), ("Two, three!", "neutral"), ("Four", "sad"), ("five", "sad"),
    ]  # fmt: skip
    assert bare("ˈɑ̃ː") == "ɑ" and bare("tʃ") == "tʃ" and bare("") == ""


def test_a_talking_film_has_its_sound(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    from understudy.cli import main
    from understudy.clip import read, read_sound

    out = tmp_path / "talk.mp4"
    assert main(["cast", "speak", "Mama!", "--who", "3", "--size", "64", "-o", str(out), "--fps", "5"]) == 0
    clip = read(out)
    assert clip.has_sound and abs(read_sound(out).seconds - float(clip.frames or 0) / 5) < 0.3
    assert INDEX["jawOpen"] == 17
