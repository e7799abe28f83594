"""Imported work in both databases: once, whole with its cursor, erased for good, and out again as it came in."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tokencapital.app.recording import HouseDesks
from tokencapital.core.call import UNSORTED
from tokencapital.core.case import Capability, Contract, ContractKind
from tokencapital.core.clock import RecordedClock
from tokencapital.core.judgment import DrawKind, Outcome
from tokencapital.core.split import Split
from tokencapital.meter.energy import LocalEstimate
from tokencapital.meter.meter import Meter
from tokencapital.meter.prices import PriceBook
from tokencapital.record.exports import write_jsonl, write_parquet
from tokencapital.record.imports.cases import read_cases_file
from tokencapital.record.imports.chat import read_chat
from tokencapital.record.imports.landing import ERASED, Landed, Lander, Landing
from tokencapital.record.imports.outcomes import read_outcomes
from tokencapital.record.imports.tensorzero import TensorZero
from tokencapital.record.imports.told import Bunch, Seen, Skip, Source
from tokencapital.record.imports.trajectories import read_trajectories
from tokencapital.record.spans_settling import Rules
from tokencapital.store.capabilities import declare_capability
from tokencapital.store.cases import read_cases, trajectories_named
from tokencapital.store.cursors import read_cursor, set_cursor
from tokencapital.store.database import Store
from tokencapital.store.exporting import Wanted, recorded
from tokencapital.store.judgments import find_judgments, memory_events
from tokencapital.store.manifest import split_of_cases
from tokencapital.store.outcomes import append_outcomes, outcomes_of_cases
from tokencapital.store.steps import steps_of

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ROUTE, BOOK = "route", "book"
KINDS = {ROUTE: ContractKind.LABEL, BOOK: ContractKind.TEXT}
TENSORZERO = Path(__file__).with_name("tensorzero.sql")


def lander(store: Store, kind: str = "trajectories", capability: str | None = None) -> Lander:
    clock = RecordedClock(NOW)
    for name, contract in KINDS.items():
        if not store.probe(f"SELECT 1 FROM capability_event WHERE capability = '{name}'"):
            declare_capability(store, Capability(name=name, contract=Contract(kind=contract)), by="t", at=NOW)
    rules = Rules(Meter(PriceBook(), LocalEstimate(20.0, 1.0)), HouseDesks(store, clock).observed)
    return Lander(store, clock, Landing(kind=kind, source="s", rules=rules, capability=capability))


def landed(store: Store, source: Source, **more: Any) -> Landed:
    one = lander(store, **more)
    for bunch in source:
        one.land(bunch)
    return one.landed


def written(path: Path, *lines: object) -> Path:
    path.write_bytes(b"\n".join(one if isinstance(one, bytes) else msgspec.json.encode(one) for one in lines))
    return path


def run(number: int, **more: Any) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": f"book table {number}"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "name": "free", "args": {"n": number}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "yes"},
        {"role": "assistant", "content": f"table {number} is yours"},
        {"role": "user", "content": "thanks"},
    ]
    line = {
        "id": f"run-{number}",
        "capability": BOOK,
        "group": f"g{number}",
        "at": "2026-05-01T09:00:00Z",
        "model": "m",
    }
    outcomes = [{"name": "came", "value": True, "at": "2026-05-02T09:00:00Z"}]
    return line | {"messages": messages, "outcomes": outcomes} | more


def case(number: int, **more: Any) -> dict[str, Any]:
    line = {"id": f"case-{number}", "capability": ROUTE, "group": f"c{number}", "at": "2026-05-01T09:00:00Z"}
    line |= {"input": [{"role": "user", "content": f"words {number}"}], "answer": "north", "expert": "ines"}
    return line | {"outcome": {"name": "right", "value": None}} | more


def exported(store: Store) -> bytes:
    into = io.BytesIO()
    write_jsonl(store, Wanted(), into, lambda _: None)
    return into.getvalue()


def test_a_conversation_becomes_a_case_and_a_step_for_each_thing_done(store: Store, tmp_path: Path) -> None:
    done = landed(store, read_trajectories(written(tmp_path / "f.jsonl", run(1)), NOW))
    assert (done.trajectories, done.steps, done.outcomes, done.skipped) == (1, 3, 1, [])
    head = trajectories_named(store, ["run-1"])["run-1"]
    assert (head.answer.value, head.generalist, head.usage.output) == ("table 1 is yours", "m", None)
    came_in = read_cases(store, [head.case])[head.case]
    assert [one.content for one in came_in.messages] == ["book table 1"]
    steps = steps_of(store, ["run-1"])["run-1"]
    assert [(one.kind.value, one.name) for one in steps] == [("call", "chat"), ("tool", "free"), ("call", "chat")]
    said = [message.content for one in steps for message in one.messages or ()]
    assert said == ["Be kind.", "book table 1", "", "yes", "table 1 is yours", "thanks"]
    assert steps[0].messages is not None and steps[0].messages[-1].tool_calls[0].arguments == '{"n":1}'


def test_the_same_file_twice_brings_nothing_new(store: Store, tmp_path: Path) -> None:
    file = written(tmp_path / "f.jsonl", *(run(number) for number in range(5)))
    first, second = landed(store, read_trajectories(file, NOW)), landed(store, read_trajectories(file, NOW))
    assert (first.trajectories, first.known) == (5, 0)
    assert (second.trajectories, second.steps, second.outcomes, second.known) == (0, 0, 0, 10)


def test_what_is_left_out_is_told_with_its_line_and_reason(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    written(file, run(1), b"{", b"[]", {"id": "x"}, run(2, messages=[]), {**run(3), "id": None}, b"", run(4))
    done = landed(store, read_trajectories(file, NOW))
    assert done.trajectories == 2
    assert [one.where.rpartition(":")[2] for one in done.skipped] == ["2", "3", "4", "5", "6"]
    assert all(one.why for one in done.skipped)


def test_an_export_into_an_empty_store_gives_the_same_export(
    store: Store, tmp_path: Path, open_store: Callable[..., Store]
) -> None:
    landed(store, read_trajectories(written(tmp_path / "a.jsonl", *(run(n) for n in range(4))), NOW))
    landed(store, read_cases_file(written(tmp_path / "b.jsonl", *(case(n) for n in range(30)))), kind="cases")
    landed(
        store, read_outcomes(written(tmp_path / "c.jsonl", {"key": "case-1", "name": "paid", "value": 3}), ROUTE, NOW)
    )
    first = exported(store)
    assert first.count(b"\n") == 34
    other = open_store(str(tmp_path / "other.db"), key=b"o" * 32)
    file = tmp_path / "export.jsonl"
    file.write_bytes(first)
    done = landed(other, read_trajectories(file, NOW))
    assert (done.trajectories, done.steps, done.skipped) == (34, 12, [])
    assert _but_sealed(exported(other)) == _but_sealed(first)
    again = landed(other, read_trajectories(file, NOW))
    assert (again.trajectories, again.steps, again.outcomes, again.judgments) == (0, 0, 0, 0)


def _but_sealed(lines: bytes) -> list[dict[str, Any]]:
    """The lines; judgments of groups that one of the two stores keeps to judge by are in none of them."""
    return [
        {name: value for name, value in msgspec.json.decode(one).items() if name != "judgments"}
        for one in lines.splitlines()
    ]


def test_no_judgment_of_a_sealed_group_leaves_in_an_export(store: Store, tmp_path: Path) -> None:
    landed(store, read_cases_file(written(tmp_path / "b.jsonl", *(case(n) for n in range(60)))), kind="cases")
    found = [one for page in recorded(store, Wanted()) for one in page]
    splits = split_of_cases(store, [one.done.case for one in found])
    assert {splits[one.done.case] for one in found if one.sealed} == {Split.SEALED}
    assert {splits[one.done.case] for one in found if one.judgments} == {Split.TRAIN}
    assert sum(one.sealed for one in found) + sum(len(one.judgments) for one in found) == 60


def test_decisions_of_the_past_count_as_said_in_work_and_open_no_sealed_group(store: Store, tmp_path: Path) -> None:
    done = landed(store, read_cases_file(written(tmp_path / "b.jsonl", *(case(n) for n in range(60)))), kind="cases")
    assert (done.judgments, done.trajectories, done.outcomes) == (60, 60, 60)
    splits = split_of_cases(store, [f"case-{n}" for n in range(60)])
    assert 0 < sum(split is Split.SEALED for split in splits.values()) < 20
    heard = memory_events(store, ROUTE, 0)
    assert len(heard) == sum(split is Split.TRAIN for split in splits.values())
    assert {one.judged.judgment.drawn for one in heard if one.judged} == {DrawKind.IN_WORK}


def test_erased_words_do_not_come_back(store: Store, tmp_path: Path) -> None:
    file = written(tmp_path / "f.jsonl", run(1))
    landed(store, read_trajectories(file, NOW))
    with store.begin() as connection:
        connection.exec_driver_sql(f"UPDATE payload SET body = NULL, erased_at = '{NOW:%Y-%m-%d %H:%M:%S}.000000'")
    line = msgspec.json.decode(exported(store))
    assert line["erased"] is True and "input" not in line and line["messages"] == []
    written(file, run(1, messages=[*run(1)["messages"], {"role": "assistant", "content": "a word more"}]))
    again = landed(store, read_trajectories(file, NOW))
    assert (again.trajectories, again.steps, [one.why for one in again.skipped]) == (0, 0, [ERASED])
    (tmp_path / "e.jsonl").write_bytes(exported(store))
    (skipped,) = landed(store, read_trajectories(tmp_path / "e.jsonl", NOW)).skipped
    assert skipped.why == "its words were erased"


def test_a_bunch_and_its_cursor_are_stored_together_or_not_at_all(store: Store) -> None:
    one = lander(store)
    good = Seen(where="w", id="o1", name="n", value=1.0, at=NOW, trajectory="t")
    one.land(Bunch((good,), cursor="first"))
    assert read_cursor(store, "s") == "first"
    with pytest.raises(RuntimeError), store.begin():
        one.land(Bunch((msgspec.structs.replace(good, id="o2"),), cursor="second"))
        raise RuntimeError
    assert read_cursor(store, "s") == "first"
    assert store.probe("SELECT count(*) FROM outcome") == 1
    with store.begin() as connection:
        set_cursor(connection, "s", "third", NOW)
    assert read_cursor(store, "s") == "third" and read_cursor(store, "other") is None


def test_an_outcome_finds_its_case_by_key_by_trajectory_and_by_step(store: Store, tmp_path: Path) -> None:
    table = tmp_path / "o.csv"
    table.write_text(
        "Key,Trajectory,Name,Value,At\n"
        "run-1,,paid,yes,2026-06-01\n"
        ",run-1,stars,4.5,\n"
        ",stp_run-1_2,liked,false,2026-07-01T10:00:00+02:00\n"
        "run-1,,open,,\n"
        "run-1,,paid,maybe,\n"
        ",,paid,1,\n"
        "a,b,paid,1,\n"
    )
    early = landed(store, read_outcomes(table, BOOK, NOW), kind="outcomes", capability=BOOK)
    assert early.outcomes == 4
    assert [one.where.rpartition(":")[2] for one in early.skipped] == ["6", "7", "8"]
    landed(store, read_trajectories(written(tmp_path / "f.jsonl", run(1, outcomes=[])), NOW))
    head = trajectories_named(store, ["run-1"])["run-1"]
    found = {one.name: one.value for one in outcomes_of_cases(store, [head.case])[head.case]}
    assert found == {"paid": True, "stars": 4.5, "open": None} | ({"liked": False} if "liked" in found else {})
    assert landed(store, read_outcomes(table, BOOK, NOW), kind="outcomes", capability=BOOK).outcomes == 0


def test_a_newer_outcome_supersedes_and_both_are_kept(store: Store, tmp_path: Path) -> None:
    landed(store, read_trajectories(written(tmp_path / "f.jsonl", run(1, outcomes=[])), NOW))
    later = Outcome(id="b", capability=BOOK, key="run-1", name="paid", value=False, at=NOW + timedelta(days=90))
    append_outcomes(store, [later, msgspec.structs.replace(later, id="a", value=True, at=NOW)])
    (found,) = outcomes_of_cases(store, ["cas_run-1"]).values()
    assert [(one.id, one.value) for one in found] == [("a", True), ("b", False)]


def test_logs_of_chats_are_the_same_work_each_time(store: Store, tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "and you?"}], "user": "u7"}
    usage = {"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 6}}
    response = {"id": "chatcmpl-1", "created": 1767225600, "model": "gpt-4o-mini-2024-07-18", "usage": usage}
    response["choices"] = [{"index": 0, "message": messages[1]}]  # type: ignore[assignment]
    file = written(
        tmp_path / "f.jsonl",
        {"messages": messages},
        {"request": request, "response": response},
        {"messages": messages[:1]},
    )
    done = landed(store, read_chat(file, NOW), kind="chat")
    assert (done.trajectories, done.unsorted, [one.why for one in done.skipped]) == (2, 2, ["nobody answered"])
    assert landed(store, read_chat(file, NOW), kind="chat").trajectories == 0
    (line,) = [one for one in map(msgspec.json.decode, exported(store).splitlines()) if one["group"] == "u7"]
    assert (line["key"], line["at"], line["capability"]) == ("chatcmpl-1", "2026-01-01T00:00:00Z", UNSORTED)
    (step,) = line["steps"]
    assert (step["usage"]["input"], step["usage"]["cache_read"], step["usage"]["output"]) == (4, 6, 4)
    assert step["cost"] is not None, "the bundled prices know this model"


def test_tensorzero_comes_out_of_its_real_tables(
    store: Store, postgres_server: str, request: pytest.FixtureRequest
) -> None:
    import psycopg

    name = f"tz_{id(request)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = postgres_server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TENSORZERO.read_text())
    database = TensorZero(url, lambda told: f"tz-{told}")
    first = lander(store, kind="tensorzero")
    for bunch in database.read(None, None):
        first.land(bunch)
    done = first.landed
    assert (done.trajectories, done.steps, done.outcomes, done.judgments) == (3, 4, 3, 1)
    assert sorted(one.why for one in done.skipped) == [
        "a comment is neither an outcome nor a judgment",
        "a demonstration is of one inference among several in its episode",
    ]
    by_key = {one["key"] + one["capability"]: one for one in map(msgspec.json.decode, exported(store).splitlines())}
    routed = by_key["00000000-0000-7000-8000-0000000000e1route"]
    assert routed["answer"] == "north" and routed["steps"][0]["model"] == "our-own-model"
    assert routed["steps"][0]["cost"] == {"amount": "0.000123000", "currency": "USD"}
    assert [one["value"] for one in routed["outcomes"]] == [True, 0.5]
    (said,) = find_judgments(store, _judgments(store)).values()
    assert (said.answer, said.drawn, said.expert) == ("south", DrawKind.IN_WORK, "tz-unnamed")
    talked = by_key["00000000-0000-7000-8000-0000000000e2book"]
    assert [one.get("content") for one in talked["messages"]][-2:] == ["and for four", "yes, four"]
    cursor = read_cursor(store, "s")
    again = lander(store, kind="tensorzero")
    for bunch in database.read(cursor, None):
        again.land(bunch)
    assert again.landed == Landed(skipped=again.landed.skipped) and not again.landed.skipped
    whole = lander(store, kind="tensorzero")
    for bunch in database.read(None, None):
        whole.land(bunch)
    assert (whole.landed.trajectories, whole.landed.steps, whole.landed.outcomes, whole.landed.judgments) == (
        0,
        0,
        0,
        0,
    )


def _judgments(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.exec_driver_sql("SELECT id FROM judgment").scalars())


def test_skips_are_counted_by_reason(store: Store) -> None:
    one = lander(store)
    one.land(Bunch((Skip("a", "x"), Skip("b", "x"), Skip("c", "y"))))
    assert [skip.why for skip in one.landed.skipped] == ["x", "x", "y"]


def test_a_table_holds_what_the_lines_hold(store: Store, tmp_path: Path) -> None:
    from pyarrow import parquet

    landed(store, read_trajectories(written(tmp_path / "a.jsonl", *(run(n) for n in range(3))), NOW))
    counted = write_parquet(store, Wanted(capability=BOOK), tmp_path / "t.parquet", lambda _: None)
    rows = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert (counted.trajectories, [one["id"] for one in rows]) == (3, ["run-0", "run-1", "run-2"])
    assert rows[1]["answer"] == '"table 1 is yours"' and rows[1]["erased"] is False
    assert len(msgspec.json.decode(rows[1]["steps"])) == 3
    assert write_parquet(store, Wanted(since=NOW), tmp_path / "none.parquet", lambda _: None).trajectories == 0
