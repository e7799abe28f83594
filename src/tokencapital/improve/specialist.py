"""Fitting the label specialist: which kernel suits the work, and the ridge regression with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tokencapital.core.case import Message
from tokencapital.core.errors import EvaluationError
from tokencapital.core.judgment import JudgedCase
from tokencapital.improve.ridge import Examples, Setting, Solution, solve
from tokencapital.models.arrays import FloatArray
from tokencapital.models.features import FeatureSpace, learn_space
from tokencapital.models.specialist import LabelSpecialist, Prediction, Specialist, predictions_of
from tokencapital.models.tokens import label_text

RECIPE = "label-kernel-ridge/3"
SETTINGS = (
    Setting(gamma=1.0, share=0.15, ridge=0.05),
    Setting(gamma=1.0, share=0.45, ridge=0.05),
    Setting(gamma=2.0, share=0.8, ridge=0.4),
)
"""From work where meaning decides and people agree, to work where the state of a conversation does and
they do not. The first one stands where there is too little to choose by."""
FEWEST_TO_CHOOSE_BY = 100


MOST_JUDGMENTS = 16_500
"""Beyond so many, whole groups are drawn to learn from: the fit takes n^2 memory and n^3 time."""
MOST_LANDMARKS = 2_500
"""Up to so many examples the embedding's kernel is radial, which answers best: a prediction takes time with each."""


class Limits(Struct, frozen=True):
    """How much a fit may take, in judgments to learn from and in examples that a prediction looks at.

    The setting is chosen by `choice` judgments, or by a fifth of all where that is more. Up to `choice`
    of them labels' names are tried, too.
    """

    judgments: int = MOST_JUDGMENTS
    landmarks: int = MOST_LANDMARKS
    choice: int = 1_500


USUAL_LIMITS = Limits()


class Fit(Struct, frozen=True):
    """A specialist, and for each judged case what a model said that never saw the case's group."""

    specialist: Specialist
    held_out: tuple[Prediction, ...]


class Lessons(Struct, frozen=True):
    """What to learn from: n judged cases whose answer is a label, with their (n, d) unit `vectors`.

    `calibration` (n,) marks those that thresholds will be set by: nothing is chosen by them. `names` are
    the vectors of each label's `label_text`; without them labels' names teach nothing. `weights` (n,) say
    what each answer counts; None: all the same.
    """

    judged: Sequence[JudgedCase]
    vectors: FloatArray
    calibration: NDArray[np.bool_] | None = None
    names: Mapping[str, FloatArray] = {}
    weights: NDArray[np.float64] | None = None


def fit_label_specialist(lessons: Lessons, *, seed: int, limits: Limits = USUAL_LIMITS) -> Fit:
    """A specialist that has learned from judged cases, with predictions for them out of fold.

    The same input gives the same bytes. Raises EvaluationError where there is nothing to learn from.
    """
    judged = lessons.judged
    if not judged:
        raise EvaluationError("there is no judgment to learn from")
    rng = np.random.default_rng(seed)
    labels = sorted({str(one.judgment.answer) for one in judged})
    groups = np.unique([one.case.group for one in judged], return_inverse=True)[1]
    rows = _drawn(groups, np.arange(len(judged)), limits.judgments, rng)
    vectors = lessons.vectors.astype(np.float16).astype(np.float32)
    space = learn_space([judged[row].case for row in rows])
    examples = _examples([judged[row] for row in rows], vectors[rows], groups[rows], space, labels)
    if lessons.weights is not None:
        examples = msgspec.structs.replace(examples, noise=(1 / lessons.weights[rows]).astype(np.float32))
    names = _names(lessons, space, labels) if len(rows) <= limits.choice else None
    setting, names = _choose(examples, names, _free(lessons, rows), limits, rng)
    solution = _solve(examples, setting, names, limits)
    specialist = LabelSpecialist(labels, space, solution.weights, RECIPE)
    held_out = solution.held_out[: len(rows)]
    if len(rows) < len(judged):
        scores = specialist.scores([one.case for one in judged], lessons.vectors)
        scores[rows] = held_out
        held_out = scores
    return Fit(specialist, tuple(predictions_of(held_out, labels)))


def _choose(
    examples: Examples, names: Examples | None, free: NDArray[np.intp], limits: Limits, rng: np.random.Generator
) -> tuple[Setting, Examples | None]:
    """The setting that is right most often out of fold, and the names if they make it better.

    Only the `free` examples are looked at: no answer to a calibration draw has a say.
    """
    if len(free) < FEWEST_TO_CHOOSE_BY:
        return SETTINGS[0], names
    some = examples.at(_drawn(examples.groups, free, max(limits.choice, len(examples) // 5), rng))

    def right(setting: Setting, names: Examples | None) -> int:
        held_out = _solve(some, setting, names, limits).held_out[: len(some)]
        return int((held_out.argmax(axis=1) == some.targets.argmax(axis=1)).sum())

    setting = max(SETTINGS, key=lambda one: right(one, None))
    return setting, names if names is not None and right(setting, names) > right(setting, None) else None


def _solve(examples: Examples, setting: Setting, names: Examples | None, limits: Limits) -> Solution:
    everything = examples if names is None else examples.with_more(names)
    return solve(everything, setting, radial=len(everything) <= limits.landmarks)


def _examples(
    judged: Sequence[JudgedCase],
    vectors: FloatArray,
    groups: NDArray[np.intp],
    space: FeatureSpace,
    labels: Sequence[str],
) -> Examples:
    number = {label: place for place, label in enumerate(labels)}
    targets = _targets([number[str(one.judgment.answer)] for one in judged], len(labels))
    return Examples(vectors, space.matrix([one.case for one in judged]), targets, groups)


def _targets(places: Sequence[int], labels: int) -> FloatArray:
    """One row per example: 1 for its label, -1 / (labels - 1) elsewhere, so that rows sum to zero."""
    targets = np.full((len(places), labels), -1 / max(labels - 1, 1), np.float32)
    targets[np.arange(len(places)), list(places)] = 1
    return targets


def _names(lessons: Lessons, space: FeatureSpace, labels: Sequence[str]) -> Examples | None:
    """Each label's own words as a message of a group of its own; None where no name is known."""
    known = [place for place, label in enumerate(labels) if label in lessons.names]
    if not known:
        return None
    template = lessons.judged[0].case
    cases = [
        msgspec.structs.replace(template, messages=(Message("user", label_text(labels[place])),), context={})
        for place in known
    ]
    vectors = np.stack([lessons.names[labels[place]] for place in known]).astype(np.float16).astype(np.float32)
    return Examples(vectors, space.matrix(cases), _targets(known, len(labels)), np.arange(len(known)))


def _free(lessons: Lessons, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """The places among `rows` that are no calibration draw.

    Other cases of a calibration draw's group stay: without them the long conversations, where most draws
    fall, would be missing.
    """
    return np.arange(len(rows)) if lessons.calibration is None else np.flatnonzero(~lessons.calibration[rows])


def _drawn(groups: NDArray[np.intp], rows: NDArray[np.intp], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The rows themselves, ascending; or, where they are too many, those of groups drawn until it is enough."""
    if len(rows) <= most:
        return rows
    members: dict[int, list[int]] = defaultdict(list)
    for row in rows.tolist():
        members[int(groups[row])].append(row)
    drawn: list[int] = []
    for group in rng.permutation(sorted(members)).tolist():
        if len(drawn) + len(members[group]) <= most:
            drawn += members[group]
    return np.array(sorted(drawn), np.intp)
