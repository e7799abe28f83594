"""The house's knowledge is filled beside what else is done, and closing the house meanwhile breaks nothing."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

from tokencapital.app.knowing import Handed, add_bytes
from tokencapital.app.platform import Platform
from tokencapital.app.settings import Settings

NOW = datetime(2036, 1, 1, tzinfo=UTC)


def wait() -> None:
    for thread in threading.enumerate():
        if thread.name == "knowledge":
            thread.join(30)


def test_warming_fills_the_index(tmp_path: Path) -> None:
    with Platform.open(Settings(store=str(tmp_path / "store.db"))) as platform:
        add_bytes(platform, "rules.md", b"# Rules\n\nThe zeppelin waits.\n", Handed(owner="maria"))
        platform.knowledge.warm()
        wait()
        assert platform.knowledge.size_bytes > 0
        assert [hit.text for hit in platform.knowledge.search("zeppelin", NOW)] == ["The zeppelin waits."]
        assert platform.knowledge.refresh() == 1


def test_a_house_that_closes_while_it_warms_raises_nothing(tmp_path: Path) -> None:
    with Platform.open(Settings(store=str(tmp_path / "store.db"))) as platform:
        platform.knowledge.warm()
    wait()
