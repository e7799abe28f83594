"""One object of a log of a chat API: what was asked, and what came back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from tokencapital.core.case import Json
from tokencapital.record.imports.lines import moment, text

_MOMENTS = ("at", "timestamp", "created", "created_at", "time", "start_time", "startTime")


class Logged(Struct, frozen=True):
    """A `request`, and the `response` to it in whatever shape; None: there is none."""

    request: Mapping[str, Any]
    response: Json
    told: Mapping[str, Json]

    @property
    def reply(self) -> Mapping[str, Any]:
        """The response, where it is an object; empty: it is none."""
        return self.response if isinstance(self.response, Mapping) else {}

    @property
    def model(self) -> str | None:
        """The model that answered, or else the one that was asked."""
        return text(self.reply.get("model")) or text(self.request.get("model"))

    @property
    def at(self) -> datetime | None:
        """When it was; None: it does not say."""
        told = (one.get(name) for name in _MOMENTS for one in (self.told, self.reply))
        return next((found for one in told if (found := moment(one)) is not None), None)


def logged_in(told: Mapping[str, Json]) -> Logged:
    """The object's parts: `request` and `response`, batches with a `body`, or both in one object."""
    request = next((told[name] for name in ("request", "body") if isinstance(told.get(name), Mapping)), told)
    response = next((told[name] for name in ("response", "completion", "output") if told.get(name) is not None), None)
    if isinstance(response, Mapping) and isinstance(response.get("body"), Mapping):
        response = response["body"]
    if response is None and "choices" in told:
        response = told
    return Logged(request, response, told)
