"""After an erasure nothing of it is left as bytes, nothing answers by it, and everything still verifies."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from tokencapital.app.erasing import Erased, Erasure, erase, erase_and_rebuild
from tokencapital.app.erasure_report import report
from tokencapital.app.platform import Platform
from tokencapital.app.settings import Settings
from tokencapital.app.verifying import verify
from tokencapital.cli import app
from tokencapital.core.answer import Stage
from tokencapital.core.case import Case, Message
from tokencapital.core.errors import InputError
from tokencapital.core.judgment import DrawKind, Judgment, Verdict
from tokencapital.simulate.service_desk import TICKET, TRIAGE
from tokencapital.store.audit import Done, links
from tokencapital.store.cases import read_cases
from tokencapital.store.contributors import add_contributor
from tokencapital.store.judgments import append_judgments
from tokencapital.store.rebuilds import waiting_rebuilds
from tokencapital.store.releases import live_release, load_artifact
from tokencapital.store.schema import (
    account,
    artifact,
    contributor_name,
    judgment,
    memory_event,
    trajectory,
    work_case,
)
from tokencapital.testing.desks import play_desk
from tokencapital.testing.people import tell_everyone
from tokencapital.testing.traces import artifact_bytes, file_bytes, lost_words, payload_bodies, traces

AT = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def played_desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service desk, played: labels and fields, with specialists of both kinds."""
    path = tmp_path_factory.mktemp("desk") / "desk.db"
    play_desk(str(path), cases=240)
    return path


@pytest.fixture
def desk_file(played_desk: Path, tmp_path: Path) -> Path:
    """A copy of the played desk."""
    return Path(shutil.copy(played_desk, tmp_path / "desk.db"))


@pytest.fixture
def desk(desk_file: Path) -> Iterator[Platform]:
    """The played desk, open; everybody had notice."""
    with Platform.open(Settings(store=str(desk_file))) as platform:
        tell_everyone(platform.store)
        yield platform


def busiest(platform: Platform, capability: str) -> str:
    """The entity group that memory has most judgments of, in a capability."""
    query = (
        select(work_case.c.entity_group)
        .join_from(judgment, work_case, judgment.c.case_id == work_case.c.id)
        .join(memory_event, memory_event.c.judgment_id == judgment.c.id)
        .where(judgment.c.capability == capability, memory_event.c.learnable, judgment.c.verdict == "corrected")
    )
    with platform.store.read() as connection:
        return Counter(connection.execute(query).scalars()).most_common(1)[0][0]


def run(platform: Platform, **asked: object) -> Erased:
    return asyncio.run(erase_and_rebuild(platform, Erasure(by="dpo-1", **asked)))  # type: ignore[arg-type]


def assert_nothing_is_left(platform: Platform, file: Path, before: dict[str, bytes]) -> set[str]:
    lost = lost_words(before, payload_bodies(platform.store))
    assert lost
    assert traces(lost, artifact_bytes(platform.store)) == []
    assert traces(lost, file_bytes(file)) == []
    found = verify(platform)
    assert [finding for check in found.checks for finding in check.findings] == []
    return lost


@pytest.mark.parametrize("capability", [TRIAGE, TICKET])
def test_no_byte_of_a_customer_is_left(desk: Platform, desk_file: Path, capability: str) -> None:
    before, group = payload_bodies(desk.store), busiest(desk, capability)
    assert traces(lost_words(before, {}), file_bytes(desk_file))
    with desk.store.read() as connection:
        theirs = select(work_case.c.id).where(work_case.c.entity_group == group, work_case.c.capability == capability)
        cases = read_cases(desk.store, connection.execute(theirs).scalars())
    said = [case.messages[-1].content for case in cases.values()]
    now = desk.clock.now()
    known = {hit.id for words in said for hit in desk.knowledge.search(words, now)}

    done = run(desk, group=group)

    assert known & set(done.wiped.withdrawn)
    found = {hit.id for words in said for hit in desk.knowledge.search(words, now)}
    assert not found & set(done.wiped.withdrawn)

    assert done.wiped.cases and done.wiped.judgments and done.compacted
    lost = assert_nothing_is_left(desk, desk_file, before)
    assert traces(lost, report(done).encode(), msgspec.json.encode(done, enc_hook=str)) == []


def test_no_byte_of_what_a_contributor_said_is_left(desk: Platform, desk_file: Path) -> None:
    with desk.store.begin() as connection:
        connection.execute(contributor_name.insert(), {"contributor": "ines", "name": "Ines Wunderlich-Oduya"})
        connection.execute(
            account.insert(),
            {
                "login": "wunderlich@desk.example",
                "contributor": "ines",
                "roles": "[]",
                "secret": "argon2-secret-of-ines",
            }
            | {"active": True, "at": AT, "by": "mira"},
        )
    said = say(desk, "ines", TICKET, {"item": "a quiltwork xylophone"}, "Because Auntie Quetzalcoatl told me.")
    retract_with_words(desk, said)
    before = payload_bodies(desk.store)

    done = run(desk, contributor="ines")

    assert done.people == {"names": 1, "accounts": 1, "sessions": 0}
    assert_nothing_is_left(desk, desk_file, before)
    words = ["quiltwork xylophone", "Auntie Quetzalcoatl", "fat fingers of mine", "Wunderlich", "argon2-secret"]
    assert traces(words, file_bytes(desk_file)) == []
    with desk.store.read() as connection:
        assert connection.execute(select(account.c.login, account.c.active)).all() == [("erased-ines", False)]


def test_words_that_recall_repeated_to_others_are_gone_too(desk: Platform, desk_file: Path) -> None:
    """A correction answers the next identical input of somebody else; erasing who gave it takes that answer, too."""
    place = desk.workplace(TRIAGE)
    asked = Case(
        id="case_first", capability=TRIAGE, group="someone", at=AT, messages=(Message("user", "Where is my zither?"),)
    )
    asyncio.run(place.engine.answer(asked))
    say(desk, "guest", TRIAGE, "zymurgical_whatnot", "A kind of my own.", case_id=asked.id)
    again = msgspec.structs.replace(asked, id="case_again", group="another")
    answered = asyncio.run(place.engine.answer(again)).trajectory
    assert (answered.answer.value, answered.answer.stage) == ("zymurgical_whatnot", Stage.RECALL)
    before = payload_bodies(desk.store)

    done = run(desk, contributor="guest")

    assert_nothing_is_left(desk, desk_file, before)
    assert traces(["zymurgical_whatnot"], file_bytes(desk_file), artifact_bytes(desk.store)) == []
    assert done.wiped.copies == 1


def test_the_next_request_does_without(desk: Platform) -> None:
    """What was cached of judgments and specialists in a running process is let go at the next request."""
    place, group = desk.workplace(TICKET), busiest(desk, TICKET)
    place.engine.memory.refresh()
    live = place.releases.live(TICKET)
    assert live.specialist is not None

    done = erase(desk, Erasure(by="dpo-1", group=group))

    fates = {one.artifact: one for one in done.artifacts}
    assert live.policy.specialist is not None
    assert fates[live.policy.specialist].erased and fates[live.policy.specialist].due is not None
    assert load_artifact(desk.store, live.policy.specialist) is None
    assert place.releases.live(TICKET).specialist is None
    place.engine.memory.refresh()
    held = place.engine.memory.judged(range(len(place.engine.memory)))
    assert all(not one.case.messages for one in held if one.case.group == group)
    assert all(one.case.messages for one in held if one.case.group != group)


def test_a_specialist_of_numbers_serves_until_it_is_made_anew(desk: Platform) -> None:
    place, group = desk.workplace(TRIAGE), busiest(desk, TRIAGE)
    was = place.releases.live(TRIAGE).policy.specialist
    assert was is not None

    done = erase(desk, Erasure(by="dpo-1", group=group))

    assert place.releases.live(TRIAGE).specialist is not None
    assert [one.artifact for one in waiting_rebuilds(desk.store, TRIAGE)] == [was]
    assert [one.artifact for one in done.artifacts if not one.erased] == [was]
    late = verify(desk)
    assert late.passed


def test_a_live_goal_makes_it_anew_at_once_and_erases_what_was(desk: Platform) -> None:
    group = busiest(desk, TRIAGE)
    was = desk.workplace(TRIAGE).releases.live(TRIAGE).policy.specialist
    assert was is not None

    done = run(desk, group=group)

    assert TRIAGE in [one.capability for one in done.rebuilt]
    assert load_artifact(desk.store, was) is None
    assert waiting_rebuilds(desk.store) == []
    live = live_release(desk.store, TRIAGE)
    assert live is not None and live.id in [one.id for one in done.rebuilt]
    now = desk.workplace(TRIAGE).releases.live(TRIAGE)
    assert now.specialist is not None and now.policy.specialist != was


def test_only_sealed_by_name_things_are_erased(desk: Platform) -> None:
    with pytest.raises(InputError, match="exactly one"):
        erase(desk, Erasure(by="dpo-1"))
    with pytest.raises(InputError, match="exactly one"):
        erase(desk, Erasure(by="dpo-1", group="a", case="b"))
    with pytest.raises(InputError, match="no case of group nobody"):
        erase(desk, Erasure(by="dpo-1", group="nobody"))
    with pytest.raises(InputError, match="no contributor is called nobody"):
        erase(desk, Erasure(by="dpo-1", contributor="nobody"))
    with pytest.raises(InputError, match="who carries it out"):
        erase(desk, Erasure(by=" ", contributor="ines"))


def test_an_erasure_is_an_act_without_words(desk: Platform) -> None:
    group = busiest(desk, TRIAGE)
    done = erase(desk, Erasure(by="dpo-1", group=group))
    act = links(desk.store)[-1]
    assert (act.number, act.what, act.subject, act.by) == (done.number, Done.ERASED, group, "dpo-1")
    told = msgspec.json.decode(act.body)
    assert told["payloads"] == done.wiped.payloads
    again = erase(desk, Erasure(by="dpo-1", group=group))
    assert again.wiped.payloads == 0 and again.wiped.withdrawn == ()


def test_an_erased_case_is_asked_of_nobody(desk: Platform) -> None:
    with desk.store.read() as connection:
        case_id = connection.execute(select(judgment.c.case_id).limit(1)).scalar_one()
    erase(desk, Erasure(by="dpo-1", case=case_id))
    found = {check.name: check.findings for check in verify(desk).checks}
    assert found["queue"] == ()
    with desk.store.read() as connection:
        kept = connection.execute(select(trajectory.c.id).where(trajectory.c.case_id == case_id)).all()
    assert kept


def test_nothing_printed_repeats_it(desk_file: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    with Platform.open(Settings(store=str(desk_file))) as platform:
        before, group = payload_bodies(platform.store), busiest(platform, TICKET)
    told = tmp_path / "report.md"
    arguments = ["erase", "--group", group, "--by", "dpo-1", "--store", str(desk_file), "--report", str(told)]

    result = CliRunner().invoke(app, [*arguments, "--json", "-"])

    assert result.exit_code == 0, result.output
    with Platform.open(Settings(store=str(desk_file))) as platform:
        lost = assert_nothing_is_left(platform, desk_file, before)
    assert traces(lost, result.output.encode(), told.read_bytes()) == []
    assert group in told.read_text("utf-8")
    checked = CliRunner().invoke(app, ["verify", "--store", str(desk_file)])
    assert checked.exit_code == 0, checked.output


def test_an_artifact_erased_with_nothing_left_to_learn_from(desk: Platform) -> None:
    """Where too few judgments are left the capability answers without a specialist, and says so."""
    with desk.store.read() as connection:
        everybody = list(connection.execute(select(judgment.c.expert).distinct()).scalars())
    done = [run(desk, contributor=one) for one in everybody]
    assert all(one.due is None for each in done for one in each.artifacts)
    assert desk.workplace(TRIAGE).releases.live(TRIAGE).specialist is None
    with desk.store.read() as connection:
        assert not any(connection.execute(select(artifact.c.body)).scalars())
    assert verify(desk).passed
    assert "Too little is left" in report(done[-1])


def say(
    platform: Platform, expert: str, capability: str, answer: object, reason: str, case_id: str | None = None
) -> str:
    """A volunteered judgment of a case; its id."""
    from tokencapital.core.people import Contributor

    add_contributor(platform.store, Contributor(pseudonym=expert), by="mira", at=AT)
    if case_id is None:
        with platform.store.read() as connection:
            query = select(work_case.c.id).where(work_case.c.capability == capability).limit(1)
            case_id = connection.execute(query).scalar_one()
    said = Judgment(
        id=platform.ids.new("jdg"), case=case_id, capability=capability, expert=expert, at=AT,
        verdict=Verdict.CORRECTED, answer=answer, drawn=DrawKind.VOLUNTEERED, probability=None,  # type: ignore[arg-type]
        valid_from=AT, reason=reason,
    )  # fmt: skip
    append_judgments(platform.store, [said])
    return said.id


def retract_with_words(platform: Platform, judgment_id: str) -> None:
    from tokencapital.app.retracting import retract

    retract(platform, [judgment_id], "ines", "It was the fat fingers of mine.")
