"""Spans before they lie on any disk: what may not be kept is taken out of them, and a mark stands in its place."""

from __future__ import annotations

from typing import Any

from tokencapital.record.otlp import Batch
from tokencapital.record.redaction import Redaction

REDACTED = "tcap.redacted"
"""The attribute of a span that says how many marks stand in it."""


class SpanCleaner:
    """Takes out of batches what an installation takes out of calls."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    def __call__(self, body: bytes, batch: Batch) -> bytes:
        """The batch as it may lie on disk: its own bytes where there is nothing to take out."""
        if not self._redaction.suspects(body):
            return body
        count = 0
        for resource in batch.resource_spans:
            count += self._attributes(resource.resource.attributes)
            for scope in resource.scope_spans:
                count += self._attributes(scope.scope.attributes)
                count += sum(self._span(span) for span in scope.spans)
        return bytes(batch.SerializeToString()) if count else body

    def _span(self, span: Any) -> int:
        if not self._redaction.suspects(span.SerializeToString()):
            return 0
        count = self._field(span, "name") + self._attributes(span.attributes) + self._field(span.status, "message")
        for event in span.events:
            count += self._field(event, "name") + self._attributes(event.attributes)
        for link in span.links:
            count += self._attributes(link.attributes)
        if count:
            marked = span.attributes.add()
            marked.key, marked.value.int_value = REDACTED, count
        return count

    def _attributes(self, attributes: Any) -> int:
        count = 0
        for one in attributes:
            count += self._field(one, "key") + self._value(one.value)
        return count

    def _value(self, value: Any) -> int:
        match value.WhichOneof("value"):
            case "string_value":
                return self._field(value, "string_value")
            case "array_value":
                return sum(self._value(one) for one in value.array_value.values)
            case "kvlist_value":
                return self._attributes(value.kvlist_value.values)
            case "int_value" if not self._redaction.secrets_only:
                text, count = self._redaction.text(str(value.int_value))
                if count:
                    value.string_value = text
                return count
        return 0

    def _field(self, holder: Any, name: str) -> int:
        """Swaps the text of a field; returns how many marks stand in it now."""
        text: str = getattr(holder, name)
        if text[:1] in ("{", "[", '"'):
            whole, count = self._redaction.body(text.encode())
            cleaned = whole.decode("utf-8", "replace") if count else text
        else:
            cleaned, count = self._redaction.text(text)
        if count:
            setattr(holder, name, cleaned)
        return count
