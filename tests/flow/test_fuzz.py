"""A short, repeatable part of `bench/fuzz.py`: a real house is never wrong, slow or indiscreet, whatever it is sent."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tokencapital.testing.fuzz_client import FuzzClient, as_figures, leaks_in
from tokencapital.testing.fuzz_house import ANSWER, SECRETS, FuzzHouse
from tokencapital.testing.fuzz_requests import fuzzed
from tokencapital.testing.upstream import ScriptedUpstream

REQUESTS, MOST_MIB, SLOW = 600, 8, 10
SEED = 4


def test_what_nobody_should_send_is_answered_or_closed_and_tells_no_secret(tmp_path: Path) -> None:
    with ScriptedUpstream(ANSWER, keeps=False) as upstream, FuzzHouse(tmp_path, upstream.url) as house:
        client = FuzzClient(house.port, SECRETS, patience_s=20.0)
        asyncio.run(client.send_beside_slow(fuzzed(SEED, REQUESTS, MOST_MIB), SLOW))
        figures = as_figures(client.verdict)
        assert client.verdict.failures == 0, figures["examples"]
        assert client.verdict.sent == REQUESTS
        assert {"200", "400", "404", "405"} <= set(client.verdict.statuses), "the house was really asked"
        assert house.metric("tcap_faults_total") == 0, house.faults()
        assert house.well()
        log = house.log()
    assert leaks_in(log, SECRETS) == []
    lines = [json.loads(line) for line in log.splitlines() if line.startswith(b"{")]
    assert len(lines) > REQUESTS / 2


def test_the_same_seed_sends_the_same() -> None:
    assert list(fuzzed(1, 50, 0)) == list(fuzzed(1, 50, 0)) != list(fuzzed(2, 50, 0))
