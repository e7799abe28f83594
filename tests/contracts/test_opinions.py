"""What every store tells of who said what: opinions, conflicts, repeats that are due, and what became of judgments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Case, Message, Value
from tokencapital.core.errors import InputError
from tokencapital.core.judgment import Draw, DrawKind, Judgment, Verdict
from tokencapital.core.people import Contributor
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.core.split import Split, assign_split
from tokencapital.store import bases, conflicts, experts, impact, newest, opinions
from tokencapital.store.cases import record_exchanges
from tokencapital.store.contributors import add_contributor
from tokencapital.store.database import Store
from tokencapital.store.draws import append_draws
from tokencapital.store.judgments import append_judgments, expire, withdraw
from tokencapital.store.releases import Artifact, save_artifact

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
NAME = "triage"
KEY = b"k" * 32
TRAIN = [f"customer-{n}" for n in range(200) if assign_split(f"customer-{n}", KEY) is Split.TRAIN]
SEALED = [f"customer-{n}" for n in range(200) if assign_split(f"customer-{n}", KEY) is Split.SEALED]


def came(
    store: Store,
    number: int,
    text: str = "",
    *,
    group: str = "",
    value: Value = None,
    because: tuple[str, ...] = (),
    with_context: bool = False,
) -> None:
    """A case came in and was answered."""
    case = Case(
        id=f"case-{number}",
        capability=NAME,
        group=group or TRAIN[number],
        at=NOW,
        messages=(Message("user", text or f"ask {number}"),),
        context={"thread": "t"} if with_context else {},
    )
    done = Trajectory(
        id=f"run-{number}",
        case=case.id,
        capability=NAME,
        at=NOW + timedelta(minutes=number),
        answer=Answer(value=value, stage=Stage.PERSON, because=because),
        policy="0" * 16,
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=0.0,
        energy=UNKNOWN_ENERGY,
    )
    record_exchanges(store, [Exchange(case, done)])


def said(number: int, expert: str, answer: Value, drawn: DrawKind = DrawKind.UNIFORM) -> Judgment:
    verdict = Verdict.CANNOT_TELL if answer is None else Verdict.CORRECTED
    return Judgment(
        id=f"{expert}-{number}-{drawn}",
        case=f"case-{number}",
        capability=NAME,
        expert=expert,
        at=NOW,
        verdict=verdict,
        answer=answer,
        drawn=drawn,
        probability=0.5,
        valid_from=NOW,
    )


def judge(store: Store, *judgments: Judgment, now: datetime = NOW) -> list[str]:
    """The judgments are stored; the conflicts that they open."""
    with store.begin():
        stored = append_judgments(store, judgments)
        return conflicts.open_disagreements(store, stored, now)


def test_a_conflict_opens_with_the_second_answer_and_widens(store: Store) -> None:
    came(store, 1, "the same")
    came(store, 2, "The  same")
    assert judge(store, said(1, "a", "x")) == []
    (name,) = judge(store, said(2, "b", "y"))
    assert judge(store, said(1, "c", "x")) == [name]
    (event,) = conflicts.unsettled(store, NAME, 9)
    assert (event.conflict, event.case, event.judgments) == (
        name,
        "case-1",
        ("a-1-uniform", "b-2-uniform", "c-1-uniform"),
    )
    assert conflicts.find_conflict(store, name) == event
    assert conflicts.find_conflict(store, "cfl_none") is None
    assert conflicts.unsettled(store, "other", 9) == []
    assert judge(store, said(1, "c", "x")) == []


def test_what_says_the_same_or_nothing_or_again_is_no_conflict(store: Store) -> None:
    came(store, 1)
    came(store, 2)
    assert judge(store, said(1, "a", {"k": 1, "l": 2}), said(1, "b", {"l": 2, "k": 1}), said(1, "c", None)) == []
    assert judge(store, said(1, "a", {"k": 9}, DrawKind.REPEAT)) == []
    assert judge(store, said(2, "a", {"k": 9})) == []


def test_what_was_edited_in_work_contradicts_nobody(store: Store) -> None:
    came(store, 1)
    assert judge(store, said(1, "a", "x"), said(1, "b", "y", DrawKind.IN_WORK)) == []
    (name,) = judge(store, said(1, "c", "z"))
    found = conflicts.find_conflict(store, name)
    assert found is not None and found.judgments == ("a-1-uniform", "c-1-uniform")


def test_what_was_taken_back_or_lapsed_disagrees_with_nobody(store: Store) -> None:
    came(store, 1)
    judge(store, said(1, "a", "x"), said(1, "b", "y"))
    withdraw(store, "a-1-uniform", by="a", at=NOW)
    expire(store, ["b-1-uniform"], NOW, by="m", at=NOW)
    assert judge(store, said(1, "c", "z")) == []
    assert set(conflicts.holding(store, ["a-1-uniform", "b-1-uniform", "c-1-uniform"], NOW)) == {"c-1-uniform"}
    assert set(conflicts.holding(store, ["b-1-uniform"], NOW - timedelta(minutes=1))) == set()


def test_judgments_of_other_entities_count_where_they_are_named(store: Store) -> None:
    """Inputs with context keep their own groups however alike they are; only memory finds them."""
    came(store, 1, "the same", with_context=True)
    came(store, 2, "the same", with_context=True)
    judge(store, said(1, "a", "x"))
    with store.begin():
        (stored,) = append_judgments(store, [said(2, "b", "y")])
        assert conflicts.open_disagreements(store, [stored], NOW) == []
        (name,) = conflicts.open_disagreements(store, [stored], NOW, {"case-2": ["a-1-uniform"]})
    (event,) = conflicts.unsettled(store, NAME, 9)
    assert (event.conflict, event.judgments) == (name, ("a-1-uniform", "b-2-uniform"))


def test_a_settled_conflict_is_on_record_with_its_reason(store: Store) -> None:
    came(store, 1)
    (name,) = judge(store, said(1, "a", "x"), said(1, "b", "y"))
    opened = conflicts.find_conflict(store, name)
    assert opened is not None
    settled = msgspec.structs.replace(
        opened, kind=conflicts.ConflictKind.SETTLED, by="maria", kept=("a-1-uniform",), reason="rule of May"
    )
    conflicts.settle_conflict(store, settled)
    assert conflicts.find_conflict(store, name) == settled
    assert conflicts.unsettled(store, NAME, 9) == []
    assert judge(store, said(1, "c", "y")) == [name]


def test_opinions_are_those_that_may_teach_with_repeats_among_them(store: Store) -> None:
    came(store, 1)
    came(store, 2, group=SEALED[0])
    stranger = Contributor(pseudonym="stranger", group="not told", team="t")
    add_contributor(store, stranger, by="m", at=NOW)
    append_judgments(
        store,
        [said(1, "a", "x"), said(1, "a", "y", DrawKind.REPEAT), said(2, "a", "x"), said(1, "stranger", "x"),
         said(1, "b", None), said(1, "c", "x")],
    )  # fmt: skip
    withdraw(store, "c-1-uniform", by="c", at=NOW)
    found = opinions.opinions(store, NAME, 100)
    assert [one.id for one in found] == ["a-1-uniform", "a-1-repeat", "b-1-uniform"]
    assert [one.answer for one in found] == ["x", "y", None]
    assert len({one.input for one in found}) == 1
    assert [one.id for one in opinions.opinions(store, NAME, 1)] == ["b-1-uniform"]


def test_what_was_answered_long_ago_is_asked_again_once(store: Store) -> None:
    for number in range(4):
        came(store, number, group=SEALED[0] if number == 3 else "")
    append_judgments(store, [said(n, "a", "x") for n in (0, 1, 3)] + [said(2, "a", None), said(1, "b", "x")])
    since, until = NOW - timedelta(days=1), NOW + timedelta(days=1)
    assert experts.once_answered(store, NAME, "a", since, until) == [
        ("a-0-uniform", "case-0"),
        ("a-1-uniform", "case-1"),
    ]
    again = Draw(
        id="again", case="case-0", capability=NAME, kind=DrawKind.REPEAT, probability=None, at=NOW, asked_of="a"
    )
    append_draws(store, [again])
    assert experts.once_answered(store, NAME, "a", since, until) == [("a-1-uniform", "case-1")]
    assert experts.once_answered(store, NAME, "a", since, NOW) == []
    assert experts.judges_of(store, ["case-0", "case-1", "case-9"]) == {"case-0": {"a"}, "case-1": {"a", "b"}}
    assert len(experts.judged_since(store, NAME, "a", since)) == 4


def test_answers_and_releases_are_traced_to_who_taught_them(store: Store) -> None:
    came(store, 1)
    right = msgspec.structs.replace(said(1, "a", "x"), id="confirmed", verdict=Verdict.RIGHT)
    corrected, other = append_judgments(store, [said(1, "a", "x"), said(1, "b", "x"), right])[:2]
    came(store, 2, because=(corrected.id, "lesson-1"))
    came(store, 3, because=("confirmed", other.id))
    came(store, 4, because=("confirmed", corrected.id))
    found = impact.answers_resting_on(store, "a", NOW)
    assert [(one.trajectory, one.corrected) for one in found] == [("run-4", True), ("run-3", False), ("run-2", True)]
    assert [one.trajectory for one in impact.answers_resting_on(store, "a", NOW + timedelta(minutes=4))] == ["run-4"]
    digest = save_artifact(store, Artifact(kind="s", recipe="r", body=b"w", lineage=(corrected.sequence,), at=NOW))
    assert impact.taught(store, [digest, "none"], "a") == {digest}
    assert impact.taught(store, [digest], "b") == set()


def test_the_newest_answers_are_read_at_once(store: Store) -> None:
    came(store, 1, value="x")
    came(store, 2)
    assert newest.newest_answers(store, ["case-1", "case-2", "case-3"]) == {"case-1": "x", "case-2": None}
    assert newest.newest_case(store, NAME) > 0
    assert newest.newest_case(store, "other") == 0


def test_a_judgment_rests_on_passages_that_are_there(store: Store) -> None:
    came(store, 1)
    append_judgments(store, [said(1, "a", "x")])
    with store.begin() as connection:
        bases.record_basis(store, connection, "a-1-uniform", ())
    with pytest.raises(InputError, match="no passage psg_none"), store.begin() as connection:
        bases.record_basis(store, connection, "a-1-uniform", ["psg_none"])
    assert bases.basis_of(store, "a-1-uniform") == []
