"""How a judgment finds its case: from what a person said to a fact in the store, with its minutes booked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from tokencapital.account.journal import book_review
from tokencapital.app.passing import pass_on
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.recording import recording_of
from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Case, ContractKind, Value
from tokencapital.core.clock import utc
from tokencapital.core.errors import InputError, StoreConflict, StoreUnavailable
from tokencapital.core.judgment import Draw, DrawKind, Judgment, Verdict
from tokencapital.core.quantity import UNKNOWN_ENERGY, Usage
from tokencapital.promote.releases import observing_policy
from tokencapital.record.recorder import Recorder
from tokencapital.record.redaction import Redaction
from tokencapital.review.judgments import Accepted, accept
from tokencapital.review.routes import Said
from tokencapital.store.bases import record_basis
from tokencapital.store.cases import read_case, read_trajectory, trajectories_of_case
from tokencapital.store.conflicts import open_disagreements
from tokencapital.store.experts import judges_of
from tokencapital.store.judgments import find_judgments, hold_memory, withdraw
from tokencapital.store.keyed import newest_with_key
from tokencapital.store.leases import empty_hands, find_lease, give_back, take
from tokencapital.store.ledger import append_transactions
from tokencapital.store.queue import draws_of_case, find_draw, find_open
from tokencapital.store.reach import loop_waits
from tokencapital.store.steps import trajectory_named

FASTER = "somebody was faster: this case is judged already"
JUDGED = "you have judged this case already: somebody else is asked"
IN_HAND = "somebody else has this case in hand"
_SECONDS = 60


class Manner(Struct, frozen=True):
    """How something was said: `blind`, before the machine's answer was shown, and on which passages it rests."""

    blind: bool = False
    basis: tuple[str, ...] = ()


_SHOWN = Manner()


def judge(platform: Platform, said: Said, manner: Manner = _SHOWN) -> Accepted:
    """The judgment is stored and its time booked. One that the queue did not ask for is volunteered.

    One whose id is there already changes nothing. What may not be kept is taken out of all its text first. A draw is
    answered once, whoever sends at the same moment.
    Raises InputError where the case, the trajectory or the draw is not known, StoreConflict where somebody was
    faster or has the case in hand, ContractViolation where the answer does not fit.
    """
    said = _cleaned(said, platform.redaction)
    known = _known(platform, said)
    if known is not None:
        return Accepted(known)
    done, case_id = _subject(platform, said)
    case = read_case(platform.store, case_id)
    if case is None:
        raise InputError(f"no case {case_id} is stored, or its words were erased")
    place = platform.workplace(case.capability)
    with place.store.begin() as connection:
        hold_memory(connection)
        asked = _answered_draw(place, said, case)
        minutes = _minutes(connection, said, asked, place.now())
        if said.in_work:
            done = _drafted(place, said, case, done)
            if said.answer == done.answer.value:
                said = msgspec.structs.replace(said, verdict=Verdict.RIGHT)
        judgment = _judgment(place, said, Subject(case_id, asked, done, minutes), manner)
        accepted = take_down(place, [judgment], {case_id: _alike(place, case)})[0]
        record_basis(place.store, connection, judgment.id, manner.basis)
        if asked is not None:
            give_back(connection, [asked.id])
            pass_on(place, asked, judgment)
    return accepted


def _cleaned(said: Said, redaction: Redaction) -> Said:
    """The same with marks in place of what may not be kept."""
    answer, draft = redaction.value(said.answer), redaction.value(said.draft)
    reason = None if said.reason is None else redaction.text(said.reason)[0]
    return msgspec.structs.replace(said, answer=answer, draft=draft, reason=reason)


def take_back(place: Workplace, judgment_id: str, expert: str) -> None:
    """The judgment is withdrawn; the draw that it answered waits again, in the expert's hand and nothing else."""
    store, now = place.store, place.now()
    with store.begin() as connection:
        hold_memory(connection)
        case = find_judgments(store, [judgment_id])[judgment_id].case
        before = {one.id for one in draws_of_case(store, case) if find_open(store, one.id)}
        withdraw(store, judgment_id, by=expert, at=now, reason="undone")
        again = [one.id for one in draws_of_case(store, case) if one.id not in before and find_open(store, one.id)]
        empty_hands(connection, expert, place.name)
        take(store, again, expert, now)


class Subject(Struct, frozen=True):
    """What a judgment is of: the case, the draw that it answers (None: nobody asked), the newest run, the minutes."""

    case: str
    asked: Draw | None
    done: Trajectory | None
    minutes: float | None


def _answered_draw(place: Workplace, said: Said, case: Case) -> Draw | None:
    if said.draw is None:
        return None
    waiting = find_open(place.store, said.draw)
    if waiting is not None and waiting.case == case.id and waiting.asked_of in (None, said.expert):
        if is_asked_of_others(place, waiting, said.expert):
            raise StoreConflict(JUDGED, where=f"draw {said.draw}", remedy="Take the next case.")
        return waiting
    known = find_draw(place.store, said.draw)
    if known is None or known.case != case.id:
        raise InputError(f"no draw {said.draw} of case {case.id} waits for an answer")
    raise StoreConflict(FASTER, where=f"draw {said.draw}", remedy="Take the next case.")


def is_asked_of_others(place: Workplace, asked: Draw, expert: str) -> bool:
    """Whether the draw asks for somebody else than this expert, who has judged the case already."""
    return asked.passed_by is not None and expert in judges_of(place.store, [asked.case]).get(asked.case, ())


def _minutes(connection: Connection, said: Said, asked: Draw | None, now: datetime) -> float | None:
    """What was sent, else the time since the case was put into this expert's hand; None: it is unknown.

    Raises StoreConflict where it is in somebody else's hand.
    """
    held = find_lease(connection, asked.id, now) if asked else None
    if held is None:
        return said.minutes
    if held.holder != said.expert:
        raise StoreConflict(IN_HAND, where=f"draw {held.draw}", remedy="Take the next case.")
    return (now - held.since).total_seconds() / _SECONDS if said.minutes is None else said.minutes


def take_down(
    place: Workplace, judgments: Sequence[Judgment], alike: Mapping[str, Sequence[str]] | None = None
) -> list[Accepted]:
    """The judgments, the minutes they took and the conflicts they open are in the store together, or nothing is.

    `alike` names, by case, judgments of other entities' cases with the same input.
    """
    known = place.engine.memory.labels(place.now())
    with place.store.begin():
        accepted = accept(place.store, place.capability.contract, known, judgments)
        reviewed = [one.judgment for one in accepted if one.judgment.drawn is not DrawKind.IN_WORK]
        booked = book_review(reviewed, place.assumptions, place.parts.ids)
        append_transactions(place.store, booked)
        if place.capability.contract.kind is not ContractKind.TEXT:
            open_disagreements(place.store, [one.judgment for one in accepted], place.now(), alike)
    return accepted


def _alike(place: Workplace, case: Case) -> tuple[str, ...]:
    """The judgments that memory holds of exactly this input."""
    memory = place.engine.memory
    recalled = memory.recall(case, place.now(), memory.refresh())
    return recalled.judgments if recalled else ()


def _known(platform: Platform, said: Said) -> Judgment | None:
    """The judgment that is there already under the id that was sent. Raises StoreConflict where it says otherwise."""
    known = find_judgments(platform.store, [said.id]).get(said.id) if said.id else None
    if known is None:
        return None
    same = known.expert == said.expert and said.answer in (None, known.answer)
    if not same or known.case != _subject(platform, said)[1]:
        raise StoreConflict(
            "this id was used for another judgment", where=f"judgment {known.id}", remedy="Use another id."
        )
    return known


def _drafted(place: Workplace, said: Said, case: Case, done: Trajectory | None) -> Trajectory:
    """What was done on the case that gave the draft. One that nothing here gave is put down as observed.

    Raises InputError where neither a draft was sent nor anything was done on the case.
    """
    if said.draft is None or (done is not None and done.answer.value == said.draft):
        if done is None or done.answer.value is None:
            raise InputError(f"nothing was answered on case {case.id}", remedy="Send the `draft`.")
        return done
    earlier = [one for one in trajectories_of_case(place.store, case.id) if one.answer.value == said.draft]
    if earlier:
        return earlier[-1]
    drafted = Trajectory(
        id=place.parts.ids.new("trj"),
        case=case.id,
        capability=case.capability,
        at=place.now(),
        answer=Answer(value=said.draft, stage=Stage.GENERALIST),
        policy=observing_policy(place.capability).hash,
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=0.0,
        energy=UNKNOWN_ENERGY,
        usage=Usage(None, None),
    )
    Recorder(place.store).record([Exchange(case, drafted)])
    return drafted


def _subject(platform: Platform, said: Said) -> tuple[Trajectory | None, str]:
    if said.trajectory is None:
        case_id = said.case or newest_with_key(platform.store, said.capability or "", said.key or "")
        if case_id is None:
            raise InputError(f"no case of `{said.capability}` has this business key", remedy="Record the case first.")
        done = trajectories_of_case(platform.store, case_id)
        return (done[-1] if done else None), case_id
    trajectory = _named(platform, said.trajectory)
    if trajectory is None:
        raise InputError(
            f"no trajectory {said.trajectory} is stored", remedy="Send the header x-tcap-trajectory of the answer."
        )
    return trajectory, trajectory.case


def _named(platform: Platform, name: str) -> Trajectory | None:
    """The trajectory with this id, or with a step of this id; one that was acknowledged just now is waited for."""
    found = trajectory_named(platform.store, name)
    if found is None and not loop_waits():
        all_there = recording_of(platform).flush()
        found = trajectory_named(platform.store, name)
        if found is None and not all_there:
            raise StoreUnavailable("what was answered lately waits for the store", remedy="Send it again in a moment.")
    return read_trajectory(platform.store, found) if found else None


def _judgment(place: Workplace, said: Said, of: Subject, manner: Manner) -> Judgment:
    now = place.now()
    return Judgment(
        id=said.id or place.parts.ids.new("jdg"),
        case=of.case,
        capability=place.name,
        expert=said.expert,
        at=now,
        verdict=said.verdict,
        answer=_answer(said, of.done),
        drawn=of.asked.kind if of.asked else DrawKind.IN_WORK if said.in_work else DrawKind.VOLUNTEERED,
        probability=of.asked.probability if of.asked else None,
        valid_from=utc(said.valid_from) if said.valid_from else now,
        valid_until=utc(said.valid_until) if said.valid_until else None,
        reason=said.reason,
        minutes=of.minutes,
        blind=manner.blind,
    )


def _answer(said: Said, done: Trajectory | None) -> Value:
    if said.verdict is Verdict.RIGHT and said.answer is None:
        return done.answer.value if done else None
    return said.answer
