"""The kinds of work in a pile: by prompt and tools, then by how the work is done, and within each what it is about.

A system prompt and the tools offered are what an application is written as, so that those with the same are of one
kind. Where there are none of these, kinds are told apart by the words of users and assistants, by whether tools are
used, by whether it is a conversation, and by what an answer looks like.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from tokencapital.app.look_clusters import Floats, Numbers, centres_of, kinds_in, nearest_centre, topics_in
from tokencapital.app.look_pile import ANSWERS, Pile

_SHAPE = 0.7
_TOOL = 1.0
_MOST_FOR_TOPICS = 800
_BLOCK = 20_000


class Kinds(Struct, frozen=True):
    """The kind of each case of a pile, numbered from the most frequent on; `of_sample` those of the pile's sample,
    `topics` what each case of the sample is about within its kind."""

    of_case: Numbers
    of_sample: Numbers
    topics: Numbers

    @property
    def count(self) -> int:
        """How many kinds there are."""
        return int(self.of_case.max()) + 1 if len(self.of_case) else 0


def find_kinds(pile: Pile) -> Kinds:
    """The kinds of work in the pile. The same pile gives the same kinds."""
    if not len(pile):
        return Kinds(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    frames = np.frombuffer(pile.frame, np.intc).astype(np.int64)
    bare = pile.frames.get((0, 0))
    sample = np.array([one.case for one in pile.sample])
    kinds = np.zeros(len(pile), np.int64)
    begins = 0
    for frame in np.unique(frames):
        members = np.flatnonzero(frames == frame)
        drawn = sample[frames[sample] == frame]
        if frame == bare and len(drawn):
            found = _looks(pile, drawn)
            own = kinds_in(found)
            kinds[members] = begins + _assigned(pile, members, centres_of(found, own))
            begins += int(own.max()) + 1
        else:
            kinds[members] = begins
            begins += 1
    ordered = _by_size(kinds)
    return Kinds(ordered, ordered[sample], _topics(pile, sample, ordered[sample]))


def _looks(pile: Pile, cases: Sequence[int] | Numbers) -> Floats:
    """What the cases look like: their words, and how the work is done."""
    shape = np.frombuffer(pile.shape, np.uint8)[cases].astype(np.int64)
    many, tools, answers = shape & 1, (shape >> 1) & 1, shape >> 2
    marks = np.hstack([np.eye(2)[many], np.eye(2)[tools], np.eye(len(ANSWERS))[answers]])
    return np.hstack([pile.points(list(cases)), _SHAPE * marks])


def _assigned(pile: Pile, cases: Numbers, centres: Floats) -> Numbers:
    """The nearest of the centres for each case."""
    if len(centres) == 1:
        return np.zeros(len(cases), np.int64)
    blocks = [cases[start : start + _BLOCK] for start in range(0, len(cases), _BLOCK)]
    return np.concatenate([nearest_centre(_looks(pile, block), centres) for block in blocks])


def _by_size(kinds: Numbers) -> Numbers:
    """The same kinds, numbered from the most frequent on."""
    order = [kind for kind, _ in Counter(kinds.tolist()).most_common()]
    renumbered = np.zeros(int(kinds.max()) + 1, np.int64)
    renumbered[order] = np.arange(len(order))
    return renumbered[kinds]


def _topics(pile: Pile, sample: Numbers, kinds: Numbers) -> Numbers:
    """What each case of the sample is about within its kind: by its words and the tools that were used."""
    topics = np.zeros(len(sample), np.int64)
    sets = pile.tools_named()
    names = sorted({name for one in sets for name in one})
    places = {name: place for place, name in enumerate(names)}
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        few = members[:_MOST_FOR_TOPICS]
        used = np.zeros((len(members), len(names)))
        for row, case in enumerate(sample[members]):
            for name in sets[pile.tool_sets[int(case)]]:
                used[row, places[name]] = _TOOL
        points = np.hstack([pile.points(sample[members].tolist()), used])
        found = topics_in(points[: len(few)])
        topics[members] = nearest_centre(points, centres_of(points[: len(few)], found))
    return topics
