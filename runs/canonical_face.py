"""Makes `understudy/pretrained/canonical_face.safetensors`: the mean mesh of made-up people, symmetrised.

    python runs/canonical_face.py [--people 200] [--to FOLDER]

People of the cast are drawn from the front, at rest, in all styles; the mesh finder reads each; the meshes are laid
over one another (generalised Procrustes analysis, Gower 1975), averaged, mirrored and averaged again. Triangles and
mirror pairs are MediaPipe's: its tesselation, wound as seen from the camera. Takes about two minutes on one core.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import mediapipe.python.solutions.face_mesh_connections as connections
import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save_file
from scipy.optimize import linear_sum_assignment

import understudy
from understudy.cast import how, who
from understudy.cast.draw import draw
from understudy.face.find import pick
from understudy.face.mesh import CHIN, FOREHEAD, SKIN
from understudy.face.mesh_finder import MeshFinder

Values = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
STYLES = ("realistic", "cartoon", "paint")


def laid_over(points: Values, onto: Values) -> Values:
    """The similarity transform of (478, 3) points that is nearest to `onto` (Umeyama 1991)."""
    a, b = points - points.mean(0), onto - onto.mean(0)
    u, s, vt = np.linalg.svd(a.T @ b)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    return np.asarray(a @ (u * sign) @ vt * (s * sign).sum() / (a * a).sum() + onto.mean(0))


def in_eye_units(points: Values) -> Values:
    """Origin half-way between the outer corners of the eyes, their distance 1, looking straight ahead."""
    points = points - points[[33, 263]].mean(0)
    points = points / np.linalg.norm(points[263] - points[33])
    x = points[263] - points[33]
    y = points[CHIN] - points[FOREHEAD]
    y = y - (y @ x) * x
    y /= np.linalg.norm(y)
    return np.asarray(points @ np.stack([x, y, np.cross(x, y)]).T)


def neighbours() -> dict[int, set[int]]:
    """Which points of the skin share an edge; the points of the irises have none."""
    near: dict[int, set[int]] = defaultdict(set)
    for a, b in connections.FACEMESH_TESSELATION:
        near[a].add(b)
        near[b].add(a)
    return near


def mirror_pairs(points: Values) -> Ints:
    """(478,): each point's mate on the other side: who is nearest in the mirror, together with all its neighbours."""
    apart = np.linalg.norm((points * [-1, 1, 1])[:, None] - points[None], axis=-1)
    cost = apart.copy()
    near = {i: sorted(others) for i, others in neighbours().items()}
    for i, ours in near.items():
        for j, theirs in near.items():
            if apart[i, j] < 0.2:
                company = apart[np.ix_(ours, theirs)]
                cost[i, j] += company.min(1).mean() + company.min(0).mean() + 0.05 * abs(len(ours) - len(theirs))
    cost[:SKIN, SKIN:] = cost[SKIN:, :SKIN] = 1e3
    mate = linear_sum_assignment(cost + cost.T)[1]
    if (mate[mate] != np.arange(len(mate))).any():
        raise SystemExit("the mean face is not symmetric enough to pair its points; draw more people")
    return better_paired(mate, apart).astype(np.int32)


def better_paired(mate: npt.NDArray[np.intp], apart: Values) -> npt.NDArray[np.intp]:
    """Neighbouring pairs exchange mates wherever more edges then have an edge as their mirror image."""
    edges = {(a, b) if a < b else (b, a) for a, b in connections.FACEMESH_TESSELATION}

    def broken(pairing: npt.NDArray[np.intp]) -> int:
        return sum((min(pairing[a], pairing[b]), max(pairing[a], pairing[b])) not in edges for a, b in edges)

    least = broken(mate)
    for i, j in np.argwhere(apart[:SKIN, :SKIN] < 0.12).tolist():
        k = int(mate[j])  # j, a candidate for the mate of i, is now the mate of k
        if len({i, j, k, int(mate[i])}) < 4:
            continue
        other = mate.copy()
        other[[i, j, k, mate[i]]] = j, i, mate[i], k
        if broken(other) < least:
            mate, least = other, broken(other)
    return mate


def wound_triangles(points: Values) -> Ints:
    """MediaPipe's triangles, (852, 3), all clockwise as seen from the camera."""
    near = neighbours()
    found = {tuple(sorted((a, b, c))) for a in near for b in near[a] for c in near[a] & near[b]}
    shared: dict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
    for corner in found:
        for k in range(3):
            shared[tuple(sorted((corner[k], corner[k - 1])))].append(corner)
    # Three edges that close a ring round a vertex are no triangle: every edge of theirs is in two others already.
    found -= {c for c in found if all(len(shared[tuple(sorted((c[k], c[k - 1])))]) > 2 for k in range(3))}

    def sign(corner: tuple[int, ...]) -> float:
        a, b, c = points[list(corner), :2]
        return float((b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0])

    # From the triangle that is seen best, its neighbours are wound alike: an edge is walked once in each direction.
    start = max(found, key=lambda corner: abs(sign(corner)))
    wound = {start: start if sign(start) > 0 else start[::-1]}
    waiting = [start]
    while waiting:
        corner = waiting.pop()
        a, b, c = wound[corner]
        for one, two in ((a, b), (b, c), (c, a)):
            for other in shared[tuple(sorted((one, two)))]:
                if other in found and other not in wound:
                    third = next(i for i in other if i not in (one, two))
                    wound[other] = (two, one, third)
                    waiting.append(other)
    return np.array([wound[corner] for corner in sorted(found)], np.int32)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--to", type=Path, default=Path(understudy.__file__).parent / "pretrained")
    chosen = parser.parse_args()
    people = int(chosen.people)
    torch.set_num_threads(1)
    meshes: list[Values] = []
    with MeshFinder() as finder:
        for seed in range(people):
            somebody = who.sample([seed], STYLES[seed % len(STYLES)])
            with torch.no_grad():
                colour = draw(somebody, how.neutral(), 384).image[0]
            picture = (colour.permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
            faces = finder.find(picture)
            if faces:
                meshes.append(pick(faces).points.astype(np.float64))
    mean = meshes[0]
    for _ in range(6):
        mean = in_eye_units(np.mean([laid_over(mesh, mean) for mesh in meshes], axis=0))
    mirror = mirror_pairs(mean)
    mean = (mean + mean[mirror] * [-1, 1, 1]) / 2
    target = chosen.to / "canonical_face.safetensors"
    stored = {"points": mean.astype(np.float32), "triangles": wound_triangles(mean[:SKIN]), "mirror": mirror}
    save_file(stored, target, {"made_by": "runs/canonical_face.py", "people": str(len(meshes))})
    print(f"{len(meshes)} of {people} people read; wrote {target.name}")


if __name__ == "__main__":
    main()
