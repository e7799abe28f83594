"""Twenty people at once: no case is judged twice by mistake, and no judgment that was acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tokencapital.app.server import build_app
from tokencapital.simulate.service_desk import TRIAGE
from tokencapital.store.queue import count_open
from tokencapital.testing.crowd import Crowd, check_store, fill_queue, judge_at_once, many_cases
from tokencapital.testing.houses import open_small_house, play_small_house
from tokencapital.testing.servers import served
from tokencapital.web.site import Site

CASES = 400


def test_twenty_people_judge_at_once(tmp_path: Path) -> None:
    store = str(tmp_path / "store.db")
    played = play_small_house(store, 0.3)
    texts = [case.messages[-1].content for case in played.unserved(TRIAGE)]
    with open_small_house(store, 1.0) as house:
        fill_queue(house, TRIAGE, many_cases(house, TRIAGE, texts, CASES))
    with open_small_house(store, 0.0) as house:
        with served(build_app(house, Site(house))) as address:
            heard = judge_at_once(Crowd(address=address, capability=TRIAGE, seconds=4.0))
        found = check_store(house.store, TRIAGE, heard)
        assert heard.faults == []
        assert found.faultless, found
        assert found.standing == sum(not one.undone for one in heard.acknowledged) > 20
        assert count_open(house.store, TRIAGE) > 0
        assert {one.person for one in heard.acknowledged} == {f"person-{number:02}" for number in range(20)}
        print(f"\n{found.standing} judgments, server p95 {np.percentile(heard.server_ms, 95):.1f} ms")
