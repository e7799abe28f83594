"""A store on disk, the embedded embedder, and short ways to put facts into the store."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Capability, Case, Contract, Message, Mode, Value
from tokencapital.core.clock import RecordedClock, SystemClock
from tokencapital.core.ids import IdSource
from tokencapital.core.judgment import DrawKind, JudgedCase, Judgment, Verdict
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.core.split import Split, assign_split
from tokencapital.meter.energy import LocalEstimate
from tokencapital.meter.meter import Meter
from tokencapital.meter.prices import PriceBook
from tokencapital.models.base import ModelClient
from tokencapital.models.specialist import Prediction
from tokencapital.models.tokens import case_text
from tokencapital.models.wordllama import WordLlamaEmbedder
from tokencapital.record.recorder import Recorder
from tokencapital.serve.engine import Engine, Parts
from tokencapital.serve.ports import FixedRelease, Live
from tokencapital.store.cases import read_case, record_exchanges
from tokencapital.store.database import Store
from tokencapital.store.judgments import append_judgments
from tokencapital.store.memory import Memory, Vectors
from tokencapital.testing.people import tell_everyone

KEY = b"k" * 32
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
CAPABILITY = "triage"
_NAMES = [f"customer-{number}" for number in range(3_000)]


class Keywords:
    """A specialist whose every prediction is known: by the first word of a case; else unsure of `other`."""

    digest = "d" * 64
    recipe = "keywords/1"

    def __init__(self, predictions: Mapping[str, Prediction]) -> None:
        self.predictions = predictions

    def predict(self, cases: Sequence[Case], vectors: Vectors) -> list[Prediction]:
        return [
            self.predictions.get(case.messages[-1].content.split()[0], Prediction("other", 0.0, (("other", 0.0),)))
            for case in cases
        ]

    def to_bytes(self) -> bytes:
        return b""


class Desk:
    """One capability's facts: cases come in, people judge them, a memory reads along."""

    capability = CAPABILITY
    start = START
    now = NOW
    key = KEY
    keywords = Keywords

    def __init__(self, store: Store, embedder: WordLlamaEmbedder) -> None:
        self.store = store
        self.embedder = embedder
        self.train = [name for name in _NAMES if assign_split(name, KEY) is Split.TRAIN]
        self.sealed = [name for name in _NAMES if assign_split(name, KEY) is Split.SEALED]
        self._count = itertools.count(1)

    def case(self, text: str, group: str | None = None, **more: Any) -> Case:
        """A case that is not recorded; its group is of `train` and its own unless one is named."""
        number = next(self._count)
        group = self.train[number] if group is None else group
        at = START + timedelta(minutes=number)
        name = f"case-{number:05}"
        return Case(
            id=name, capability=CAPABILITY, group=group, at=at, messages=(Message("user", text),), key=name, **more
        )

    def record(self, *cases: Case) -> None:
        """The cases were answered by nobody, and are stored."""
        record_exchanges(self.store, [Exchange(case, _unanswered(case)) for case in cases])

    def judge(self, case: Case, answer: Value, **more: Any) -> Judgment:
        """A judgment of a recorded case is stored; drawn uniformly and open-ended unless said otherwise."""
        number = next(self._count)
        at = more.pop("at", START)
        said = Judgment(
            id=f"jdg-{number:05}",
            case=case.id,
            capability=CAPABILITY,
            expert=more.pop("expert", "ines"),
            at=at,
            verdict=more.pop("verdict", Verdict.CORRECTED),
            answer=answer,
            drawn=more.pop("drawn", DrawKind.UNIFORM),
            probability=0.1,
            valid_from=more.pop("valid_from", at),
            **more,
        )
        return append_judgments(self.store, [said])[0]

    def judged(self, case: Case, answer: Value, verdict: Verdict = Verdict.CORRECTED) -> JudgedCase:
        """A judged case that is stored nowhere."""
        said = Judgment(
            id=f"jdg-{next(self._count):05}", case=case.id, capability=CAPABILITY, expert="ines", at=START,
            verdict=verdict, answer=answer, drawn=DrawKind.UNIFORM, probability=0.1, valid_from=START,
        )  # fmt: skip
        return JudgedCase(case, said)

    def case_of(self, said: Judgment) -> Case:
        """The stored case that a judgment is of."""
        found = read_case(self.store, said.case)
        assert found is not None
        return found

    def told(self, text: str, answer: Value, group: str | None = None, **more: Any) -> Judgment:
        """A case came in and was judged."""
        case = self.case(text, group)
        self.record(case)
        return self.judge(case, answer, **more)

    def encode(self, cases: list[Case]) -> Vectors:
        """The cases' vectors, as an engine makes them."""
        return self.embedder.embed([case_text(case) for case in cases])

    def parts(self, live: Live, generalist: ModelClient | None = None, **more: Any) -> Parts:
        """What an engine of the house is made of, under a fixed policy and with the clock at NOW."""
        return Parts(
            store=self.store,
            releases=FixedRelease(live),
            sink=Recorder(self.store),
            embedder=self.embedder,
            meter=Meter(PriceBook(machine_usd_per_hour=Decimal("0.36")), LocalEstimate(10.0, 1.0)),
            clock=RecordedClock(NOW),
            ids=IdSource(SystemClock()),
            generalist=generalist,
            **more,
        )

    def engine(
        self, live: Live, generalist: ModelClient | None = None, mode: Mode = Mode.ANSWER, **more: Any
    ) -> Engine:
        """An engine of the capability under a fixed policy."""
        return Engine(self.wanted(live.policy.contract, mode), self.parts(live, generalist, **more))

    def wanted(self, contract: Contract, mode: Mode = Mode.ANSWER) -> Capability:
        """The capability with this contract."""
        return Capability(name=CAPABILITY, contract=contract, mode=mode)

    def memory_vectors(self) -> Vectors:
        """The vectors of all that a memory holds now."""
        memory = self.memory()
        memory.refresh()
        return memory.vectors(range(len(memory)))

    def memory(self) -> Memory:
        """A memory of the capability that has read nothing yet."""
        return Memory(self.store, CAPABILITY, self.encode)


def _unanswered(case: Case) -> Trajectory:
    return Trajectory(
        id=f"trj-{case.id}",
        case=case.id,
        capability=case.capability,
        at=case.at,
        answer=Answer(value=None, stage=Stage.PERSON),
        policy="0" * 16,
        memory=0,
        seed=0,
        propensity=1.0,
        elapsed_s=0.0,
        energy=UNKNOWN_ENERGY,
    )


@pytest.fixture(scope="session")
def embedder() -> WordLlamaEmbedder:
    """The embedded embedder, loaded once."""
    return WordLlamaEmbedder()


@pytest.fixture(scope="session")
def empty_store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty store with a known key, to be copied."""
    path = tmp_path_factory.mktemp("model") / "store.db"
    _make(str(path))
    return path


@pytest.fixture
def store(empty_store_file: Path, tmp_path: Path) -> Iterator[Store]:
    """An empty store on disk whose key is KEY."""
    opened = Store.open(str(shutil.copy(empty_store_file, tmp_path / "store.db")))
    yield opened
    opened.close()


@pytest.fixture
def desk(store: Store, embedder: WordLlamaEmbedder) -> Desk:
    """Short ways to put facts into the store."""
    return Desk(store, embedder)


def _make(url: str) -> None:
    """An empty store in which everybody had notice, so that what they say may teach."""
    made = Store.open(url, key=KEY)
    tell_everyone(made)
    made.close()
