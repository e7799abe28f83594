"""Accounts, sessions, names and what people did, whichever database keeps them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import select

from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Case, Message
from tokencapital.core.errors import InputError
from tokencapital.core.judgment import DrawKind, Judgment, Verdict
from tokencapital.core.people import Contributor, Notice, NoticeKind, Role
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.core.split import Split, assign_split
from tokencapital.store.accounts import (
    Account,
    accounts,
    add_account,
    change_account,
    has_accounts,
    read_account,
    renew_secret,
    secret_of,
)
from tokencapital.store.cases import record_exchanges
from tokencapital.store.contributors import add_contributor
from tokencapital.store.database import Store
from tokencapital.store.judgments import append_judgments, expire, memory_events, record_notice, withdraw
from tokencapital.store.names import erase_name, name_contributor, name_of, names
from tokencapital.store.own import is_own, own_judgments, own_tallies
from tokencapital.store.people import UntaughtJudgments, all_experts, declared_over_time, judged_after, untaught
from tokencapital.store.schema import memory_event, web_session
from tokencapital.store.sessions import end_session, forget_sessions, read_session, see_session, start_session

AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def account(login: str = "ines", **changes: object) -> Account:
    made = Account(
        login=login,
        contributor=f"the {login}",
        roles=frozenset({Role.EXPERT, Role.COUNCIL}),
        active=True,
        at=AT,
        by="maria",
    )
    return msgspec.structs.replace(made, **changes)


def judge(store: Store, number: int, expert: str, at: datetime = AT, capability: str = "triage") -> str:
    """A judgment on a case of its own."""
    case = Case(
        id=f"case-{number}", capability=capability, group=f"g{number}", at=at, messages=(Message("user", f"{number}"),)
    )
    done = Trajectory(
        id=f"trj-{number}",
        case=case.id,
        capability=capability,
        at=at,
        answer=Answer(value=None, stage=Stage.PERSON),
        policy="0" * 16,
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=0.0,
        energy=UNKNOWN_ENERGY,
    )
    said = Judgment(
        id=f"jdg-{number}",
        case=case.id,
        capability=capability,
        expert=expert,
        at=at,
        verdict=Verdict.CORRECTED,
        answer="card",
        drawn=DrawKind.ACTIVE,
        probability=0.5,
        valid_from=at,
        minutes=None if number % 2 else 1.5,
    )
    record_exchanges(store, [Exchange(case, done)])
    append_judgments(store, [said])
    return said.id


def test_accounts_are_kept_changed_and_never_lost(store: Store) -> None:
    assert not has_accounts(store)
    add_account(store, account(), "secret")
    add_account(store, account("otto", roles=frozenset({Role.ADMIN})), "other")
    assert has_accounts(store)
    assert [one.login for one in accounts(store)] == ["ines", "otto"]
    assert read_account(store, "ines") == account()
    assert read_account(store, "nobody") is None
    assert secret_of(store, "ines") == "secret"
    renew_secret(store, "ines", "newer")
    assert secret_of(store, "ines") == "newer"
    change_account(store, account(active=False, by="otto"))
    assert secret_of(store, "ines") is None
    assert read_account(store, "ines") == account(active=False, by="otto")
    assert has_accounts(store)
    with pytest.raises(InputError, match="nobody"):
        change_account(store, account("nobody"))


@pytest.mark.parametrize("other", [account(contributor="somebody else"), account("otto", contributor="the ines")])
def test_a_login_and_a_contributor_have_one_account(store: Store, other: Account) -> None:
    add_account(store, account(), "secret")
    with pytest.raises(InputError):
        add_account(store, other, "secret")
    assert accounts(store) == [account()]


def test_sessions_are_found_by_their_token_alone(store: Store) -> None:
    add_account(store, account(), "secret")
    start_session(store, "token", "ines", AT, AT + 12 * HOUR)
    found = read_session(store, "token")
    assert found is not None
    assert (found.login, found.contributor, found.roles) == ("ines", "the ines", account().roles)
    assert (found.seen_at, found.expires_at) == (AT, AT + 12 * HOUR)
    assert read_session(store, "another") is None
    with store.read() as connection:
        (digest,) = connection.execute(select(web_session.c.digest)).scalars()
    assert read_session(store, digest) is None
    see_session(store, "token", AT + HOUR)
    seen = read_session(store, "token")
    assert seen is not None and seen.seen_at == AT + HOUR
    end_session(store, "token")
    assert read_session(store, "token") is None


def test_a_changed_account_ends_its_sessions_and_no_others(store: Store) -> None:
    for login in ("ines", "otto"):
        add_account(store, account(login), "secret")
        start_session(store, f"token of {login}", login, AT, AT + 12 * HOUR)
    change_account(store, account(active=False))
    change_account(store, account(active=True))
    assert read_session(store, "token of ines") is None
    assert read_session(store, "token of otto") is not None


def test_sessions_that_are_over_leave_no_row(store: Store) -> None:
    add_account(store, account(), "secret")
    start_session(store, "old", "ines", AT, AT + 2 * HOUR)
    start_session(store, "idle", "ines", AT, AT + 12 * HOUR)
    start_session(store, "fresh", "ines", AT + 3 * HOUR, AT + 15 * HOUR)
    forget_sessions(store, seen_before=AT + HOUR, now=AT + 3 * HOUR)
    assert read_session(store, "old") is None
    assert read_session(store, "idle") is None
    assert read_session(store, "fresh") is not None


def test_names_are_changed_and_erased(store: Store) -> None:
    name_contributor(store, "expert-7", "Ines Quell")
    name_contributor(store, "expert-8", "Otto Maier")
    name_contributor(store, "expert-7", " Ines Maier ")
    assert names(store) == {"expert-7": "Ines Maier", "expert-8": "Otto Maier"}
    assert erase_name(store, "expert-7")
    assert not erase_name(store, "expert-7")
    assert name_of(store, "expert-7") is None
    assert name_of(store, "expert-8") == "Otto Maier"
    for pseudonym, name in (("", "Ines"), ("expert-7", " ")):
        with pytest.raises(InputError):
            name_contributor(store, pseudonym, name)


def test_what_people_did_is_read_on_from_where_one_was(store: Store) -> None:
    for number, expert in enumerate(["ada", "ada", "bob", "cem"]):
        judge(store, number, expert, AT + number * HOUR)
    withdraw(store, "jdg-0", by="ada", at=AT + 9 * HOUR)
    did = list(judged_after(store, 0))
    assert [(one.expert, one.at, one.minutes) for one in did] == [
        ("ada", AT, 1.5),
        ("ada", AT + HOUR, None),
        ("bob", AT + 2 * HOUR, 1.5),
        ("cem", AT + 3 * HOUR, None),
    ]
    assert list(judged_after(store, did[1].sequence)) == did[2:]
    assert list(judged_after(store, did[-1].sequence)) == []
    with store.read() as connection:
        assert sorted(all_experts(connection)) == ["ada", "bob", "cem"]


def test_nobody_judged_yet(store: Store) -> None:
    with store.read() as connection:
        assert all_experts(connection) == []
    assert untaught(store) == []
    assert own_judgments(store, "ada", 5) == []


def test_what_people_were_declared_as_is_dated(store: Store) -> None:
    first = Contributor(pseudonym="ada", group="desk", fields=("triage",))
    add_contributor(store, first, by="maria", at=AT)
    moved = Contributor(pseudonym="ada", group="law", team="north")
    add_contributor(store, moved, by="maria", at=AT + HOUR)
    assert declared_over_time(store) == {"ada": [(AT, first), (AT + HOUR, moved)]}


def test_judgments_from_before_the_notice_are_counted_as_teaching_nothing(store: Store) -> None:
    add_contributor(store, Contributor(pseudonym="ada", group="desk"), by="maria", at=AT)
    for number, (expert, capability) in enumerate(
        [("ada", "triage"), ("ada", "triage"), ("ada", "reply"), ("bob", "triage")]
    ):
        judge(store, number, expert, AT + number * HOUR, capability)

    kept = UntaughtJudgments(store)

    def waiting() -> list[tuple[str, str, str, int]]:
        assert kept.count() == kept.count() == untaught(store)
        return [(one.capability, one.expert, one.group, one.count) for one in kept.count()]

    assert waiting() == [("reply", "ada", "desk", 1), ("triage", "ada", "desk", 2)]
    record_notice(store, noticed("desk", AT + HOUR))
    assert waiting() == [("triage", "ada", "desk", 1)]
    withdraw(store, "jdg-0", by="ada", at=AT + HOUR)
    assert waiting() == []


def noticed(group: str, given_on: datetime) -> Notice:
    return Notice(
        id=f"ntc_{group}", group=group, kind=NoticeKind.NOTICE, text="t", terms="t", given_on=given_on, at=AT, by="m"
    )


def test_what_had_taught_before_notices_were_asked_for_is_not_counted(store: Store) -> None:
    add_contributor(store, Contributor(pseudonym="ada", group="desk"), by="maria", at=AT)
    judge(store, 1, "ada")
    assert [one.count for one in untaught(store)] == [1]
    with store.begin() as connection:
        row = dict(connection.execute(select(memory_event)).mappings().one())
        connection.execute(memory_event.insert(), row | {"sequence": 100, "learnable": True})
    assert untaught(store) == []


def test_a_notice_lets_a_judgment_teach_whose_end_was_decided_before(store: Store) -> None:
    add_contributor(store, Contributor(pseudonym="ada", group="desk"), by="maria", at=AT)
    number = next(n for n in range(50) if assign_split(f"g{n}", store.key) is Split.TRAIN)
    said = judge(store, number, "ada")
    expire(store, [said], AT + HOUR, by="maria", at=AT)
    assert [one.kind.value for one in memory_events(store, "triage", 0)] == ["expired"]
    assert record_notice(store, noticed("desk", AT)) == 1
    heard = memory_events(store, "triage", 0)[-1]
    assert (heard.kind.value, heard.judgment_id, heard.valid_until) == ("judged", said, AT + HOUR)


def test_ones_own_judgments_are_those_that_stand(store: Store) -> None:
    for number, (expert, capability) in enumerate(
        [("ada", "triage"), ("ada", "reply"), ("bob", "triage"), ("ada", "triage")]
    ):
        judge(store, number, expert, AT + number * HOUR, capability)
    assert [(one.id, one.run) for one in own_judgments(store, "ada", 2)] == [("jdg-3", "trj-3"), ("jdg-1", "trj-1")]
    assert [(one.capability, one.judgments) for one in own_tallies(store, "ada")] == [("reply", 1), ("triage", 2)]
    assert is_own(store, "jdg-3", "ada")
    assert not is_own(store, "jdg-2", "ada")
    assert not is_own(store, "none", "ada")
    withdraw(store, "jdg-3", by="ada", at=AT)
    assert not is_own(store, "jdg-3", "ada")
    assert [one.id for one in own_judgments(store, "ada", 5)] == ["jdg-1", "jdg-0"]
