"""Makes `understudy/pretrained/bridge.safetensors`: what each coefficient does to a face of the cast.

    python runs/bridge.py [--people 12] [--read 0] [--to FOLDER]

People of the cast are at rest, and then do one thing at a time. Where their landmarks go is exact; those that the
478-point mesh has too are laid over it (Umeyama 1991) and averaged over people and both sides. The printed table
compares that with what the rig's own shapes do to the canonical face: `gain` is what `motion.bridge.READINGS` holds,
`alike` the cosine between both. Takes half a minute on one core.

With `--read N` N people are also drawn at 256 pixels, and read back by the mesh finder and the rig: how much of each
coefficient is read where it is 0.9, and of each turn of the head. A minute for each on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save_file

import understudy
from understudy.cast import how as hows
from understudy.cast import who as people
from understudy.cast.draw import draw
from understudy.cast.film import motion
from understudy.cast.stage import to_bytes
from understudy.face.arkit import CARRIED
from understudy.face.mesh import canonical
from understudy.face.mesh_finder import MeshFinder
from understudy.face.neutral import neutral_shape
from understudy.face.rig import Rig
from understudy.motion.bridge import FLIP, kind
from understudy.motion.standing import counterparts

Values = npt.NDArray[np.float64]
STRENGTH = 0.6  # of a coefficient: the cast's are not quite straight
OFF = ("nose_",)  # landmarks that are only roughly where the mesh has points
CLOSE, JAW = CARRIED.index("mouthClose"), CARRIED.index("jawOpen")


def doing(name: str, strength: float) -> hows.How:
    """One coefficient alone; lips are only kept shut while the jaw is open."""
    held = {"jawOpen": strength} if name == "mouthClose" else {}
    return hows.neutral().having(**held, **{name: strength})


def pairs() -> tuple[list[int], list[int]]:
    """Landmarks, and points of the mesh, that are the same places; each point once."""
    from understudy.cast.landmarks import NAMES

    found: dict[int, int] = {}
    for landmark, point in zip(*counterparts(), strict=True):
        if not NAMES[landmark].startswith(OFF):
            found.setdefault(point, landmark)
    found[152] = NAMES.index("jaw_8")
    return list(found.values()), list(found)


def laid_over(points: Values, onto: Values) -> Values:
    """(3, 3): the rotation and scale that lay points over others best."""
    a, b = points - points.mean(0), onto - onto.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    return np.asarray((u * sign) @ vt * (s * sign).sum() / (a * a).sum())


def cast_moves(seeds: range) -> Values:
    """(k, p, 3): averages, with left and right as mirror images."""
    landmarks, points = pairs()
    poses = hows.joined([hows.neutral(), *(doing(name, STRENGTH) for name in CARRIED)])
    found = []
    for seed in seeds:
        with torch.no_grad():
            drawn = [draw(people.sample([seed]), poses[[i]], 32).landmarks.points for i in range(len(poses))]
        at = torch.cat(drawn)[:, landmarks].numpy().astype(np.float64) * FLIP
        turn = laid_over(at[0], canonical().points[points].astype(np.float64))
        found.append((at[1:] - at[0]) @ turn.T / STRENGTH)
    moves = np.mean(found, axis=0)
    moves[CLOSE] -= moves[JAW]
    mates = [points.index(int(canonical().mirror[point])) for point in points]
    others = [CARRIED.index(other_side(name)) for name in CARRIED]
    return np.asarray((moves + moves[others][:, mates] * [-1, 1, 1]) / 2)


def other_side(name: str) -> str:
    for one, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(one):
            return name.removesuffix(one) + other
    return name


def rig_moves() -> Values:
    """The same, of the rig on the canonical face."""
    still = np.zeros((1, len(CARRIED)))
    one = np.eye(len(CARRIED)) * STRENGTH
    one[CLOSE, JAW] = STRENGTH
    moves = (Rig.canonical().shapes(one) - Rig.canonical().shapes(still)) / STRENGTH
    moves[CLOSE] -= moves[JAW]
    return np.asarray(moves[:, pairs()[1]], np.float64)


def compared(ours: Values, theirs: Values) -> None:
    weight = np.sqrt([1.0, 1.0, 0.1])
    for name, cast, rig in zip(CARRIED, ours * weight, theirs * weight, strict=True):
        if name == kind(name) or name.endswith("Left"):
            both, own, other = (float((a * b).sum()) for a, b in ((cast, rig), (cast, cast), (rig, rig)))
            alike = both / max((own * other) ** 0.5, 1e-9)
            print(f"{kind(name):16} gain {both / max(own, 1e-9):5.2f}  alike {alike:5.2f}")


def read_back(seeds: range) -> None:
    """What finder and rig make of drawn people."""
    strength = 0.9
    turned = [("yaw", -35.0), ("yaw", -20.0), ("yaw", 20.0), ("yaw", 35.0), ("pitch", 20.0), ("roll", 20.0)]
    poses = [hows.neutral(), *(doing(name, strength) for name in CARRIED)]
    poses += [hows.neutral().held(**{name: angle}) for name, angle in turned]
    read: list[Values] = []
    angles: list[Values] = []
    with MeshFinder() as finder:
        for seed in seeds:
            who = people.sample([seed])
            film = motion(seed + 500, 0, 30, 4.0)
            points = []
            for how in [*poses, *(film[[i]] for i in range(len(film)))]:
                with torch.no_grad():
                    faces = finder.find(to_bytes(draw(who, how, 256).image)[0])
                points.append(faces[0].points if faces else np.full((478, 3), np.nan, np.float32))
            mesh = np.stack(points)
            if np.isnan(mesh).any():
                continue  # hidden by what they wear
            rig = Rig.fit(neutral_shape(mesh[len(poses) :]))
            curves, pose = rig.track(mesh[: len(poses)])
            read.append((curves[1 : 1 + len(CARRIED)] - curves[0]) / strength)
            angles.append(pose.angles[1 + len(CARRIED) :] - pose.angles[0])
    for column, name in enumerate(CARRIED):
        print(f"{name:20} read as {np.mean([one[column, column] for one in read]):5.2f} of itself")
    for row, (name, angle) in enumerate(turned):
        print(f"{name} {angle:+.0f}: yaw, pitch, roll read as", np.mean([one[row] for one in angles], axis=0).round(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--read", type=int, default=0)
    parser.add_argument("--to", type=Path, default=Path(understudy.__file__).parent / "pretrained")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    moves = cast_moves(range(chosen.people))
    points = np.array(pairs()[1], np.int32)
    made = {"made_by": "runs/bridge.py", "people": str(chosen.people)}
    save_file({"points": points, "moves": moves.astype(np.float32)}, chosen.to / "bridge.safetensors", made)
    compared(moves, rig_moves())
    if chosen.read:
        read_back(range(100, 100 + chosen.read))


if __name__ == "__main__":
    main()
