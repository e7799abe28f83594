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
