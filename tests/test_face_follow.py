"""Following: one face through gaps, cuts and company; streamed as whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from understudy.errors import NoSuchFace
from understudy.face.cuts import ALIKE, likeness, shots, small
from understudy.face.find import Face
from understudy.face.follow import LONGEST_GAP, SETTLING, Seen, follow
from understudy.face.mesh_finder import MeshFinder
from understudy.face.square import Picture, Points

Film = list[tuple[float, Picture]]
RATE = 25


def landmarks(x: float, y: float, size: float = 60) -> Points:
    """Points all over a face, with its eyes level."""
    chance = np.random.default_rng(4)
    points = chance.uniform(-0.5, 0.5, (478, 3)) * size
    points[33], points[263] = (-0.25 * size, 0, 0), (0.25 * size, 0, 0)
    return np.asarray(points + np.array([x, y, 0]), np.float32)


class Marks:
    """A finder of coloured discs: each is a face of its radius. Says how it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def find(self, picture: Picture, *, thorough: bool = True, doubtful: bool = False) -> list[Face]:
        self.asked.append("thorough" if thorough else "quick")
        count, _, stats, centres = cv2.connectedComponentsWithStats((picture[..., 0] > 250).astype(np.uint8))
        widths = stats[:, cv2.CC_STAT_WIDTH]
        found = [Face(landmarks(centres[k][0], centres[k][1], widths[k])) for k in range(1, count)]
        return sorted(found, key=lambda face: -face.size)

    def track(self, picture: Picture, last: Face) -> Face | None:
        self.asked.append("track")
        near = [face for face in self.find(picture) if math.dist(face.centre, last.centre) < 15]
        self.asked.pop()
        return min(near, key=lambda face: math.dist(face.centre, last.centre), default=None)

    def close(self) -> None: ...

    def __enter__(self) -> Marks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def scene(seed: int = 0, height: int = 200, width: int = 300) -> Picture:
    blurred = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (height, width, 3)), (0, 0), 25)
    return np.asarray((blurred - blurred.min()) / np.ptp(blurred) * 200, np.uint8)


def frame(*discs: tuple[float, float, int], seed: int = 0) -> Picture:
    picture = scene(seed)
    for x, y, radius in discs:
        cv2.circle(picture, (round(x), round(y)), radius, (255, 255, 255), -1)
    return picture


def film(frames: Iterable[Picture]) -> Film:
    return [(k / RATE, picture) for k, picture in enumerate(frames)]


def states(seen: Sequence[Seen]) -> str:
    return "".join({"seen": ".", "bridged": "-", "lost": "x"}[each.state] for each in seen)


def walk(frames: int, seed: int = 0) -> list[Picture]:
    """A face on its way to the right."""
    return [frame((60 + 2 * k, 100, 24), seed=seed) for k in range(frames)]


def without(pictures: list[Picture], missing: range) -> list[Picture]:
    return [frame() if k in missing else picture for k, picture in enumerate(pictures)]


def raw(frames: Film, **options: int) -> list[Seen]:
    return list(follow(frames, Marks(), smooth=False, **options))


def test_one_answer_for_every_frame_in_order() -> None:
    seen = raw(film(walk(20)))
    assert states(seen) == "." * 20
    assert [each.time for each in seen] == [k / RATE for k in range(20)]
    assert {each.shot for each in seen} == {0}
    assert all(each.face is not None and abs(each.face.centre[0] - 60 - 2 * k) < 2 for k, each in enumerate(seen))


def test_it_tracks_what_it_found() -> None:
    finder = Marks()
    list(follow(film(walk(6)), finder))
    assert finder.asked == ["thorough"] + ["track"] * (SETTLING + 5)


def test_a_film_without_faces_is_searched_now_and_then_thoroughly() -> None:
    finder = Marks()
    seen = list(follow(film([frame()] * 40), finder))
    assert states(seen) == "x" * 40 and all(each.face is None for each in seen)
    assert finder.asked.count("thorough") == 3 and finder.asked.count("quick") == 37


@pytest.mark.parametrize("missing", [1, 5, 12])
def test_short_gaps_are_bridged(missing: int) -> None:
    """Up to half a second, which is twelve frames here: the face goes straight on."""
    seen = raw(film(without(walk(30), range(8, 8 + missing))))
    assert states(seen) == "." * 8 + "-" * missing + "." * (22 - missing)
    for k, each in enumerate(seen):
        assert each.face is not None and abs(each.face.centre[0] - 60 - 2 * k) < 2


def test_long_gaps_are_not() -> None:
    missing = math.floor(LONGEST_GAP * RATE) + 2
    seen = raw(film(without(walk(40), range(8, 8 + missing))))
    assert states(seen) == "." * 8 + "x" * missing + "." * (32 - missing)


def test_gaps_at_the_ends_are_lost() -> None:
    assert states(raw(film(without(walk(20), range(0, 4))))) == "xxxx" + "." * 16
    assert states(raw(film(without(walk(20), range(16, 20))))) == "." * 16 + "xxxx"


def test_nothing_is_bridged_to_another_face() -> None:
    """One leaves and another, elsewhere, is all that is there: first nobody, then the other one."""
    pictures = [frame((60, 100, 24), (230, 60, 20))] * 8 + [frame((230, 60, 20))] * 30
    seen = raw(film(pictures))
    gap = math.floor(LONGEST_GAP * RATE)
    assert states(seen)[:8] == "." * 8 and states(seen)[8 : 8 + gap] == "x" * gap
    last = seen[-1].face
    assert last is not None and abs(last.centre[0] - 230) < 2


def test_the_same_one_is_followed_though_another_grows_larger() -> None:
    pictures = [frame((70, 100, 26), (220, 100, 15 + k)) for k in range(25)]
    for which, x in ((None, 70), (0, 70), (1, 220)):
        seen = list(follow(film(pictures), Marks(), which, smooth=False))
        assert all(each.face is not None and abs(each.face.centre[0] - x) < 2 for each in seen)


def test_a_face_that_is_not_there_cannot_be_followed() -> None:
    with pytest.raises(NoSuchFace, match=r"face 2 was asked for.*2 in the first frame.*--face 0 to 1"):
        list(follow(film([frame((70, 100, 26), (220, 100, 15))]), Marks(), 2))


def test_a_cut_begins_a_shot_and_nothing_crosses_it() -> None:
    pictures = walk(10) + [frame((200, 60, 30), seed=7)] * 10
    seen = list(follow(film(pictures), Marks()))
    assert [each.shot for each in seen] == [0] * 10 + [1] * 10
    before, after = seen[9].face, seen[10].face
    assert before is not None and abs(before.centre[0] - 78) < 1
    assert after is not None and abs(after.centre[0] - 200) < 1, "neither smoothed with the other side"


def test_gaps_are_not_bridged_over_cuts() -> None:
    pictures = walk(8) + [frame()] * 3 + [frame(seed=7)] * 3 + [frame((90, 100, 24), seed=7)] * 8
    seen = raw(film(pictures))
    assert states(seen) == "." * 8 + "xxx" + "xxx" + "." * 8
    assert [each.shot for each in seen] == [0] * 11 + [1] * 11


def test_with_no_time_to_wait_everything_is_said_at_once() -> None:
    pictures = without(walk(12), range(3, 5)) + [frame((200, 60, 30), seed=7)] * 6
    given = 0

    def frames() -> Iterator[tuple[float, Picture]]:
        nonlocal given
        for each in film(pictures):
            given += 1
            yield each

    seen = []
    for k, each in enumerate(follow(frames(), Marks(), lookahead=0)):
        assert given == k + 1, "live: nothing is held back"
        seen.append(each)
    assert states(seen) == "...xx" + "." * 13
    assert [each.shot for each in seen] == [0] * 12 + [1] * 6


def test_another_take_before_the_same_wall_is_a_cut() -> None:
    """Most of the picture stays; the face leaps."""
    pictures = walk(8) + [frame((86, 112, 34))] * 8
    seen = list(follow(film(pictures), Marks()))
    assert states(seen) == "." * 16
    assert [each.shot for each in seen] == [0] * 8 + [1] * 8


def test_a_hand_before_the_face_is_no_cut() -> None:
    """It hides the face and much of the picture, from one frame to the next."""
    pictures = walk(20)
    for k in range(8, 13):
        cv2.rectangle(pictures[k], (20, 40), (180, 200), (90, 40, 30), -1)
    seen = raw(film(pictures))
    assert states(seen) == "." * 8 + "-" * 5 + "." * 7
    assert {each.shot for each in seen} == {0}


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("kind", ["bright", "white", "black", "red", "from one side"])
def test_a_flash_is_no_cut(kind: str, length: int) -> None:
    def lit(picture: Picture) -> Picture:
        x = np.linspace(0, 250, picture.shape[1])[None, :, None]
        made = {
            "bright": picture.astype(float) + 110,
            "white": np.full(picture.shape, 255.0),
            "black": np.zeros(picture.shape),
            "red": picture * np.array([1.6, 0.4, 0.4]),
            "from one side": picture + x,
        }[kind]
        return np.asarray(np.clip(made, 0, 255), np.uint8)

    pictures = walk(20)
    pictures[8 : 8 + length] = [lit(picture) for picture in pictures[8 : 8 + length]]
    seen = raw(film(pictures))
    assert {each.shot for each in seen} == {0}
    assert states(seen)[:8] == "." * 8 and "x" not in states(seen)


def test_a_camera_that_shakes_is_no_cut() -> None:
    wide = scene(height=300, width=400)
    chance = np.random.default_rng(2)
    frames = [wide[y : y + 200, x : x + 300] for x, y in chance.integers(20, 55, (30, 2))]
    assert max(each.shot for each in shots(film(frames))) == 0


def test_every_cut_of_many_is_found() -> None:
    frames = [scene(seed) for seed in range(8) for _ in range(5)]
    assert [each.shot for each in shots(film(frames))] == [k // 5 for k in range(40)]


def test_a_fade_through_black_is_one_cut() -> None:
    fading = [np.asarray(scene(1) * level, np.uint8) for level in np.linspace(1, 0, 8)]
    rising = [np.asarray(scene(2) * level, np.uint8) for level in np.linspace(0, 1, 8)]
    assert max(each.shot for each in shots(film(fading + rising))) == 1


def test_likeness_does_not_see_light() -> None:
    one = scene(3)
    darker = np.asarray(one * 0.4, np.uint8)
    assert likeness(small(one), small(darker)) > 0.98
    assert likeness(small(one), small(scene(4))) < ALIKE - 0.2


@pytest.mark.parametrize("lookahead", [0, 3])
def test_a_longer_film_begins_like_a_shorter_one(lookahead: int) -> None:
    """What is said of a frame does not hang on how much more there is, beyond the few frames looked ahead to."""
    pictures = without(walk(40), range(10, 14)) + [frame((200, 60, 30), seed=7)] * 10
    long = list(follow(film(pictures), Marks(), lookahead=lookahead))
    short = list(follow(film(pictures[:30]), Marks(), lookahead=lookahead))
    for one, other in zip(long[: 30 - lookahead], short, strict=False):
        assert (one.time, one.state, one.shot) == (other.time, other.state, other.shot)
        if one.face is not None:
            assert other.face is not None and np.array_equal(one.face.points, other.face.points)


def test_little_is_held_back() -> None:
    """A frame's answer comes three frames later; in a gap, when it has ended or grown too long."""
    given = 0

    def frames() -> Iterator[tuple[float, Picture]]:
        nonlocal given
        for each in film(without(walk(60), range(20, 40))):
            given += 1
            yield each

    delays = [given - k for k, _ in enumerate(follow(frames(), Marks()))]
    assert max(delays[:16]) <= 4 and max(delays) <= 4 + math.ceil(LONGEST_GAP * RATE)


# With the networks, on the one photograph that is there.


def astronaut() -> Picture:
    return np.asarray(data.astronaut(), np.uint8)[:300, 60:380]


@pytest.fixture(scope="module")
def finder() -> Iterator[MeshFinder]:
    with MeshFinder() as finder:
        yield finder


def sway(k: int) -> npt.NDArray[np.float64]:
    """Where the astronaut is in a frame: turned, scaled, moved."""
    matrix = cv2.getRotationMatrix2D((160, 130), 6 * math.sin(k / 5), 1 + 0.04 * math.sin(k / 7))
    matrix[:, 2] += np.array([8 * math.sin(k / 6), 4 * math.sin(k / 4)])
    return np.asarray(matrix, np.float64)


def performed(frames: int, noise: float = 0) -> Film:
    """The astronaut, swaying."""
    chance = np.random.default_rng(0)
    pictures = []
    for k in range(frames):
        picture = cv2.warpAffine(astronaut(), sway(k), (320, 300), borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
        pictures.append(np.clip(picture + chance.normal(0, noise, picture.shape), 0, 255).astype(np.uint8))
    return film(pictures)


def test_the_same_film_twice_gives_the_same_bits(finder: MeshFinder) -> None:
    once = list(follow(performed(15, 3.0), finder))
    with MeshFinder() as another:
        again = list(follow(performed(15, 3.0), another))
    for one, other in zip(once, again, strict=True):
        assert one.face is not None and other.face is not None
        assert np.array_equal(one.face.points, other.face.points)


def test_it_goes_on_from_any_face(finder: MeshFinder) -> None:
    """The finder has no memory: what it sees in a frame depends on the last face and the frame alone."""
    frames = performed(10)
    faces = [seen.face for seen in follow(frames, finder, smooth=False)]
    before, now = faces[5], faces[6]
    assert before is not None and now is not None
    with MeshFinder() as another:
        after = another.track(frames[6][1], before)
    assert after is not None and np.array_equal(now.points, after.points)


def points_of(seen: Iterable[Seen]) -> Points:
    return np.stack([each.face.points for each in seen if each.face is not None])


def test_a_swaying_face_is_steadier_in_itself(finder: MeshFinder) -> None:
    """Under camera noise. The sway is taken off again, so that what moves is what should not."""
    frames = performed(40, 3.0)

    def quiver(smooth: bool) -> float:
        points = points_of(follow(frames, finder, smooth=smooth))[..., :2]
        back = [cv2.invertAffineTransform(sway(k)) for k in range(len(points))]
        still = np.stack([each @ m[:, :2].T + m[:, 2] for each, m in zip(points, back, strict=True)])
        return float(np.sqrt((np.diff(still, axis=0) ** 2).sum(-1).mean()))

    assert quiver(smooth=True) < 0.8 * quiver(smooth=False)
    assert quiver(smooth=True) < 0.35, "pixels from frame to frame"


def test_a_still_face_under_noise_hardly_quivers(finder: MeshFinder) -> None:
    chance = np.random.default_rng(1)
    noisy = (astronaut() + chance.normal(0, 3, (300, 320, 3)) for _ in range(40))
    points = points_of(follow(film(np.clip(each, 0, 255).astype(np.uint8) for each in noisy), finder))
    assert np.sqrt((np.diff(points[8:], axis=0)[..., :2] ** 2).sum(-1)).mean() < 0.06, "pixels from frame to frame"
