"""Spans before they lie on any disk: what may not be kept is taken out of them, and a mark stands in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tokencapital.record.otlp import Batch
from tokencapital.record.redaction import Redaction

REDACTED = "tcap.redacted"
"""The attribute of a span that says how many marks stand in it."""
_CAPABILITY = "tcap.capability"
_OUTCOME = "tcap.outcome"
_FACTS = frozenset(
    [
        "service.name",
        "service.version",
        "service.namespace",
        "deployment.environment.name",
        "telemetry.sdk.name",
        "telemetry.sdk.language",
        "telemetry.sdk.version",
        "error.type",
        "exception.type",
        "http.request.method",
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.system",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.response.id",
        "gen_ai.response.finish_reasons",
        "gen_ai.tool.name",
        "gen_ai.tool.call.id",
        "gen_ai.agent.name",
        "gen_ai.conversation.id",
        "gen_ai.output.type",
        "openinference.span.kind",
        "llm.model_name",
        "llm.request.model_name",
        "llm.response.model_name",
        "embedding.model_name",
        "llm.provider",
        "llm.system",
        "tool.name",
        "agent.name",
        "session.id",
        "user.id",
        "tcap.capability",
        "tcap.case",
        "tcap.group",
        "tcap.key",
        "tcap.kind",
    ]
)
"""Attributes with text that is nobody's words; numbers never are."""


def all_words(_: str | None) -> bool:
    """Words are kept, whatever the capability."""
    return True


class SpanCleaner:
    """Takes out of batches what an installation takes out of calls.

    `keeps_words` says of a capability (None: a trace names none) whether what was said may be kept; where it may not,
    a trace's spans keep their facts alone.
    """

    def __init__(self, redaction: Redaction, keeps_words: Callable[[str | None], bool] = all_words) -> None:
        self._redaction = redaction
        self._keeps_words = keeps_words

    def __call__(self, body: bytes, batch: Batch) -> bytes:
        """The batch as it may lie on disk: its own bytes where there is nothing to take out."""
        bare = self._without_words(batch)
        return self._redacted(bytes(batch.SerializeToString()) if bare else body, batch)

    def _without_words(self, batch: Batch) -> bool:
        """Whether words had to go. A trace's capability is what one of its spans here names, or their resource."""
        named: dict[bytes, str] = {}
        for resource in batch.resource_spans:
            whole = _text_of(resource.resource.attributes, _CAPABILITY)
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                told = _text_of(span.attributes, _CAPABILITY) or whole
                if told is not None:
                    named.setdefault(span.trace_id, told)
        bare = False
        for resource in batch.resource_spans:
            spans = [span for scope in resource.scope_spans for span in scope.spans]
            silent = [span for span in spans if not self._keeps_words(named.get(span.trace_id))]
            for span in silent:
                _strip(span)
            if silent and len(silent) == len(spans):
                _keep_facts(resource.resource.attributes)
            bare = bare or bool(silent)
        return bare

    def _redacted(self, body: bytes, batch: Batch) -> bytes:
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


def _text_of(attributes: Any, name: str) -> str | None:
    return next((one.value.string_value for one in attributes if one.key == name and one.value.string_value), None)


def _strip(span: Any) -> None:
    """The span keeps its facts alone."""
    _keep_facts(span.attributes)
    span.status.message = ""
    span.ClearField("links")
    for event in span.events:
        if event.name != _OUTCOME:
            _keep_facts(event.attributes)


def _keep_facts(attributes: Any) -> None:
    kept = [one for one in attributes if one.key in _FACTS or one.value.WhichOneof("value") in _NUMBERS]
    if len(kept) < len(attributes):
        copies = [type(one).FromString(one.SerializeToString()) for one in kept]
        del attributes[:]
        attributes.extend(copies)


_NUMBERS = frozenset({"int_value", "double_value", "bool_value"})
