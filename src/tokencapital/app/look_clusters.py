"""How many kinds of work there are in a sample, and which case is of which: numbers in, numbers out.

Ward's clustering (1963) merges what is closest first; the height of a merge says what it costs. A number of kinds is
kept where merging them any further would cost a multiple of the merge before (a long lifetime in the tree, as in Fred
and Jain 2005, *Combining multiple clusterings using evidence accumulation*). The multiple is fixed, and was not fitted
to any labels: a round cloud of points stays below it, one that is drawn out in one direction may be cut in two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

STEEP = 1.6
MOST_KINDS = 12
_FEWEST = 8


def kinds_in(points: Floats, steep: float = STEEP, most: int = MOST_KINDS) -> Numbers:
    """The kind of each point, 0 to k-1; all 0 where no number of kinds stands out.

    `points` has shape (n, d), n at most some thousands: the tree takes n² distances.
    """
    if len(points) < _FEWEST or not np.ptp(points, axis=0).any():
        return np.zeros(len(points), np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(points, "ward")
    count = _kinds(tree[::-1, 2], steep, most)
    return np.asarray(fcluster(tree, count, "maxclust"), np.int64) - 1


def topics_in(points: Floats, most: int = 30) -> Numbers:
    """The topic of each point, 0 to k-1: as many as have the highest mean silhouette (Rousseeuw 1987)."""
    if len(points) < 2 * _FEWEST or not np.ptp(points, axis=0).any():
        return np.zeros(len(points), np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import pdist, squareform

    tree = linkage(points, "ward")
    apart = squareform(pdist(points))
    cuts = [np.asarray(fcluster(tree, count, "maxclust"), np.int64) - 1 for count in range(2, most + 1)]
    best = max(cuts, key=lambda cut: silhouette(apart, cut))
    return best if silhouette(apart, best) > 0 else np.zeros(len(points), np.int64)


def silhouette(apart: Floats, kinds: Numbers) -> float:
    """The mean over all points of (b - a) / max(a, b): a is the mean distance within the own kind, b to the next.

    `apart` (n, n) holds the distances. A point alone in its kind counts as 0.
    """
    count = int(kinds.max()) + 1
    if count < 2:
        return 0.0
    member = np.eye(count)[kinds]
    sizes = member.sum(axis=0)
    sums = apart @ member
    rows = np.arange(len(kinds))
    own = sums[rows, kinds] / np.maximum(sizes[kinds] - 1, 1)
    others = sums / np.maximum(sizes, 1)
    others[rows, kinds] = np.inf
    others[:, sizes == 0] = np.inf
    nearest = others.min(axis=1)
    scores = np.where(sizes[kinds] > 1, (nearest - own) / np.maximum(np.maximum(own, nearest), 1e-12), 0.0)
    return float(scores.mean())


def centres_of(points: Floats, kinds: Numbers) -> Floats:
    """The mean of each kind's points, shape (k, d)."""
    count = int(kinds.max()) + 1
    return np.stack([points[kinds == kind].mean(axis=0) for kind in range(count)])


def nearest_centre(points: Floats, centres: Floats) -> Numbers:
    """The number of the centre that is nearest to each point."""
    distances = (centres**2).sum(axis=1)[None, :] - 2 * points @ centres.T
    return np.asarray(distances.argmin(axis=1), np.int64)


def _kinds(heights: Floats, steep: float, most: int) -> int:
    """The coarsest number of kinds at which the next merge costs so many times the one before it, and on from there
    while the same holds of one more; 1: there is none. What stands out further down the tree are topics.

    `heights` are those of the merges, the last first: heights[k - 2] is what going from k kinds to k - 1 costs.
    """
    found = 1
    for count in range(2, min(most, len(heights) - 1) + 1):
        if heights[count - 2] >= steep * max(heights[count - 1], 1e-9):
            found = count
        elif found > 1:
            break
    return found
