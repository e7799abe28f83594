"""A small simulated organization, and its recorded work as a file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tokencapital.app.platform import Platform
from tokencapital.app.replay_run import Finished, ReplayOptions, run_replay
from tokencapital.app.settings import Settings
from tokencapital.core.case import Case
from tokencapital.simulate.base import Organization
from tokencapital.simulate.organization import Plan, simulated_organization


@pytest.fixture(scope="session")
def organization() -> Organization:
    """Five clear kinds of work, almost every case of an entity of its own."""
    return simulated_organization(3, Plan(cases=400, kinds=5, overlap=0.15, ambiguous=0.0, cases_per_group=0.9))


@pytest.fixture(scope="session")
def recording(organization: Organization, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The organization's work as recorded: every fifth case is kept for the test."""
    path = tmp_path_factory.mktemp("recorded") / "work.jsonl"
    lines = [_line(organization, case, place) for place, case in enumerate(organization.cases)]
    path.write_bytes(b"\n".join(lines))
    return path


@pytest.fixture(scope="session")
def played(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The recording played from beginning to end without a pause."""
    return run_replay(ReplayOptions(file=recording, store=str(tmp_path_factory.mktemp("played") / "store.db")))


@pytest.fixture
def house(played: Finished, tmp_path: Path) -> Iterator[Platform]:
    """What was played, as a house of its own that may be changed."""
    path = shutil.copy(played.store, tmp_path / "store.db")
    with Platform.open(Settings(store=str(path))) as platform:
        yield platform


def _line(organization: Organization, case: Case, place: int) -> bytes:
    split = "test" if place % 5 == 4 else "stream"
    outcome = organization.outcome(case, organization.truth(case, case.at), case.at)
    seen = {"name": outcome.name, "value": outcome.value, "at": outcome.at} if outcome else None
    return msgspec.json.encode(
        {
            "id": case.id,
            "split": split,
            "capability": case.capability,
            "group": case.group,
            "at": case.at,
            "input": case.messages,
            "answer": organization.truth(case, case.at),
            "expert": "expert-1",
            "outcome": seen,
        }
    )
