"""Settings: one frozen object, read once from `tokencapital.toml`, handed down."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct, field

from tokencapital.app.access_settings import LimitSettings, Payloads, RecordSettings, RedactionSettings, named_apart
from tokencapital.app.hardening import RequestSettings
from tokencapital.app.logs import LogSettings
from tokencapital.core.case import Capability, Contract, ContractKind, Goal, Json, Mode
from tokencapital.core.errors import SettingsError
from tokencapital.meter.assumptions import Assumptions
from tokencapital.meter.prices import Price
from tokencapital.record.spool import SpoolSettings
from tokencapital.serve.provider_settings import ProviderSettings, RelaySettings
from tokencapital.serve.rules import Rule

DEFAULT_FILE = Path("tokencapital.toml")
MOST_PASSAGES = 20
"""So many passages a generalist is shown at most; more would leave no room for the case."""
DEFAULT_STORE = "tokencapital.sqlite"


class GeneralistKind(StrEnum):
    """Which generalist is asked."""

    NONE = "none"
    EMBEDDED = "embedded"
    HTTP = "http"


class GeneralistSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The generalist. `url` and `model` belong to `http`; its key is read from the variable `key_env`.

    `provider` is how `egress` calls it; without it the embedded one is `local`, one behind a URL is called by its host.
    """

    kind: GeneralistKind = GeneralistKind.NONE
    url: str | None = None
    model: str = "default"
    key_env: str | None = None
    timeout_s: float = 60.0
    concurrency: int = 8
    provider: str | None = None

    def __post_init__(self) -> None:
        if self.kind is GeneralistKind.HTTP and not self.url:
            raise ValueError("a generalist of kind `http` needs a `url`, as in http://127.0.0.1:11434/v1")

    @property
    def key(self) -> str | None:
        """The endpoint's key; None: none is needed. Raises SettingsError where its variable is empty."""
        if self.key_env is None:
            return None
        key = os.environ.get(self.key_env)
        if not key:
            raise SettingsError(f"the variable {self.key_env} is not set", remedy="Export the endpoint's key in it.")
        return key


class AccessSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who comes in where accounts are set up.

    Applications send a key that `tcap key add` made, or the one that the variable `key_env` holds, which opens what the
    scopes `infer`, `record` and `review` name; without one they are refused. A login lasts `session_hours`, and ends
    when nothing was heard for `idle_minutes`.
    """

    key_env: str | None = None
    session_hours: float = 12.0
    idle_minutes: float = 120.0

    def __post_init__(self) -> None:
        if self.session_hours <= 0 or self.idle_minutes <= 0:
            raise ValueError("`session_hours` and `idle_minutes` are above zero")

    @property
    def key(self) -> str | None:
        """The key of applications; None: there is none. Raises SettingsError where its variable is empty."""
        if self.key_env is None:
            return None
        key = os.environ.get(self.key_env)
        if not key:
            raise SettingsError(f"the variable {self.key_env} is not set", remedy="Export the applications' key in it.")
        return key


class GoalSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people want from a capability; see `Goal`."""

    purpose: str
    owner: str
    metric: str = "right answers"
    tolerance: float = 0.05
    judged_share: float = 0.2
    limit_usd: Decimal | None = None
    limit_minutes: float | None = None
    expires_at: datetime | None = None
    probe_share: float = 0.05
    repeat_share: float = 0.03
    overlap_share: float = 0.05

    def __post_init__(self) -> None:
        for share in (self.judged_share, self.probe_share, self.repeat_share, self.overlap_share):
            if not 0 <= share <= 1:
                raise ValueError("a share of a goal is between 0 and 1")


class SwapSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The swap test that a turn of the loop runs when the newest is `every_days` old; see `tcap swap`.

    `against` names generalists as that command does. `cases` None: all sealed cases of the batch. `key_env` is the
    variable with the key of those behind a URL.
    """

    against: tuple[str, ...]
    every_days: float = 30.0
    cases: int | None = None
    key_env: str | None = None

    def __post_init__(self) -> None:
        if not self.against or self.every_days <= 0:
            raise ValueError("a swap test needs a generalist to be `against`, and `every_days` above zero")


class CapabilitySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One capability. A mode above `observe` needs the name of whoever raised it, in `mode_by`.

    `passages` is how many passages of the company's documents the generalist is shown with each case. With
    `store_only` nothing is answered while the store is away; otherwise answers go on and wait in the spool.
    `egress` names the providers that may see its data, `payloads` what is kept of its words; without them what stands
    above for all holds.
    """

    contract: ContractKind
    labels: tuple[str, ...] = ()
    schema: dict[str, Json] | None = None
    instructions: str = ""
    passages: int = 0
    mode: Mode = Mode.OBSERVE
    mode_by: str = ""
    store_only: bool = False
    egress: tuple[str, ...] | None = None
    payloads: Payloads | None = None
    goal: GoalSettings | None = None
    swap: SwapSettings | None = None

    def __post_init__(self) -> None:
        if self.mode is not Mode.OBSERVE and not self.mode_by:
            raise ValueError(f"mode `{self.mode}` needs `mode_by`: the name of the person who raised it")
        if not 0 <= self.passages <= MOST_PASSAGES:
            raise ValueError(f"`passages` is not between 0 and {MOST_PASSAGES}")

    def capability(self, name: str) -> Capability:
        """The capability under its name."""
        contract = Contract(kind=self.contract, labels=self.labels, schema=self.schema)
        return Capability(
            name=name, contract=contract, mode=self.mode, instructions=self.instructions, passages=self.passages
        )

    def live_goal(self, name: str) -> Goal | None:
        """The goal under the capability's name; None: the loop spends nothing on it."""
        return None if self.goal is None else Goal(capability=name, **msgspec.structs.asdict(self.goal))


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that an installation declares. Every part has a default that works on one machine offline.

    `egress` names the providers that data of capabilities, and of calls that no rule has sorted, may go to; none: any.
    """

    store: str = DEFAULT_STORE
    generalist: GeneralistSettings = GeneralistSettings()
    access: AccessSettings = AccessSettings()
    limits: tuple[LimitSettings, ...] = ()
    egress: tuple[str, ...] | None = None
    record: RecordSettings = RecordSettings()
    redaction: RedactionSettings = RedactionSettings()
    logs: LogSettings = LogSettings()
    requests: RequestSettings = RequestSettings()
    assumptions: Assumptions = Assumptions()
    prices: Mapping[str, Price] = {}
    capabilities: Mapping[str, CapabilitySettings] = field(default_factory=dict)
    spool: SpoolSettings = SpoolSettings()
    rules: tuple[Rule, ...] = ()
    providers: Mapping[str, ProviderSettings] = {}
    relay: RelaySettings = RelaySettings()
    seed: int = 0

    def __post_init__(self) -> None:
        named_apart(self.limits)


def load_settings(path: Path | None = None) -> Settings:
    """The settings in the file; the defaults where `path` is None and there is no `tokencapital.toml` here.

    Raises SettingsError with the place and the reason for a file that is missing, broken or misspelt.
    """
    if path is None and not DEFAULT_FILE.exists():
        return Settings()
    path = path or DEFAULT_FILE
    try:
        declared = tomllib.loads(path.read_text("utf-8"))
        return msgspec.convert(declared, Settings, strict=False)
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except SettingsError as error:
        raise SettingsError(error.what, where=str(path), remedy=error.remedy) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, ValueError) as error:
        raise SettingsError(str(error), where=str(path), remedy="See docs/reference/settings.md.") from error
