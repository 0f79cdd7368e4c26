"""How a displacement of a few points spreads over the skin of the mesh.

The field that is wanted takes the handles' values, is zero beyond a reach measured along the skin (so that what
happens to the lower lip does not cross the mouth to the upper one), and is as smooth in between as it can be: it
minimises the squared Laplacian (a thin plate; Botsch and Kobbelt 2004). The weights depend on the canonical mesh
alone and are kept; what is spread is any face's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from understudy.face.mesh import POINTS, SKIN, canonical

Doubles = npt.NDArray[np.float64]


def spread(moves: Mapping[int, Doubles], reach: float, hold: Iterable[int] = ()) -> Doubles:
    """(478, 3): the displacements of all points when those in `moves` go where it says.

    `reach` in eye units: what is farther from every handle stays where it is, and so do the points of `hold`."""
    handles = tuple(sorted(moves))
    free, weights = _weights(handles, reach, tuple(sorted(set(hold) - set(handles))))
    given = np.stack([moves[handle] for handle in handles])
    field = np.zeros((POINTS, 3))
    field[list(handles)] = given
    field[list(free)] = weights @ given
    return field


@lru_cache(maxsize=64)
def _weights(handles: tuple[int, ...], reach: float, hold: tuple[int, ...]) -> tuple[tuple[int, ...], Doubles]:
    """The points that the handles carry along, and by how much each: (free,), (free, handles)."""
    near = _distances()[list(handles)].min(axis=0) <= reach
    near[list(hold)] = False
    near[list(handles)] = False
    free = tuple(int(point) for point in np.flatnonzero(near))
    if not free:
        return (), np.zeros((0, len(handles)))
    plate = _plate()
    inside = plate[np.ix_(free, free)]
    return free, np.asarray(-np.linalg.solve(inside, plate[np.ix_(free, handles)]), np.float64)


@lru_cache(maxsize=1)
def _plate() -> Doubles:
    """(468, 468): the squared Laplacian of the canonical skin, made exactly symmetric left to right."""
    face = canonical()
    corners = face.points[face.triangles].astype(np.float64)  # (t, 3, 3)
    laplacian, mass = np.zeros((SKIN, SKIN)), np.zeros(SKIN)
    for here in range(3):
        a, b = face.triangles[:, (here + 1) % 3], face.triangles[:, (here + 2) % 3]
        u, v = corners[:, (here + 1) % 3] - corners[:, here], corners[:, (here + 2) % 3] - corners[:, here]
        area = np.linalg.norm(np.cross(u, v), axis=1)
        # cotangents of slivers are bounded, else a few tiny triangles of the lips would stiffen everything
        weight = np.clip((u * v).sum(1) / np.maximum(area, 1e-9), 0.05, 5.0) / 2
        for i, j, sign in ((a, b, -1), (b, a, -1), (a, a, 1), (b, b, 1)):
            np.add.at(laplacian, (i, j), sign * weight)
        np.add.at(mass, face.triangles[:, here], area / 6)
    mirror = face.mirror[:SKIN]
    laplacian = (laplacian + laplacian[np.ix_(mirror, mirror)]) / 2
    mass = np.maximum((mass + mass[mirror]) / 2, 1e-5)
    return laplacian @ (laplacian / mass[:, None])


@lru_cache(maxsize=1)
def _distances() -> Doubles:
    """(468, 468): distances along the edges of the canonical mesh (Floyd and Warshall)."""
    face = canonical()
    far = np.full((SKIN, SKIN), np.inf)
    np.fill_diagonal(far, 0.0)
    edges = np.concatenate([face.triangles[:, [i, (i + 1) % 3]] for i in range(3)])
    edges = np.concatenate([edges, face.mirror[edges]])
    lengths = np.linalg.norm(face.points[edges[:, 0]] - face.points[edges[:, 1]], axis=1)
    far[edges[:, 0], edges[:, 1]] = lengths
    far[edges[:, 1], edges[:, 0]] = lengths
    for through in range(SKIN):
        np.minimum(far, far[:, through, None] + far[None, through], out=far)
    return far
