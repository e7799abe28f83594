"""How well and how fast company knowledge is found, and what the index takes in memory.

Right passages: `tests/questions/knowledge.jsonl` over the flowcharts beside the checkout and the handbook of the
demo's service desk. One half of the questions was looked at while the search was made, the other was held out;
`knowledge_later.jsonl` was written when the search stood, on parts of the handbook that the others do not ask for.
Speed: a store of made-up documents and judgments, searched one question after the other on one core.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from tokencapital.app.knowing import Handed, add_bytes
from tokencapital.app.platform import Platform
from tokencapital.app.settings import Settings
from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Case, Message
from tokencapital.core.judgment import DrawKind, Judgment, Verdict
from tokencapital.core.knowledge import Hit, Media, Piece
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.core.split import SEALED_SHARE
from tokencapital.simulate.service_desk import handbook
from tokencapital.stats.intervals import wilson
from tokencapital.store.cases import record_exchanges
from tokencapital.store.database import Store
from tokencapital.store.judgments import append_judgments
from tokencapital.store.knowledge import NewDocument, take_document
from tokencapital.store.words import STOP_WORDS
from tokencapital.testing.people import tell_everyone

ROOT = Path(__file__).parents[1]
QUESTIONS = ROOT / "tests" / "questions" / "knowledge.jsonl"
LATER = ROOT / "tests" / "questions" / "knowledge_later.jsonl"
WORKFLOWS = ROOT / "../shared/data/star.workflows.json"
FIRST = 3
LEVEL = 0.95
START = datetime(2026, 1, 5, tzinfo=UTC)
CASES_AT_ONCE = 1_000
PASSAGES_IN_DOCUMENT = 200
VOCABULARY, ZIPF = 60_000, 0.35
WARM_UP = 20


class Question(Struct, frozen=True):
    """A question, where its answer stands, and whether it was looked at while the search was made."""

    ask: str
    document: str
    headings: list[str]
    half: str


def questions(file: Path = QUESTIONS) -> list[Question]:
    """The questions, in the order of their file."""
    return [msgspec.json.decode(line, type=Question) for line in file.read_bytes().splitlines()]


def is_right(question: Question, hit: Hit) -> bool:
    """Whether a hit is the passage that answers the question."""
    heading = hit.source.heading
    there = any(heading == one or heading.endswith(f"› {one}") for one in question.headings)
    return there and _name(question.document) in hit.source.title.lower()


def right_passages(*, with_charts: bool) -> dict[str, Any]:
    """The share of questions whose passage is among the first three, by half and by what they are about."""
    asked = [one for one in questions() if with_charts or one.document == "handbook"]
    with tempfile.TemporaryDirectory() as folder, Platform.open(Settings(store=f"{folder}/store.sqlite")) as platform:
        add_bytes(platform, "handbook.md", handbook(), Handed(owner="head of the service desk"))
        if with_charts:
            add_bytes(platform, "star.workflows.json", WORKFLOWS.read_bytes(), Handed(owner="operations"))
        now = platform.clock.now()
        found, later = (
            [any(is_right(q, hit) for hit in platform.knowledge.search(q.ask, now, most=FIRST)) for q in some]
            for some in (asked, questions(LATER))
        )
    parts = {
        "all": [True] * len(asked),
        "looked at": [one.half == "tuned" for one in asked],
        "held out": [one.half != "tuned" for one in asked],
        "handbook": [one.document == "handbook" for one in asked],
        "flowcharts": [one.document != "handbook" for one in asked],
    }
    of = {name: [right for right, counts in zip(found, which, strict=True) if counts] for name, which in parts.items()}
    return {name: _share(right) for name, right in {**of, "asked later": later}.items() if right}


def speed(size: int, searches: int) -> dict[str, Any]:
    """Times of searches over `size` made-up passages and judgments, half of each, and what the index takes.

    More judgments are stored, because those of sealed groups are never searched.
    """
    rng = random.Random(0)
    words = _vocabulary(rng)
    with tempfile.TemporaryDirectory() as folder, Platform.open(Settings(store=f"{folder}/store.sqlite")) as platform:
        tell_everyone(platform.store)
        _add_passages(platform.store, size // 2, rng, words)
        _add_judgments(platform.store, round((size - size // 2) / (1 - SEALED_SHARE)), rng, words)
        before, started = _resident_mb(), process_time()
        rows = platform.knowledge.refresh()
        loaded_s, grown_mb = process_time() - started, _resident_mb() - before
        now = platform.clock.now()
        texts = [_text(rng, words, rng.randint(4, 12)) for _ in range(WARM_UP + searches)]
        times = [_timed(platform, text, now) for text in texts][WARM_UP:]
        after = _timed_after_change(platform, now)
        return {
            "rows": rows,
            "searches": searches,
            "wall_ms": _quantiles([wall for wall, _ in times]),
            "processor_ms": _quantiles([spent for _, spent in times]),
            "first_search_after_a_new_judgment_ms": {"wall": 1000 * after[0], "processor": 1000 * after[1]},
            "load_processor_s": loaded_s,
            "index_mb": platform.knowledge.size_bytes / 1e6,
            "process_grew_mb": grown_mb,
        }


def _share(right: Sequence[bool]) -> dict[str, Any]:
    interval = wilson(sum(right), len(right), LEVEL)
    assert interval is not None
    return {"right": sum(right) / len(right), "n": len(right), "interval": [interval.low, interval.high]}


def _name(document: str) -> str:
    return document.replace("_", " ").lower()


def _vocabulary(rng: random.Random) -> list[str]:
    """Words by how often they are met, by Zipf's law: those with others for the same thing first, then made-up ones.

    So a search pays for synonyms and function words as it does among a company's own texts.
    """
    real = files("tokencapital.store").joinpath("synonyms.txt").read_text("utf-8").split()
    usual = sorted({*STOP_WORDS, *real})
    rng.shuffle(usual)
    syllables = [one + two for one in "bcdfghklmnprstvw" for two in ("a", "e", "i", "o", "u", "an", "er", "il")]
    made = ("".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(VOCABULARY - len(usual)))
    return [*usual, *made]


def _text(rng: random.Random, words: Sequence[str], length: int) -> str:
    places = (min(int(rng.paretovariate(ZIPF)) * 3 - 3 + rng.randrange(3), len(words) - 1) for _ in range(length))
    return " ".join(words[place] for place in places)


def _add_passages(store: Store, count: int, rng: random.Random, words: Sequence[str]) -> None:
    for number, start in enumerate(range(0, count, PASSAGES_IN_DOCUMENT)):
        pieces = [
            Piece((_text(rng, words, 3),), _text(rng, words, rng.randint(80, 160)))
            for _ in range(min(PASSAGES_IN_DOCUMENT, count - start))
        ]
        title = _text(rng, words, 3)
        new = NewDocument(
            source=f"made-{number}.md",
            title=title,
            media=Media.TEXT,
            owner="bench",
            pieces=pieces,
            at=START,
            by="bench",
        )
        with store.begin() as connection:
            take_document(store, connection, new)
        print(f"{start + len(pieces)} of {count} passages", end="\r", file=sys.stderr)


def _add_judgments(store: Store, count: int, rng: random.Random, words: Sequence[str]) -> None:
    for start in range(0, count, CASES_AT_ONCE):
        numbers = range(start, min(start + CASES_AT_ONCE, count))
        cases = [_case(number, _text(rng, words, rng.randint(10, 60))) for number in numbers]
        record_exchanges(store, [Exchange(case, _unanswered(case)) for case in cases])
        append_judgments(store, [_judgment(case, rng.choice(words[:80])) for case in cases])
        print(f"{start + len(cases)} of {count} judgments", end="\r", file=sys.stderr)


def _case(number: int, text: str) -> Case:
    name = f"case-{number:06}"
    at = START + timedelta(seconds=number)
    return Case(id=name, capability="made", group=name, at=at, messages=(Message("user", text),), key=name)


def _unanswered(case: Case) -> Trajectory:
    return Trajectory(
        id=f"trj-{case.id}", case=case.id, capability=case.capability, at=case.at,
        answer=Answer(value=None, stage=Stage.PERSON), policy="0" * 16, memory=0, seed=0, propensity=1.0,
        elapsed_s=0.0, energy=UNKNOWN_ENERGY,
    )  # fmt: skip


def _judgment(case: Case, answer: str) -> Judgment:
    return Judgment(
        id=f"jdg-{case.id}", case=case.id, capability=case.capability, expert="ines", at=case.at,
        verdict=Verdict.CORRECTED, answer=answer, drawn=DrawKind.UNIFORM, probability=0.1, valid_from=case.at,
    )  # fmt: skip


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    return {name: 1000 * float(np.quantile(seconds, at)) for name, at in (("p50", 0.5), ("p95", 0.95), ("most", 1.0))}


def _timed(platform: Platform, text: str, now: datetime) -> tuple[float, float]:
    """Seconds by the clock on the wall, and of this process's processor, which other processes do not lengthen."""
    started, spent = perf_counter(), process_time()
    platform.knowledge.search(text, now)
    return perf_counter() - started, process_time() - spent


def _timed_after_change(platform: Platform, now: datetime) -> tuple[float, float]:
    """The first search after one more judgment, which it must know."""
    case = _case(10**6, "a word that nobody ever said: quixotry")
    record_exchanges(platform.store, [Exchange(case, _unanswered(case))])
    append_judgments(platform.store, [_judgment(case, "new")])
    return _timed(platform, "quixotry", now)


def _resident_mb() -> float:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    """Both measures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=100_000, help="passages and judgments to search")
    parser.add_argument("--searches", type=int, default=500)
    parser.add_argument("--json", metavar="PATH", help="`-` is standard output")
    asked = parser.parse_args()
    there = WORKFLOWS.resolve().is_file()
    result = {"right_in_first_three": right_passages(with_charts=there), "speed": speed(asked.size, asked.searches)}
    text = json.dumps(result, indent=2)
    print(text, file=sys.stdout if asked.json == "-" else sys.stderr)
    if asked.json and asked.json != "-":
        Path(asked.json).write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
