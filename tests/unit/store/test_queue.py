"""Whatever is drawn, judged, handed on and taken back, in whatever order, the queue is what the facts say."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from tokencapital.core.answer import Answer, Exchange, Stage, Trajectory
from tokencapital.core.case import Case, Message
from tokencapital.core.judgment import Draw, DrawKind, Judgment, Verdict
from tokencapital.core.quantity import UNKNOWN_ENERGY
from tokencapital.store.cases import record_exchanges
from tokencapital.store.database import Store
from tokencapital.store.draws import append_draws
from tokencapital.store.judgments import append_judgments, withdraw
from tokencapital.store.queue import count_open, open_draws, recount

NOW = datetime(2026, 3, 2, tzinfo=UTC)
CASES, NAME = 3, "triage"
WAYS = (DrawKind.UNIFORM, DrawKind.VOLUNTEERED)


class Queue(RuleBasedStateMachine):
    """Draws, judgments, passes and withdrawals of a few cases."""

    given = Bundle("given")

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self._store = Store.open(str(shutil.copy(_model(), Path(self._folder.name) / "store.db")))
        self._count = 0

    @initialize()
    def record(self) -> None:
        record_exchanges(self._store, [_exchange(number) for number in range(CASES)])

    @rule(case=some.integers(0, CASES - 1), twice=some.booleans())
    def draw(self, case: int, twice: bool) -> None:
        append_draws(self._store, [self._draw(case) for _ in range(1 + twice)])

    @rule(target=given, case=some.integers(0, CASES - 1), way=some.sampled_from(WAYS))
    def judge(self, case: int, way: DrawKind) -> str:
        return self._judge(case, way, Verdict.CORRECTED)

    @rule(target=given, case=some.integers(0, CASES - 1))
    def hand_on(self, case: int) -> str:
        said = self._judge(case, DrawKind.UNIFORM, Verdict.NOT_MY_FIELD)
        append_draws(self._store, [self._draw(case, said)])
        return said

    @rule(target=given, said=given)
    def take_back(self, said: str):  # type: ignore[no-untyped-def]
        withdraw(self._store, said, by="ines", at=NOW)
        return multiple()

    @invariant()
    def the_queue_is_what_the_facts_say(self) -> None:
        assert open_draws(self._store, NAME) == recount(self._store, NAME)
        assert count_open(self._store, NAME) == len(recount(self._store, NAME))

    def teardown(self) -> None:
        self._store.close()
        self._folder.cleanup()

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _draw(self, case: int, passed_by: str | None = None) -> Draw:
        return Draw(
            id=f"draw-{self._next()}", case=f"case-{case}", capability=NAME, kind=DrawKind.UNIFORM,
            probability=0.5, at=NOW, passed_by=passed_by,
        )  # fmt: skip

    def _judge(self, case: int, way: DrawKind, verdict: Verdict) -> str:
        said = Judgment(
            id=f"said-{self._next()}", case=f"case-{case}", capability=NAME, expert="ines", at=NOW, verdict=verdict,
            answer="refund" if verdict.answers else None, drawn=way, probability=0.5, valid_from=NOW,
        )  # fmt: skip
        return append_judgments(self._store, [said])[0].id


_MODEL = TemporaryDirectory()


def _model() -> Path:
    """The file of an empty store, made once."""
    path = Path(_MODEL.name) / "model.db"
    if not path.exists():
        Store.open(str(path)).close()
    return path


def _exchange(number: int) -> Exchange:
    case = Case(
        id=f"case-{number}", capability=NAME, group=f"g{number}", at=NOW, messages=(Message("user", f"ask {number}"),)
    )
    done = Trajectory(
        id=f"run-{number}", case=case.id, capability=NAME, at=NOW, answer=Answer(value=None, stage=Stage.PERSON),
        policy="0" * 16, memory=0, seed=0, propensity=1.0, elapsed_s=0.0, energy=UNKNOWN_ENERGY,
    )  # fmt: skip
    return Exchange(case, done)


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
