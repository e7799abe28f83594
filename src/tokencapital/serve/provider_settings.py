"""What an installation says of the providers to which it passes calls on, and of the gateway in front of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from tokencapital.core.call import Wire

_MIB = 1 << 20


class ProviderSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider to which calls are passed on, under the name that stands in `[providers.NAME]`.

    `kind` is one of those in serve/providers.toml (`openai`, `anthropic`, `azure`, `gemini`, `bedrock`, `mistral`,
    `groq`, `together`, `openrouter`, `vllm`, `sglang`, `ollama`, `llamacpp`, `litellm`, `compatible`); without it the
    name is taken for the kind where it is one. What stands here goes before what is known of the kind. The key is
    read from the variable `key_env` or the file `key_file`; with `key = "caller"` callers send their own, which goes
    on unchanged. `models` has names, patterns (`gpt-*`), and other names for models (`fast = gpt-4o-mini`). Where a
    provider does not answer, those in `fallbacks` are asked in order, each a provider or `provider/model`.
    `concurrency` bounds how many calls are on their way at once; None: no bound. `retries` is how often a call is
    tried again where that is safe. After `failures` in a row nothing is sent there for `pause_s`. `ca_file` has
    the authorities for a provider with a certificate of your own.
    """

    kind: str | None = None
    url: str | None = None
    key: Literal["declared", "caller"] = "declared"
    key_env: str | None = None
    key_file: str | None = None
    models: tuple[str, ...] = ()
    wires: tuple[Wire, ...] = ()
    headers: Mapping[str, str] = {}
    fallbacks: tuple[str, ...] = ()
    concurrency: int | None = None
    retries: int = 2
    connect_s: float = 5.0
    idle_s: float = 120.0
    total_s: float = 900.0
    failures: int = 5
    pause_s: float = 10.0
    ca_file: str | None = None

    def __post_init__(self) -> None:
        if min(self.connect_s, self.idle_s, self.total_s, self.pause_s) <= 0:
            raise ValueError("`connect_s`, `idle_s`, `total_s` and `pause_s` of a provider are above zero")
        if self.retries < 0 or self.failures < 1 or (self.concurrency is not None and self.concurrency < 1):
            raise ValueError("`retries` of a provider is not below 0, `failures` and `concurrency` not below 1")
        if self.key_env and self.key_file:
            raise ValueError("the key of a provider is in `key_env` or in `key_file`, not in both")
        if self.key == "caller" and (self.key_env or self.key_file):
            raise ValueError('with `key = "caller"` a provider has no key of its own')


class RelaySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How calls are passed on. A request's body has at most `max_body_mib`; of each body at most `max_kept_mib` are
    kept, and a call of which less was kept says so (tag `tcap.cut`). `body_idle_s` is how long is waited for the next
    piece of a request.
    """

    max_body_mib: int = 50
    max_kept_mib: int = 8
    body_idle_s: float = 60.0

    def __post_init__(self) -> None:
        if self.max_body_mib < 1 or self.max_kept_mib < 1 or self.body_idle_s <= 0:
            raise ValueError("`max_body_mib` and `max_kept_mib` are at least 1, `body_idle_s` is above zero")

    @property
    def max_body_bytes(self) -> int:
        """A longer request is refused."""
        return self.max_body_mib * _MIB

    @property
    def max_kept_bytes(self) -> int:
        """No more of a body is kept."""
        return self.max_kept_mib * _MIB
