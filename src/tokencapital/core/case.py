"""What a company wants done, and one unit of that work."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from msgspec import Struct

Json = Any
"""Whatever JSON can hold."""

Value = str | dict[str, Json] | None
"""An answer's content: a label, an object of fields, or text. None: there is no answer."""


class ContractKind(StrEnum):
    """The shape of the answers that a capability gives."""

    LABEL = "label"
    FIELDS = "fields"
    TEXT = "text"
    TOOLS = "tools"


class Contract(Struct, frozen=True, kw_only=True):
    """The shape of a capability's answers.

    `labels` are those that its goal declared; empty: labels are learned from judgments. `schema` is
    the JSON schema of a `fields` object; None: its fields are learned from judgments.
    """

    kind: ContractKind
    labels: tuple[str, ...] = ()
    schema: dict[str, Json] | None = None


class Mode(StrEnum):
    """What becomes of the answers of a capability, most careful first."""

    OBSERVE = "observe"
    SHADOW = "shadow"
    SUGGEST = "suggest"
    ANSWER = "answer"


class Capability(Struct, frozen=True, kw_only=True):
    """One kind of work that the company wants done and owns.

    `passages` is how many passages of the company's documents its starting policy shows to the generalist.
    """

    name: str
    contract: Contract
    mode: Mode = Mode.OBSERVE
    instructions: str = ""
    passages: int = 0


class Goal(Struct, frozen=True, kw_only=True):
    """What people want from a capability. Without a live goal the loop spends nothing on it: it is idle.

    `tolerance` is the share of wrong answers that the owner accepts among those given without a
    person, `judged_share` that of the cases that people are asked about. The limits are on what
    learning may cost in all; None: no limit was set. Where people have agreed, `probe_share` of the
    uniform draws are asked without showing the machine's answer, and `repeat_share` of what a person
    judged is asked of them once more. `overlap_share` of the uniform draws are asked of two people.
    """

    capability: str
    purpose: str
    owner: str
    metric: str
    tolerance: float
    judged_share: float = 0.2
    limit_usd: Decimal | None = None
    limit_minutes: float | None = None
    expires_at: datetime | None = None
    probe_share: float = 0.05
    repeat_share: float = 0.03
    overlap_share: float = 0.05

    def is_live(self, now: datetime) -> bool:
        """Whether the loop may spend on this goal at the time `now`."""
        return self.expires_at is None or now < self.expires_at


class ToolCall(Struct, frozen=True):
    """A tool that an assistant called; `arguments` is JSON as the model wrote it, which may be broken."""

    id: str
    name: str
    arguments: str = "{}"


class Message(Struct, frozen=True, omit_defaults=True):
    """One message in the shape of OpenAI's chat API.

    `content` is its text. `parts` are what it holds besides text, such as images, as they were sent.
    `tool_call_id` names the call that a tool's message answers.
    """

    role: str
    content: str = ""
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    parts: tuple[Json, ...] = ()


class Case(Struct, frozen=True, kw_only=True):
    """One unit of work: what came in, kept apart from any prompt.

    `group` is the entity (customer, thread, dialogue) that the case belongs to, `key` the business
    key by which outcomes find it.
    """

    id: str
    capability: str
    group: str
    at: datetime
    messages: tuple[Message, ...]
    context: Mapping[str, Json] = {}
    key: str = ""
