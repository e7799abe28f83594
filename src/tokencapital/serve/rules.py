"""Rules: which kind of work a request is, by what can be seen of it from outside, and how its case is told apart."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec
from msgspec import Struct

from tokencapital.core.call import UNSORTED, Wire
from tokencapital.core.case import ContractKind
from tokencapital.core.errors import SettingsError
from tokencapital.serve.rules_template import Template, template_of

RULE_TAG = "tcap-rule"
"""The tag that says which rule named a call's work, so that its case is told apart as that rule says."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PROMPT = re.compile(r"[0-9a-f]{16}|none")
_PLACES = re.compile(r"(?:header|metadata|slot):\S+|user")


class CaseFrom(StrEnum):
    """What of a request is the case, the rest being the prompt around it."""

    CONVERSATION = "conversation"
    """All messages but the system prompt."""
    LAST_USER = "last_user"
    """The user's last message."""
    TEMPLATE = "template"
    """What fills the slots of a template in a user's message, and what was said since."""


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests that fit all that is named here are work of the `capability`. The first rule that fits wins.

    `application` is the one whose key came along, `wire` one of `chat`, `responses`, `messages`, `embeddings`,
    `count_tokens`. `path`, `model` and the values of `headers` and `tags` may have `*` and `?` in them. Tags are
    headers `x-tcap-tag-NAME` and the fields of OpenAI's `metadata`. `tools`: the request offers one of these.
    `prompt` are fingerprints of system prompts, as `tcap look` shows them; `none`: there is no system prompt.
    `prompt_like` is how the prompt reads, with `*` for any words and `#` where numbers, dates, ids and addresses stand.
    `meaning` is the centre of a kind of work as `tcap look` writes it: of all such rules the nearest wins, once no
    other rule fits.

    `case` says what of the request is the case. A `template` such as `"Classify this: {message} Customer: {customer}"`
    has one slot `{message}`, the others become the case's context. `group_from` and `key_from` name where the entity
    group and the business key are told, unless the caller says: `header:NAME`, `metadata:FIELD`, `slot:NAME`, `user`.
    `contract` is that of a capability which the settings do not declare; it starts in `observe` mode.
    """

    capability: str
    application: str | None = None
    wire: Wire | None = None
    path: str | None = None
    model: str | None = None
    headers: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    tools: tuple[str, ...] = ()
    prompt: tuple[str, ...] = ()
    prompt_like: str | None = None
    meaning: str | None = None
    case: CaseFrom = CaseFrom.CONVERSATION
    template: str | None = None
    group_from: str | None = None
    key_from: str | None = None
    contract: ContractKind = ContractKind.TEXT

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem is not None:
            raise ValueError(f"the rule for `{self.capability}`: {problem}")

    @property
    def filled(self) -> Template | None:
        """The template, ready to be filled; None: the case is not told apart by one."""
        return None if self.template is None else template_of(self.template)


class NamedRules:
    """The rules by name, for whoever reads later what was sorted by them."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._names = {name_of(rule): rule for rule in rules}
        self._first = {rule.capability: rule for rule in reversed(rules)}

    def named(self, tags: Mapping[str, str], capability: str | None) -> Rule | None:
        """The rule that a call with these tags was sorted by; else the first of its capability; None: there is none."""
        return self._names.get(tags.get(RULE_TAG, "")) or self._first.get(capability or "")


def name_of(rule: Rule) -> str:
    """The rule's name: it changes when the rule does, and not when it is moved."""
    return f"{rule.capability}/{hashlib.blake2b(msgspec.json.encode(rule), digest_size=4).hexdigest()}"


def check_rules(rules: Sequence[Rule]) -> None:
    """Returns where every rule can be the first that fits. Raises SettingsError naming the one that cannot."""
    for number, rule in enumerate(rules):
        for earlier, other in enumerate(rules[:number]):
            if covers(other, rule):
                raise SettingsError(
                    f"rule {number + 1} (`{rule.capability}`) can never fit: rule {earlier + 1}"
                    f" (`{other.capability}`) takes all that it would",
                    where="rules",
                    remedy="Move the narrower rule up, or remove it.",
                )


def covers(other: Rule, rule: Rule) -> bool:
    """Whether every request that fits `rule` fits `other` too, as far as the two tell."""
    if other.meaning is not None:
        return rule.meaning == other.meaning
    return (
        (other.application in {None, rule.application})
        and (other.wire in {None, rule.wire})
        and _within(other.path, rule.path)
        and _within(other.model, rule.model)
        and all(_within(pattern, _value(rule.headers, name)) for name, pattern in other.headers.items())
        and all(_within(pattern, _value(rule.tags, name)) for name, pattern in other.tags.items())
        and _among(rule.tools, other.tools)
        and _among(rule.prompt, other.prompt)
        and _within(other.prompt_like, rule.prompt_like)
    )


def pattern_of(glob: str) -> re.Pattern[str]:
    """The glob as a pattern that must match all of a text; `*` is any text, `?` one character."""
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", glob))
    return re.compile("".join(parts), re.DOTALL)


def is_glob(text: str) -> bool:
    """Whether the text has wild cards in it."""
    return "*" in text or "?" in text


def _within(pattern: str | None, narrower: str | None) -> bool:
    """Whether all that fits `narrower` fits `pattern`, for sure. None: everything fits."""
    if pattern in {None, "*"} or pattern == narrower:
        return True
    return bool(pattern and narrower and not is_glob(narrower) and pattern_of(pattern).fullmatch(narrower))


def _among(narrower: Sequence[str], wider: Sequence[str]) -> bool:
    return not wider or (bool(narrower) and set(narrower) <= set(wider))


def _value(of: Mapping[str, str], name: str) -> str | None:
    return next((value for known, value in of.items() if known.lower() == name.lower()), None)


def _problem(rule: Rule) -> str | None:
    """What is wrong with a rule by itself, in words; None: nothing is."""
    named = {rule.application, rule.path, rule.model, rule.prompt_like, *rule.headers.values(), *rule.tags.values()}
    wrong = {
        "a capability's name is letters, digits, `.`, `_` and `-`": not _NAME.fullmatch(rule.capability),
        f"`{UNSORTED}` is what no rule names": rule.capability == UNSORTED,
        '`case = "template"` and `template` belong together': (rule.case is CaseFrom.TEMPLATE)
        != (rule.template is not None),
        "a `prompt` is 16 hex digits, as `tcap look` shows them, or `none`": not all(
            map(_PROMPT.fullmatch, rule.prompt)
        ),
        "it names something empty, which nothing fits; leave it out, or write `*`": "" in named,
        "`prompt` and `prompt_like` exclude each other": bool(rule.prompt and rule.prompt_like),
        "a `path` begins with `/`": not (rule.path or "/").startswith(("/", "*")),
    }
    return next((words for words, holds in wrong.items() if holds), None) or _wrong_place(rule)


def _wrong_place(rule: Rule) -> str | None:
    for name, place in (("group_from", rule.group_from), ("key_from", rule.key_from)):
        if place is not None and not _PLACES.fullmatch(place):
            return f"`{name}` is `header:NAME`, `metadata:FIELD`, `slot:NAME` or `user`"
        if place is not None and place.startswith("slot:"):
            filled = rule.filled
            if filled is None or place.removeprefix("slot:") not in filled.slots:
                return f"`{name}` names a slot that its template has not"
    if rule.template is not None:
        return template_of(rule.template).problem
    return None
