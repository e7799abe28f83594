"""What becomes of a call before it goes to disk: secrets are taken out, and words where nobody wants them kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from tokencapital.app.access_settings import Payloads
from tokencapital.app.settings import Settings
from tokencapital.core.call import Call, Reading
from tokencapital.record.joining_digests import prefixes_of
from tokencapital.record.redaction import Redaction
from tokencapital.record.redaction_stream import hidden_in_pieces
from tokencapital.serve.providers import kinds
from tokencapital.serve.shapes import read_call
from tokencapital.serve.shapes.bodies import is_stream, unpacked


class CallCleaner:
    """Takes out of calls what may not be kept, as the settings say; a `Cleaner` of the relay. `key` is the store's."""

    def __init__(self, settings: Settings, redaction: Redaction, key: bytes) -> None:
        self._redaction = redaction
        self._key = key
        self._kept = payloads_of(settings)

    def clean(self, call: Call) -> Call:
        """The call as it may go to disk, with the number of marks that stand in it now."""
        kept = self._kept(call.capability)
        if kept is not Payloads.FULL:
            return msgspec.structs.replace(call, request=None, response=None, reading=self._without_words(call, kept))
        if call.reading is not None or self._hides(call.response):
            return self._cleaned_reading(call)
        request, in_request = self._body(call.request)
        response, in_response = self._body(call.response)
        if not in_request and not in_response:
            return call
        redacted = call.redacted + in_request + in_response
        return msgspec.structs.replace(call, request=request, response=response, redacted=redacted)

    def _body(self, body: bytes | None) -> tuple[bytes | None, int]:
        """The body with marks, unpacked if there are any; one without stays byte for byte."""
        if not body:
            return body, 0
        cleaned, count = self._redaction.body(unpacked(body))
        return (cleaned, count) if count else (body, 0)

    def _hides(self, response: bytes | None) -> bool:
        """Whether something that may not be kept is spread over the pieces of a stream."""
        if not response:
            return False
        plain = unpacked(response)
        return is_stream(plain) and hidden_in_pieces(plain, self._redaction)

    def _cleaned_reading(self, call: Call) -> Call:
        """The call by what it says: the pieces of a stream are put together, and then cleaned as one text."""
        reading, count = cleaned_reading(read_call(call), self._redaction)
        return msgspec.structs.replace(
            call, request=None, response=None, reading=reading, redacted=call.redacted + count
        )

    def _without_words(self, call: Call, kept: Payloads) -> Reading:
        """What the call says of itself, without what people and models said in it."""
        full = read_call(call)
        hashed = kept is Payloads.HASHES and bool(full.messages or full.answer)
        return Reading(
            usage=full.usage,
            model=full.model,
            response=full.response,
            previous=full.previous,
            finish=full.finish,
            failure=full.failure,
            parameters={
                name: value for name, value in full.parameters.items() if isinstance(value, int | float | None)
            },
            prefixes=prefixes_of(self._key, full.messages, full.answer) if hashed else full.prefixes,
        )


def cleaned_reading(reading: Reading, redaction: Redaction) -> tuple[Reading, int]:
    """The reading with marks in place of what may not be kept, and how many."""
    messages, count = redaction.messages(reading.messages)
    answer, in_answer = redaction.messages(reading.answer)
    others = [redaction.messages(one) for one in reading.others]
    tools, in_tools = redaction.json(list(reading.tools))
    parameters, in_parameters = redaction.json(dict(reading.parameters))
    cleaned = msgspec.structs.replace(
        reading,
        messages=messages,
        answer=answer,
        others=tuple(one for one, _ in others),
        tools=tuple(tools),
        parameters=parameters,
    )
    return cleaned, count + in_answer + in_tools + in_parameters + sum(more for _, more in others)


def payloads_of(settings: Settings) -> Callable[[str | None], Payloads]:
    """What is kept of the words of a capability, or of work that has none."""
    own = {name: one.payloads for name, one in settings.capabilities.items() if one.payloads is not None}
    return lambda capability: own.get(capability or "", settings.record.payloads)


def make_redaction(settings: Settings) -> Redaction:
    """What this installation takes out: secrets, those that it uses itself among them, and what it says besides."""
    declared = settings.redaction
    return Redaction(declared.known, declared.patterns, _own_secrets(settings))


def _own_secrets(settings: Settings) -> Iterator[str]:
    """The keys that this process finds where the settings say."""
    variables = [settings.access.key_env, settings.generalist.key_env]
    variables += [one.swap.key_env for one in settings.capabilities.values() if one.swap is not None]
    for name, said in settings.providers.items():
        kind = kinds().get(said.kind or name)
        variables.append(said.key_env or (kind.key_env if kind else None))
        if said.key_file is not None:
            with suppress(OSError, UnicodeDecodeError):
                yield Path(said.key_file).read_text("utf-8").strip()
    for variable in variables:
        yield os.environ.get(variable, "").strip() if variable else ""
