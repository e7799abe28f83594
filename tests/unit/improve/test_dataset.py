"""What each judgment counts for a learner."""

from __future__ import annotations

from typing import Any

from tokencapital.core.judgment import DrawKind
from tokencapital.improve.dataset import IN_WORK_WEIGHT, gather


def test_an_edit_made_in_work_counts_for_less_and_calibrates_nothing(desk: Any) -> None:
    desk.told("where is my parcel", "parcel")
    memory = desk.memory()
    assert gather(memory, desk.now).weights is None, "where there is none, all count the same"
    desk.told("where is my other parcel", "parcel", drawn=DrawKind.IN_WORK)
    memory.refresh()
    dataset = gather(memory, desk.now)
    assert dataset.weights is not None
    assert dataset.weights.tolist() == [1.0, IN_WORK_WEIGHT]
    assert dataset.uniform.tolist() == [True, False]
    weighed = gather(memory, desk.now, lambda judged: [0.4] * len(judged))
    assert weighed.weights is not None
    assert weighed.weights.tolist() == [0.4, 0.4 * IN_WORK_WEIGHT]
