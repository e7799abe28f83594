"""The right passage is among the first three for most questions that people ask of handbooks and flowcharts."""

from __future__ import annotations

import runpy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "knowledge.py"
LEAST = 0.85


@pytest.fixture(scope="module")
def bench() -> dict[str, Any]:
    """What `bench/knowledge.py` defines."""
    return runpy.run_path(str(BENCH))


def test_the_questions_are_a_hundred_and_half_of_them_were_held_out(bench: dict[str, Any]) -> None:
    asked = bench["questions"]()
    assert Counter(one.half for one in asked) == {"tuned": 50, "held out": 50}
    assert Counter(one.document == "handbook" for one in asked) == {True: 50, False: 50}
    assert len({one.ask for one in asked}) == 100


def test_the_handbook_is_found_in(bench: dict[str, Any]) -> None:
    found = bench["right_passages"](with_charts=False)
    assert (found["all"]["n"], found["asked later"]["n"]) == (50, 30)
    assert found["all"]["right"] >= LEAST
    assert found["asked later"]["right"] >= LEAST


def test_handbook_and_flowcharts_are_found_in_together(bench: dict[str, Any], recorded: Callable[[str], Path]) -> None:
    recorded("star.workflows.json")
    found = bench["right_passages"](with_charts=True)
    assert found["all"]["n"] == 100
    assert found["all"]["right"] >= LEAST
