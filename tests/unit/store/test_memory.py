"""Memory keeps up with what people say, take back and let expire, without reading anything twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokencapital.core.case import Case
from tokencapital.core.judgment import DrawKind, Judgment, Verdict
from tokencapital.store.database import Store
from tokencapital.store.judgments import expire, memory_events, withdraw
from tokencapital.store.memory import Memory

NOW = datetime(2026, 2, 1, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(days=1), NOW + timedelta(days=1)
TEXTS = ("my card was stolen", "where is my parcel", "please reset my password")


def recalled(memory: Memory, case: Case, now: datetime = NOW, upto: int = 10**9) -> object:
    found = memory.recall(case, now, upto)
    return None if found is None else found.value


def test_the_very_next_identical_input_is_known(desk: Any) -> None:
    memory = desk.memory()
    assert recalled(memory, desk.case(TEXTS[0])) is None
    said = desk.told(TEXTS[0], "card_lost")
    assert recalled(memory, desk.case(TEXTS[0])) is None
    assert memory.refresh() == said.sequence
    assert recalled(memory, desk.case("  MY card\nwas stolen ")) == "card_lost"
    assert recalled(memory, desk.case("my card was stolen!")) is None
    assert recalled(memory, desk.case(TEXTS[0], context={"tier": "gold"})) is None


def test_another_process_is_heard_of_and_only_what_is_new_is_read(desk: Any, store: Store, tmp_path: Path) -> None:
    for text in TEXTS:
        desk.told(text, "old")
    memory = desk.memory()
    memory.refresh()
    elsewhere = Store.open(str(tmp_path / "store.db"))
    try:
        desk.store = elsewhere
        said = desk.told("a new request", "new")
    finally:
        elsewhere.close()
    embedded: list[int] = []
    memory._encode = lambda cases: (embedded.append(len(cases)), desk.encode(cases))[1]
    assert len(memory_events(store, desk.capability, after=memory.sequence)) == 1
    assert memory.refresh() == said.sequence
    assert recalled(memory, desk.case("a new request")) == "new"
    assert embedded == [1]
    assert memory.refresh() == said.sequence
    assert embedded == [1]


def test_people_who_disagree_are_not_quoted(desk: Any) -> None:
    memory = desk.memory()
    first = desk.told(TEXTS[0], "card_lost", expert="ines")
    second = desk.told(TEXTS[0], "fraud", expert="bert")
    memory.refresh()
    found = memory.recall(desk.case(TEXTS[0]), NOW, 10**9)
    assert found is not None and found.conflict
    assert found.judgments == (first.id, second.id)
    withdraw(desk.store, second.id, by="bert", at=NOW)
    memory.refresh()
    assert recalled(memory, desk.case(TEXTS[0])) == "card_lost"


@pytest.mark.parametrize("verdict", [Verdict.CANNOT_TELL, Verdict.NOT_MY_FIELD])
def test_who_declines_neither_answers_nor_contradicts_nor_is_shown(desk: Any, verdict: Verdict) -> None:
    memory = desk.memory()
    desk.told(TEXTS[0], None, verdict=verdict)
    memory.refresh()
    case = desk.case(TEXTS[0])
    assert recalled(memory, case) is None
    assert memory.nearest(desk.encode([case]), 1, upto=10**9, now=NOW).rows.tolist() == [[-1]]
    desk.told(TEXTS[0], "card_lost")
    memory.refresh()
    assert recalled(memory, case) == "card_lost"


@pytest.mark.parametrize("how", ["withdrawn", "expired", "not yet", "over"])
def test_what_does_not_hold_neither_answers_nor_is_near(desk: Any, how: str) -> None:
    memory = desk.memory()
    validity = {"not yet": {"valid_from": LATER}, "over": {"valid_until": NOW}}.get(how, {})
    said = desk.told(TEXTS[0], "card_lost", **validity)
    if how == "withdrawn":
        withdraw(desk.store, said.id, by="ines", at=EARLIER)
    if how == "expired":
        expire(desk.store, [said.id], NOW, by="owner", at=EARLIER)
    memory.refresh()
    case = desk.case(TEXTS[0])
    assert recalled(memory, case) is None
    assert memory.nearest(desk.encode([case]), 1, upto=10**9, now=NOW).rows.tolist() == [[-1]]
    assert memory.valid_rows(NOW) == []
    assert memory.labels(NOW) == ()
    if how == "expired":
        assert recalled(memory, case, EARLIER) == "card_lost"
    if how == "not yet":
        assert recalled(memory, case, LATER) == "card_lost"


def test_what_was_withdrawn_stays_so_whatever_is_decided_on_its_validity(desk: Any) -> None:
    memory = desk.memory()
    said = desk.told(TEXTS[0], "card_lost")
    withdraw(desk.store, said.id, by="ines", at=EARLIER)
    expire(desk.store, [said.id], LATER, by="owner", at=EARLIER)
    memory.refresh()
    assert recalled(memory, desk.case(TEXTS[0])) is None


def test_sealed_cases_never_come_in_and_a_volunteered_judgment_takes_its_group_out(desk: Any) -> None:
    memory = desk.memory()
    group = desk.sealed[0]
    case = desk.case(TEXTS[0], group)
    desk.record(case)
    desk.judge(case, "card_lost")
    memory.refresh()
    assert len(memory) == 0
    assert memory.sequence > 0
    desk.judge(case, "card_lost", drawn=DrawKind.VOLUNTEERED, expert="bert")
    memory.refresh()
    assert len(memory) == 2
    assert recalled(memory, desk.case(TEXTS[0])) == "card_lost"


def test_a_bound_on_the_sequence_hides_what_came_later(desk: Any) -> None:
    memory = desk.memory()
    first = desk.told(TEXTS[0], "old")
    second = desk.told(TEXTS[0], "new")
    memory.refresh()
    case = desk.case(TEXTS[0])
    vectors = desk.encode([case])
    assert recalled(memory, case, upto=first.sequence) == "old"
    assert recalled(memory, case, upto=first.sequence - 1) is None
    assert memory.nearest(vectors, 2, upto=first.sequence, now=NOW).rows.tolist() == [[0, -1]]
    assert sorted(memory.nearest(vectors, 2, upto=second.sequence, now=NOW).rows[0]) == [0, 1]


def test_neighbours_are_those_of_the_largest_cosine(desk: Any) -> None:
    memory = desk.memory()
    words = ["card", "stolen", "parcel", "late", "password", "reset", "invoice", "wrong"]
    rng = np.random.default_rng(3)
    for _ in range(40):
        desk.told(" ".join(rng.choice(words, 4)), "x")
    memory.refresh()
    queries = desk.encode([desk.case(" ".join(rng.choice(words, 3))) for _ in range(10)])
    near = memory.nearest(queries, 5, upto=10**9, now=NOW)
    cosines = queries @ memory.vectors(range(40)).T
    assert np.allclose(near.similarities, -np.sort(-cosines, axis=1)[:, :5], atol=1e-6)
    assert np.allclose(np.take_along_axis(cosines, near.rows, axis=1), near.similarities, atol=1e-6)


def test_labels_are_those_that_hold(desk: Any) -> None:
    memory = desk.memory()
    desk.told(TEXTS[0], "b")
    desk.told(TEXTS[1], "a")
    desk.told(TEXTS[2], "gone", valid_until=NOW)
    memory.refresh()
    assert memory.labels(NOW) == ("a", "b")
    assert memory.labels(EARLIER) == ("a", "b", "gone")


def test_a_case_is_doubtful_where_a_third_of_what_is_near_has_lapsed(desk: Any) -> None:
    memory = desk.memory()
    old = [desk.told("please replace my phone", "phone_mobile", expert=f"e{n}") for n in range(2)]
    far = desk.told("the printer in the hall is out of toner", "printer")
    phone, printer = desk.encode([desk.case("please replace my phone"), desk.case("the printer is out of toner")])
    both = np.array([phone, printer])
    memory.refresh()
    assert memory.doubtful(both, NOW).tolist() == [False, False]
    expire(desk.store, [one.id for one in old], NOW, by="owner", at=EARLIER)
    memory.refresh()
    assert memory.doubtful(both, NOW).tolist() == [True, False]
    assert memory.doubtful(both, EARLIER).tolist() == [False, False]
    for number in range(5):
        desk.told(f"please replace my phone {number}", "procurement")
    memory.refresh()
    assert memory.any_lapsed([old[0].sequence], NOW)
    assert not memory.any_lapsed([far.sequence], NOW)
    # Of the five nearest, two have lapsed until people say enough anew.
    assert memory.doubtful(both, NOW).tolist() == [True, False]


@pytest.fixture
def judged(desk: Any) -> list[Judgment]:
    """Nine judgments of three inputs, so that changes can hit agreement, conflict and silence."""
    return [desk.told(TEXTS[n % 3], "ab"[n % 2], expert=f"e{n}") for n in range(9)]


CHANGES = st.lists(
    st.tuples(st.sampled_from(["judge", "withdraw", "expire", "extend", "refresh"]), st.integers(0, 8)), max_size=12
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_keeping_up_gives_what_rereading_gives(
    desk: Any, judged: list[Judgment], changes: list[tuple[str, int]]
) -> None:
    following = desk.memory()
    for change, index in changes:
        match change:
            case "judge":
                desk.told(TEXTS[index % 3], "abc"[index % 3])
            case "withdraw":
                withdraw(desk.store, judged[index].id, by="ines", at=NOW)
            case "expire":
                expire(desk.store, [judged[index].id], NOW, by="ines", at=NOW)
            case "extend":
                expire(desk.store, [judged[index].id], LATER, by="ines", at=NOW)
            case "refresh":
                following.refresh()
    following.refresh()
    fresh = desk.memory()
    fresh.refresh()
    cases = [desk.case(text) for text in TEXTS]
    vectors = desk.encode(cases)
    assert len(following) == len(fresh)
    assert following.sequence == fresh.sequence
    for now in (EARLIER, NOW, LATER):
        assert following.valid_rows(now) == fresh.valid_rows(now)
        assert following.labels(now) == fresh.labels(now)
        for case in cases:
            assert following.recall(case, now, 10**9) == fresh.recall(case, now, 10**9)
        assert following.doubtful(vectors, now).tolist() == fresh.doubtful(vectors, now).tolist()
        ours, theirs = (memory.nearest(vectors, 4, upto=10**9, now=now) for memory in (following, fresh))
        assert ours.rows.tolist() == theirs.rows.tolist()
