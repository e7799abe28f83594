"""Which kind of work a trace is, by the rules that sort calls: as if its first call had come through the gateway.

The resource's attributes are tags, so that `tags = { "service.name" = "desk" }` names a service. Rules that go by
meaning are for calls alone: they need an embedder, which the drain has not.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tokencapital.core.access import Caller
from tokencapital.core.call import Wire
from tokencapital.record.spans_deeds import Service
from tokencapital.serve.relay_ports import Asked
from tokencapital.serve.rules import Rule
from tokencapital.serve.rules_sorting import TAG_HEADER, Rules

_PATH = "/v1/chat/completions"


class RuleSorter:
    """Finds the capability that a rule names for a trace."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = Rules([rule for rule in rules if rule.meaning is None])

    def __call__(self, service: Service) -> str | None:
        """The capability; None: no rule fits."""
        if not self._rules.rules:
            return None
        tags = {name: str(value) for name, value in service.resource.items() if isinstance(value, str | int | float)}
        rule, _ = self._rules.find(
            Asked(
                wire=Wire.CHAT,
                path=_PATH,
                model=service.model or "",
                streamed=False,
                headers={f"{TAG_HEADER}{name}": value for name, value in tags.items()},
                body=msgspec.json.encode({"model": service.model, "messages": service.messages}),
                caller=Caller(application=service.application),
            )
        )
        return rule.capability if rule is not None else None
