"""One replay from a file to a report: its store, its house, its resumption."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import msgspec
from msgspec import Struct

from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.replay import Budget, Player, Progress
from tokencapital.app.replay_report import ReplayReport, report_on
from tokencapital.app.script import RecordedScript
from tokencapital.app.settings import GeneralistKind, GeneralistSettings, Settings
from tokencapital.core.case import Capability, Contract, ContractKind, Goal, Message, Mode
from tokencapital.core.clock import RecordedClock
from tokencapital.core.errors import InputError
from tokencapital.models.base import ModelRequest
from tokencapital.record.importers import STREAM, RecordedCase, Recording, contract_kind, read_recording
from tokencapital.store.cases import recent_trajectories
from tokencapital.store.turns import turns

BY = "replay"


class ReplayOptions(Struct, frozen=True, kw_only=True):
    """What `tcap replay` was asked for.

    `judgments` None: one for every case. `generalist` is `none`, `embedded` or the URL of an
    OpenAI-compatible endpoint. `capability` None: the file has only one. `contract` None: it is read off
    the answers. `store` None: a store of its own, found again by file, options and code.
    """

    file: Path
    judgments: int | None = None
    active: bool = True
    generalist: str = "none"
    model: str = "default"
    capability: str | None = None
    contract: ContractKind | None = None
    seed: int = 0
    tolerance: float = 0.05
    store: str | None = None


class Finished(Struct, frozen=True):
    """A replay that is through: its report, its store, and the lines that could not be read."""

    report: ReplayReport
    store: str
    problems: Sequence[str]


def run_replay(options: ReplayOptions, progress: Progress = lambda done, total: None) -> Finished:
    """The recording was played to its end and scored.

    Cut off, it goes on where it stood when called again with the same options; finished, it starts clean.
    Raises InputError for a file that cannot be used, ModelError for a generalist that gives nothing.
    """
    recording = _chosen(read_recording(options.file), options.capability)
    kind = options.contract or contract_kind([one.answer for one in recording.cases if one.split == STREAM])
    recording = recording.fitting(kind)
    place_of_store = options.store or str(_own_store(options))
    finished = Path(f"{place_of_store}.finished")
    if options.store is None and finished.exists():
        _discard(Path(place_of_store), finished)
    report = _play(options, kind, recording, place_of_store, progress)
    if options.store is None:
        finished.touch()
    return Finished(report, place_of_store, [str(problem) for problem in recording.problems])


def _play(
    options: ReplayOptions, kind: ContractKind, recording: Recording, store: str, progress: Progress
) -> ReplayReport:
    started = perf_counter()
    stream = sorted((one for one in recording.cases if one.split == STREAM), key=lambda one: one.at)
    test = [one for one in recording.cases if one.split != STREAM]
    if not stream:
        raise InputError("no case has the split `stream`", where=str(options.file))
    clock = RecordedClock(stream[0].at)
    settings = Settings(store=store, generalist=_generalist(options), seed=options.seed)
    with Platform.open(settings, clock=clock, key=_key(options.seed)) as platform:
        capability = Capability(name=stream[0].capability, contract=Contract(kind=kind), mode=Mode.ANSWER)
        place = _declare(platform, capability, options.tolerance)
        _refuse_other_work(place, stream, store)
        player = Player(place, clock, RecordedScript(stream), Budget(options.judgments or len(stream), options.active))
        return asyncio.run(_played(player, place, stream, test, progress, started))


def _refuse_other_work(place: Workplace, stream: Sequence[RecordedCase], store: str) -> None:
    known = {one.id for one in stream}
    if any(done.case not in known for done in recent_trajectories(place.store, place.name, 1)):
        raise InputError(
            f"this store holds other work of `{place.name}`", where=store, remedy="Give another --store, or none."
        )


async def _played(
    player: Player,
    place: Workplace,
    stream: Sequence[RecordedCase],
    test: Sequence[RecordedCase],
    progress: Progress,
    started: float,
) -> ReplayReport:
    earlier = _earlier_seconds(place)
    await _try_generalist(place)
    await player.play(progress)
    report = await report_on(place, stream, test)
    timing = {
        "wall": perf_counter() - started + earlier["serve"] + earlier["learn"],
        "serve": player.timing.serve_s + earlier["serve"],
        "learn": player.timing.learn_s + earlier["learn"],
    }
    return msgspec.structs.replace(report, timing=timing)


async def _try_generalist(place: Workplace) -> None:
    """Raises ModelError where a generalist over HTTP gives nothing usable, before thousands of cases find out."""
    if place.provider is not None and place.parts.generalist is not None:
        await place.parts.generalist.complete(ModelRequest(messages=(Message("user", "Say: ready"),), max_tokens=8))


def _earlier_seconds(place: Workplace) -> dict[str, float]:
    """What was spent in processes before this one, up to the last turn that they finished."""
    facts = [turn.facts for turn in turns(place.store, place.name)]
    return {name: sum(fact[f"{name}_s"] for fact in facts) for name in ("serve", "learn")}


def _declare(platform: Platform, capability: Capability, tolerance: float) -> Workplace:
    goal = Goal(
        capability=capability.name,
        purpose="Play recorded work.",
        owner=BY,
        metric="the answer that was recorded",
        tolerance=tolerance,
    )
    platform.declare(capability, goal, BY)
    return platform.workplace(capability.name)


def _chosen(recording: Recording, capability: str | None) -> Recording:
    if capability is not None:
        return recording.of(capability)
    if len(recording.capabilities) > 1:
        raise InputError(
            f"the file has {len(recording.capabilities)} capabilities",
            remedy=f"Choose one with --capability: {', '.join(recording.capabilities)}.",
        )
    return recording


def _generalist(options: ReplayOptions) -> GeneralistSettings:
    if options.generalist in ("none", "embedded"):
        kind = GeneralistKind(options.generalist)
        return GeneralistSettings(kind=kind, concurrency=1)
    if not options.generalist.startswith(("http://", "https://")):
        raise InputError(
            f"`{options.generalist}` is no generalist",
            remedy="Give `none`, `embedded` or a URL such as http://127.0.0.1:11434/v1.",
        )
    return GeneralistSettings(kind=GeneralistKind.HTTP, url=options.generalist, model=options.model)


def _key(seed: int) -> bytes:
    return hashlib.blake2b(f"replay {seed}".encode(), digest_size=32).digest()


def _own_store(options: ReplayOptions) -> Path:
    from platformdirs import user_cache_dir

    digest = hashlib.sha256(options.file.read_bytes())
    digest.update(repr(msgspec.structs.replace(options, file=Path())).encode())
    package = Path(__file__).parents[1]
    for source in sorted(package.rglob("*.py")):
        digest.update(source.read_bytes())
    folder = Path(user_cache_dir("tokencapital")) / "replays"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{options.file.name.split('.')[0]}-{digest.hexdigest()[:16]}.sqlite"


def _discard(store: Path, finished: Path) -> None:
    for path in (*store.parent.glob(f"{store.name}*"), finished):
        path.unlink(missing_ok=True)
