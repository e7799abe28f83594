"""How a judgment finds its case: from what a person said to a fact in the store, with its minutes booked."""

from __future__ import annotations

from collections.abc import Sequence

from tokencapital.account.journal import book_review
from tokencapital.app.platform import Platform, Workplace
from tokencapital.core.answer import Trajectory
from tokencapital.core.case import Case, Value
from tokencapital.core.clock import utc
from tokencapital.core.errors import InputError
from tokencapital.core.judgment import Draw, DrawKind, Judgment, Verdict
from tokencapital.review.judgments import Accepted, accept
from tokencapital.review.routes import Said
from tokencapital.store.cases import read_case, read_trajectory, trajectories_of_case
from tokencapital.store.draws import open_draws
from tokencapital.store.ledger import append_transactions


def judge(platform: Platform, said: Said) -> Accepted:
    """The judgment is stored and its time booked. One that the queue did not ask for is volunteered.

    Raises InputError where the case or the trajectory is not known, ContractViolation where the answer
    does not fit.
    """
    done, case_id = _subject(platform, said)
    case = read_case(platform.store, case_id)
    if case is None:
        raise InputError(f"no case {case_id} is stored, or its words were erased")
    place = platform.workplace(case.capability)
    asked = _answered_draw(platform, said, case)
    return take_down(place, [_judgment(place, said, case_id, asked, done)])[0]


def _answered_draw(platform: Platform, said: Said, case: Case) -> Draw | None:
    if said.draw is None:
        return None
    for waiting in open_draws(platform.store, case.capability):
        if waiting.id == said.draw and waiting.case == case.id:
            return waiting
    raise InputError(f"no draw {said.draw} of case {case.id} waits for an answer")


def take_down(place: Workplace, judgments: Sequence[Judgment]) -> list[Accepted]:
    """The judgments and the minutes they took are in the store together, or neither is."""
    known = place.engine.memory.labels(place.now())
    with place.store.begin():
        accepted = accept(place.store, place.capability.contract, known, judgments)
        booked = book_review((one.judgment for one in accepted), place.assumptions, place.parts.ids)
        append_transactions(place.store, booked)
    return accepted


def _subject(platform: Platform, said: Said) -> tuple[Trajectory | None, str]:
    if said.trajectory is None:
        done = trajectories_of_case(platform.store, said.case or "")
        return (done[-1] if done else None), said.case or ""
    trajectory = read_trajectory(platform.store, said.trajectory)
    if trajectory is None:
        raise InputError(
            f"no trajectory {said.trajectory} is stored", remedy="Send the header x-tcap-trajectory of the answer."
        )
    return trajectory, trajectory.case


def _judgment(place: Workplace, said: Said, case_id: str, asked: Draw | None, done: Trajectory | None) -> Judgment:
    now = place.now()
    return Judgment(
        id=place.parts.ids.new("jdg"),
        case=case_id,
        capability=place.name,
        expert=said.expert,
        at=now,
        verdict=said.verdict,
        answer=_answer(said, done),
        drawn=asked.kind if asked else DrawKind.VOLUNTEERED,
        probability=asked.probability if asked else None,
        valid_from=utc(said.valid_from) if said.valid_from else now,
        valid_until=utc(said.valid_until) if said.valid_until else None,
        reason=said.reason,
        minutes=said.minutes,
    )


def _answer(said: Said, done: Trajectory | None) -> Value:
    if said.verdict is Verdict.RIGHT and said.answer is None:
        return done.answer.value if done else None
    return said.answer
