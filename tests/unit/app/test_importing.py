"""Imports into a house: nothing that may not be kept comes in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tokencapital.app.importing import ImportAsked, ImportKind, ImportReport, run_import
from tokencapital.app.platform import Platform
from tokencapital.app.settings import CapabilitySettings, Settings
from tokencapital.core.case import ContractKind
from tokencapital.serve.rules import Rule
from tokencapital.testing.people import tell_everyone
from tokencapital.testing.traces import payload_bodies, traces

SECRET = "sk-proj-" + "aB3" * 12
RULES = (
    Rule(capability="letters", tags={"desk": "post*"}),
    Rule(capability="parcels", prompt_like="find the parcel of *."),
    Rule(capability="large", model="gpt-large"),
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Platform]:
    desk = {"desk": CapabilitySettings(contract=ContractKind.TEXT)}
    settings = Settings(store=str(tmp_path / "s.db"), capabilities=desk, rules=RULES)
    with Platform.open(settings, key=b"k" * 32) as platform:
        tell_everyone(platform.store)
        yield platform


def imported(house: Platform, kind: ImportKind, path: Path, *lines: dict[str, Any], **more: Any) -> ImportReport:
    path.write_bytes(b"\n".join(msgspec.json.encode(one) for one in lines))
    return run_import(house, ImportAsked(kind=kind, file=path, **more), lambda *_: None)


def chat(number: int, system: str = "Be kind.", words: str = "where is it", **more: Any) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": f"{words}, {number}"},
        {"role": "assistant", "content": "on its way"},
    ]
    return {"id": f"c{number}", "at": "2026-05-01T09:00:00Z", "messages": messages} | more


def values(house: Platform, query: str) -> list[Any]:
    with house.store.read() as connection:
        return list(connection.exec_driver_sql(query).scalars())


def test_secrets_in_what_is_imported_are_not_kept(house: Platform, tmp_path: Path) -> None:
    told = chat(1, words=f"my key is {SECRET}")
    told["messages"] += [{"role": "user", "content": SECRET}, {"role": "assistant", "content": f"not {SECRET}!"}]
    assert imported(house, ImportKind.CHAT, tmp_path / "c.jsonl", told, capability="desk").trajectories == 1
    case = {"id": "k1", "capability": "desk", "group": "g", "at": "2026-05-01T09:00:00Z", "expert": "ines"}
    case |= {"input": [{"role": "user", "content": SECRET}], "answer": f"say {SECRET}"}
    assert imported(house, ImportKind.CASES, tmp_path / "k.jsonl", case).judgments == 1
    seen = {"capability": "desk", "key": "c1", "name": f"by {SECRET}", "value": True}
    assert imported(house, ImportKind.OUTCOMES, tmp_path / "o.jsonl", seen).outcomes == 1
    bodies = payload_bodies(house.store).values()
    assert traces([SECRET], *bodies) == []
    assert traces(["[redacted:api-key]"], *bodies)
    assert values(house, "SELECT name FROM outcome") == ["by [redacted:api-key]"]


def test_rules_sort_what_is_imported(house: Platform, tmp_path: Path) -> None:
    lines = [
        chat(1, metadata={"desk": "post-7"}),
        chat(2, system="Find the parcel of Ann."),
        chat(3, model="gpt-large"),
        chat(4),
        chat(5, model="gpt-large", capability="desk"),
    ]
    assert imported(house, ImportKind.CHAT, tmp_path / "c.jsonl", *lines).unsorted == 1
    sorted_ = values(house, "SELECT capability FROM trajectory ORDER BY position")
    assert sorted(sorted_) == ["desk", "large", "letters", "parcels", "unsorted"]
    row = {"request_id": "r", "startTime": "2026-05-01T09:00:00Z", "model": "gpt-small", "metadata": {"desk": "post"}}
    row |= {"messages": [{"role": "user", "content": "hi"}], "response": "ho"}
    rows = [row, row | {"request_id": "s", "model": "gpt-large", "metadata": {}}]
    assert imported(house, ImportKind.LITELLM, tmp_path / "l.jsonl", *rows).unsorted == 0
    assert sorted(values(house, "SELECT capability FROM trajectory"))[1:5] == ["large", "large", "letters", "letters"]


def test_what_somebody_says_it_is_comes_before_rules(house: Platform, tmp_path: Path) -> None:
    imported(house, ImportKind.CHAT, tmp_path / "c.jsonl", chat(1, model="gpt-large"), capability="desk")
    assert values(house, "SELECT capability FROM trajectory") == ["desk"]


def test_a_dry_run_of_a_file_keeps_nothing(house: Platform, tmp_path: Path) -> None:
    tried = imported(house, ImportKind.CHAT, tmp_path / "c.jsonl", chat(1), chat(2), dry_run=True)
    assert (tried.trajectories, tried.dry_run) == (2, True)
    assert values(house, "SELECT id FROM trajectory") == []
