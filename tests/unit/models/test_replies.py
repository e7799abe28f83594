"""Only what a company says again and again is ever drafted, and no fitting reply is an answer too."""

from __future__ import annotations

from typing import Any

from tokencapital.models.replies import FEWEST_GROUPS, NO_REPLY, as_reply, with_canned_replies
from tokencapital.models.specialist import Prediction


def test_a_reply_is_canned_where_enough_entities_got_it(desk: Any) -> None:
    groups = {"Thank you.": FEWEST_GROUPS, "Dear Ada, it is 4711.": FEWEST_GROUPS - 1}
    rows = [
        desk.judged(desk.case(f"request {n}", f"customer {n}"), text)
        for text, count in groups.items()
        for n in range(count)
    ]
    rows += [desk.judged(desk.case(f"again {n}", "one customer"), "Only for me.") for n in range(9)]
    kept = with_canned_replies(rows)
    assert [one.case for one in kept] == [row.case for row in rows]
    assert [one.judgment.answer for one in kept] == ["Thank you."] * FEWEST_GROUPS + [NO_REPLY] * (FEWEST_GROUPS + 8)
    assert rows[-1].judgment.answer == "Only for me."


def test_the_best_canned_reply_is_scored_by_its_lead_over_none() -> None:
    said = as_reply(Prediction(NO_REPLY, 0.2, ((NO_REPLY, 0.6), ("Thank you.", 0.4), ("Sorry.", 0.1))))
    assert said.value == "Thank you."
    assert abs(said.score - (0.4 - 0.6)) < 1e-9
    surer = as_reply(Prediction("Thank you.", 0.2, (("Thank you.", 0.9), (NO_REPLY, 0.1))))
    assert surer.score > said.score


def test_where_nothing_is_canned_nothing_is_drafted() -> None:
    assert as_reply(Prediction(NO_REPLY, 0.9, ((NO_REPLY, 0.9),))).value is None
    assert as_reply(Prediction(NO_REPLY, 0.9)).value is None
