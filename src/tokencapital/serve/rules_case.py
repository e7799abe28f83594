"""The case told apart from the prompt around it, as the rule that named the work says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from tokencapital.core.call import Reading
from tokencapital.core.case import Json, Message
from tokencapital.serve.rules import CaseFrom, Rule
from tokencapital.serve.rules_prompt import PROMPT_ROLES
from tokencapital.serve.rules_template import MESSAGE

_USER = "user"
_METADATA = "metadata"


class CaseInput(Struct, frozen=True, kw_only=True):
    """What came in, kept apart from any prompt. `group` and `key` None: nothing told them."""

    messages: tuple[Message, ...]
    context: Mapping[str, Json] = {}
    group: str | None = None
    key: str | None = None


def extract(rule: Rule | None, reading: Reading, tags: Mapping[str, str] | None = None) -> CaseInput:
    """The case that the call asks about. Without a rule it is the conversation, the system prompt left out.

    `tags` are those that the call was kept with, the headers that the rule names among them. A user's message that does
    not fit the rule's template is the case as it is.
    """
    said = tuple(one for one in reading.messages if one.role not in PROMPT_ROLES)
    slots: Mapping[str, str] = {}
    match rule.case if rule else CaseFrom.CONVERSATION:
        case CaseFrom.LAST_USER:
            said = _since_last_user(said)[:1] or said
        case CaseFrom.TEMPLATE if rule is not None:
            said, slots = _filled(rule, said)
        case _:
            pass
    told = _Told(reading, tags or {}, slots)
    return CaseInput(
        messages=said,
        context={name: value for name, value in slots.items() if name != MESSAGE},
        group=told.at(rule.group_from if rule else None),
        key=told.at(rule.key_from if rule else None),
    )


class _Told(Struct, frozen=True):
    """Where a call may tell whom it is about."""

    reading: Reading
    tags: Mapping[str, str]
    slots: Mapping[str, str]

    def at(self, place: str | None) -> str | None:
        """What stands at a place such as `metadata:customer`; None: nothing does."""
        if place is None:
            return None
        kind, _, name = place.partition(":")
        metadata = self.reading.parameters.get(_METADATA)
        match kind:
            case "slot":
                found: Json = self.slots.get(name)
            case "header":
                found = self.tags.get(name.lower())
            case "metadata":
                found = metadata.get(name) if isinstance(metadata, dict) else None
                found = self.tags.get(name) if found is None else found
            case _:
                found = self.reading.parameters.get("user")
                if found is None and isinstance(metadata, dict):
                    found = metadata.get("user_id")
        return str(found) if isinstance(found, str | int) and str(found).strip() else None


def _since_last_user(said: Sequence[Message]) -> tuple[Message, ...]:
    """The user's last message and what was said since; nothing where no user spoke."""
    for place in range(len(said) - 1, -1, -1):
        if said[place].role == _USER:
            return tuple(said[place:])
    return ()


def _filled(rule: Rule, said: tuple[Message, ...]) -> tuple[tuple[Message, ...], Mapping[str, str]]:
    """What fills the template in the newest message that fits it, with what was said since, and its slots."""
    template = rule.filled
    for place in range(len(said) - 1, -1, -1):
        slots = template.read(said[place].content) if template and said[place].role == _USER else None
        if slots is not None:
            words = slots.get(MESSAGE, said[place].content)
            return (msgspec.structs.replace(said[place], content=words), *said[place + 1 :]), slots
    return said, {}
