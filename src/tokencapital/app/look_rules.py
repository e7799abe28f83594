"""Rules that would sort traffic into the kinds that were found, and how much of it they do sort so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from tokencapital.app.look_kinds import Kinds
from tokencapital.app.look_pile import ANSWERS, Drawn, Pile
from tokencapital.app.look_prompts import template_in
from tokencapital.core.access import Caller
from tokencapital.core.call import Wire
from tokencapital.core.case import ContractKind, Message
from tokencapital.models.arrays import unit_rows
from tokencapital.models.base import Embedder
from tokencapital.serve.relay_ports import Asked
from tokencapital.serve.rules import CaseFrom, Rule
from tokencapital.serve.rules_meaning import opening, write_centre
from tokencapital.serve.rules_prompt import NO_PROMPT
from tokencapital.serve.rules_sorting import Rules

_SURE = 0.95
_CONTRACTS = {"label": ContractKind.LABEL, "json": ContractKind.FIELDS}


def propose_rules(pile: Pile, kinds: Kinds, names: Sequence[str], embedder: Embedder) -> list[Rule]:
    """A rule or more for each kind that is in the sample, those that need the least first.

    A kind is told by its system prompt, by the tools that are offered or by the application, where nothing else has
    these; what is left is told by what it means.
    """
    drawn = {
        kind: [one for one, of in zip(pile.sample, kinds.of_sample, strict=True) if of == kind]
        for kind in range(len(names))
    }
    drawn = {kind: ones for kind, ones in drawn.items() if ones}
    plain: list[Rule] = []
    left: list[int] = []
    for kind, ones in drawn.items():
        others = [one for other, more in drawn.items() if other != kind for one in more]
        found = _told_apart(pile, ones, others)
        plain += [_shaped(rule, names[kind], pile, ones) for rule in found]
        if not found:
            left.append(kind)
    if len(left) == 1:
        only = Rule(capability="kind", prompt=(NO_PROMPT,))
        return [*plain, _shaped(only, names[left[0]], pile, drawn[left[0]])]
    return [*plain, *(_by_meaning(names[kind], pile, drawn[kind], embedder) for kind in left)]


def found_by(pile: Pile, kinds: Kinds, names: Sequence[str], rules: Rules) -> list[float | None]:
    """The share of each kind's cases in the sample whose first call the rules sort into it; None: none is there."""
    right: Counter[int] = Counter()
    total: Counter[int] = Counter()
    for one, kind in zip(pile.sample, kinds.of_sample.tolist(), strict=True):
        rule, _ = rules.find(as_asked(one))
        total[kind] += 1
        right[kind] += rule is not None and rule.capability == names[kind]
    return [right[kind] / total[kind] if total[kind] else None for kind in range(len(names))]


def as_asked(one: Drawn) -> Asked:
    """The first request of a case, as the gateway would have seen it."""
    spoken = next((place for place, said in enumerate(one.messages) if said.role == "assistant"), len(one.messages))
    first = one.messages[:spoken] or one.messages
    body = {"messages": [{"role": said.role, "content": said.content} for said in first]}
    tools = [{"type": "function", "function": {"name": name}} for name in one.tools]
    return Asked(
        wire=Wire.CHAT,
        path="/v1/chat/completions",
        model=one.model or "",
        streamed=False,
        headers={},
        body=msgspec.json.encode(body | ({"tools": tools} if tools else {})),
        caller=Caller(application=one.application),
    )


def write_rules(rules: Sequence[Rule]) -> str:
    """The rules as the settings hold them, with the capabilities that they name, which are observed."""
    lines = ["# Proposed by `tcap look --rules`. Rename the capabilities as the people call that work.", ""]
    for name, contract in {rule.capability: rule.contract for rule in rules}.items():
        lines += [f"[capabilities.{name}]", f"contract = {_toml(contract.value)}", ""]
    for rule in rules:
        lines.append("[[rules]]")
        told = msgspec.to_builtins(rule)
        defaults = msgspec.to_builtins(Rule(capability=rule.capability))
        lines += [f"{field} = {_toml(value)}" for field, value in told.items() if _is_told(field, value, defaults)]
        lines.append("")
    return "\n".join(lines)


def _told_apart(pile: Pile, ones: Sequence[Drawn], others: Sequence[Drawn]) -> list[Rule]:
    """Rules that fit all of these and none of the others, by prompt, tools or application; none: there are none."""
    prompts, strange = ({pile.prompt_of_case(one.case) for one in some} for some in (ones, others))
    if 0 not in prompts and not prompts & strange:
        return [_by_prompt(pile, family) for family in sorted(prompts)]
    tools, foreign = ({name for one in some for name in one.tools} for some in (ones, others))
    if all(one.tools for one in ones) and not tools & foreign:
        return [Rule(capability="kind", tools=tuple(sorted(tools)))]
    apps, elsewhere = ({one.application for one in some} for some in (ones, others))
    if None not in apps and not apps & elsewhere:
        return [Rule(capability="kind", application=name) for name in sorted(filter(None, apps))]
    return []


def _by_prompt(pile: Pile, family: int) -> Rule:
    pattern = pile.families.pattern(family)
    if pattern is not None:
        return Rule(capability="kind", prompt_like=pattern)
    return Rule(capability="kind", prompt=pile.families.fingerprints(family))


def _by_meaning(name: str, pile: Pile, ones: Sequence[Drawn], embedder: Embedder) -> Rule:
    """A rule by the mean of how its conversations open."""
    vectors = embedder.embed([opening(one.messages) for one in ones])
    centre = unit_rows(np.asarray(vectors.mean(axis=0), np.float32)[None, :])[0]
    return _shaped(Rule(capability="kind", meaning=write_centre(centre)), name, pile, ones)


def _shaped(rule: Rule, name: str, pile: Pile, ones: Sequence[Drawn]) -> Rule:
    """The rule under its name, with how the case is told apart and what answers look like, where nearly all agree."""
    shapes = [pile.shape[one.case] for one in ones]
    answer, often = Counter(ANSWERS[shape >> 2] for shape in shapes).most_common(1)[0]
    found: dict[str, object] = {}
    if often >= _SURE * len(ones) and answer in _CONTRACTS:
        found["contract"] = _CONTRACTS[answer]
    if sum(shape & 1 for shape in shapes) <= (1 - _SURE) * len(ones):
        template = template_in([opening(one.messages) for one in ones])
        found |= {"case": CaseFrom.TEMPLATE, "template": template} if template else {"case": CaseFrom.LAST_USER}
    return msgspec.structs.replace(rule, capability=name, **found)


def _is_told(field: str, value: object, defaults: Mapping[str, object]) -> bool:
    return value is not None and (field == "capability" or value != defaults[field])


def _toml(value: object) -> str:
    """A text, or a list or table of such, as TOML writes it: JSON's strings are TOML's."""
    if isinstance(value, str):
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml(name)} = {_toml(one)}" for name, one in value.items()) + "}"
    return "[" + ", ".join(_toml(one) for one in value) + "]" if isinstance(value, list | tuple) else str(value)


def example_of(messages: Sequence[Message]) -> str:
    """How a case opens, on one line."""
    return " ".join(opening(messages).split())[:120]
