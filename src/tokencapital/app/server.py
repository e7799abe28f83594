"""The served house: the gateway and each room's routes in one ASGI app."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from tokencapital.app.judging import judge
from tokencapital.app.platform import Platform
from tokencapital.core.case import Capability
from tokencapital.core.clock import Clock
from tokencapital.core.errors import TokenCapitalError
from tokencapital.core.ids import IdSource
from tokencapital.core.judgment import Verdict
from tokencapital.evaluate.sealed import judgments_of_sealed
from tokencapital.record.routes import OutcomeRoutes
from tokencapital.review.routes import JudgmentRoutes
from tokencapital.serve.engine import Engine
from tokencapital.serve.gateway import Gateway, Settled, refuse
from tokencapital.store.cases import read_trajectory
from tokencapital.store.judgments import read_judgments

ANSWERING = frozenset({Verdict.RIGHT, Verdict.CORRECTED})


class PlatformDesks:
    """The house as the gateway sees it."""

    def __init__(self, platform: Platform) -> None:
        self.clock: Clock = platform.clock
        self.ids: IdSource = platform.ids
        self._platform = platform

    def engine(self, capability: str) -> Engine:
        """The engine of a capability. Raises UnknownCapability."""
        return self._platform.workplace(capability).engine

    def capabilities(self) -> Sequence[Capability]:
        """All capabilities."""
        return self._platform.capabilities()

    def settled(self, trajectory: str) -> Settled | None:
        """How a trajectory stands; None: there is none with this id."""
        done = read_trajectory(self._platform.store, trajectory)
        if done is None:
            return None
        store = self._platform.store
        heard = read_judgments(store, done.case) or judgments_of_sealed(store, done.case)
        said = [one for one in heard if one.verdict in ANSWERING]
        return Settled(done, decided=bool(said), value=said[-1].answer if said else None)


def build_app(platform: Platform) -> Starlette:
    """The ASGI app of an open house."""
    gateway = Gateway(PlatformDesks(platform))
    outcomes = OutcomeRoutes(platform.store, platform.clock, platform.ids)
    judgments = JudgmentRoutes(lambda said: judge(platform, said))
    return Starlette(
        routes=[*gateway.routes(), *outcomes.routes(), *judgments.routes()],
        exception_handlers=dict.fromkeys((TokenCapitalError, HTTPException, Exception), refuse),
    )


def run(app: Starlette, host: str, port: int) -> None:
    """Serves until the process is told to stop."""
    import uvicorn

    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=10)
