"""What a provider answered, in the shape of the capability's contract."""

from __future__ import annotations

from tokencapital.core.case import ContractKind, Json, Message, Value
from tokencapital.record.spans_told import read_json


def answer_in(kind: ContractKind, said: tuple[Message, ...]) -> Value:
    """The answer in what the assistant said: a label, an object, or text. None: it is not in there.

    An object may be the content, with or without a fence around it, or the arguments of a single tool call.
    """
    if not said:
        return None
    message = said[-1]
    match kind:
        case ContractKind.LABEL:
            return message.content.strip() or None
        case ContractKind.TEXT:
            return message.content or None
        case ContractKind.FIELDS:
            arguments = [call.arguments for call in message.tool_calls]
            return _object(message.content) or (_object(arguments[0]) if len(arguments) == 1 else None)
        case ContractKind.TOOLS:
            return _tools(message) or _object(message.content)


def _tools(message: Message) -> dict[str, Json] | None:
    """The calls of tools; the arguments of one are left as the model wrote them where they are no object."""
    calls = [
        {"tool": call.name, "arguments": call.arguments if (read := _object(call.arguments)) is None else read}
        for call in message.tool_calls
    ]
    if not calls:
        return None
    return calls[0] if len(calls) == 1 else {"calls": calls}


def _object(text: str) -> dict[str, Json] | None:
    bare = text.strip()
    if bare.startswith("```") and bare.endswith("```"):
        bare = bare.partition("\n")[2].removesuffix("```").strip()
    found = read_json(bare)
    return found if isinstance(found, dict) else None
