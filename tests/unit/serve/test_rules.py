"""Rules: which work a request is, and how its case is told apart."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.access import Caller
from tokencapital.core.call import Reading, Wire
from tokencapital.core.case import Message
from tokencapital.core.errors import SettingsError
from tokencapital.models.wordllama import WordLlamaEmbedder
from tokencapital.serve.relay_ports import Asked
from tokencapital.serve.rules import RULE_TAG, CaseFrom, NamedRules, Rule, covers
from tokencapital.serve.rules_case import extract
from tokencapital.serve.rules_meaning import read_centre, write_centre
from tokencapital.serve.rules_prompt import NO_PROMPT, Prompts, fingerprint, prompt_of
from tokencapital.serve.rules_sorting import Rules
from tokencapital.serve.rules_template import Template

PROMPT = "You sort mail for {who}. Today is {day}. Ticket {number}."
AIRLINE, BANK = "You help people with their flights.", "You sort messages to a bank."


def asked(
    body: Mapping[str, Any] | None = None, wire: Wire = Wire.CHAT, app: str | None = None, **headers: str
) -> Asked:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    told = dict(body or {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]})
    return Asked(
        wire=wire, path="/v1/chat/completions", model=str(told.get("model", "gpt-4o")), streamed=False, headers=named,
        body=msgspec.json.encode(told), caller=Caller(application=app),
    )  # fmt: skip


def named(rules: Rules, request: Asked) -> str | None:
    rule, _ = rules.find(request)
    return rule.capability if rule else None


def test_the_first_rule_that_fits_in_all_that_it_names_wins() -> None:
    rules = Rules(
        [
            Rule(capability="both", application="crm", model="gpt-4*"),
            Rule(capability="header", headers={"X-Team": "sup*"}),
            Rule(capability="tag", tags={"flow": "triage"}),
            Rule(capability="tool", tools=("book_flight",)),
            Rule(capability="app", application="crm"),
            Rule(capability="wire", wire=Wire.EMBEDDINGS),
        ]
    )
    tool = {"type": "function", "function": {"name": "book_flight"}}
    assert named(rules, asked(app="crm")) == "both"
    assert named(rules, asked({"model": "o1"}, app="crm")) == "app"
    assert named(rules, asked(x_team="support", app="crm", body={"model": "o1"})) == "header"
    assert named(rules, asked(x_tcap_tag_flow="triage")) == "tag"
    assert named(rules, asked({"metadata": {"flow": "triage"}})) == "tag"
    assert named(rules, asked({"tools": [tool]})) == "tool"
    assert named(rules, asked({"tools": [{"name": "book_flight"}]})) == "tool"
    assert named(rules, asked(wire=Wire.EMBEDDINGS)) == "wire"
    assert named(rules, asked()) is None


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        (Wire.CHAT, {"messages": [{"role": "system", "content": AIRLINE}, {"role": "user", "content": "x"}]}),
        (Wire.CHAT, {"messages": [{"role": "developer", "content": [{"type": "text", "text": AIRLINE}]}]}),
        (Wire.RESPONSES, {"instructions": AIRLINE, "input": "x"}),
        (Wire.RESPONSES, {"instructions": None, "input": [{"role": "system", "content": AIRLINE}]}),
        (Wire.MESSAGES, {"system": [{"type": "text", "text": AIRLINE}], "messages": []}),
        (Wire.MESSAGES, {"system": AIRLINE, "messages": []}),
    ],
)
def test_a_prompt_is_found_wherever_its_wire_puts_it(wire: Wire, body: dict[str, Any]) -> None:
    rules = Rules(
        [Rule(capability="airline", prompt=(fingerprint(AIRLINE),)), Rule(capability="bare", prompt=("none",))]
    )
    assert named(rules, asked(body, wire)) == "airline"
    assert named(rules, asked({"messages": [{"role": "user", "content": AIRLINE}]}, wire)) == "bare"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"messages": 3}', b'{"messages": [3]}', b"\xff"])
def test_a_body_that_cannot_be_read_has_no_prompt(body: bytes) -> None:
    assert Prompts().of(Wire.CHAT, body) == (NO_PROMPT, "")


@given(
    day=st.dates(),
    number=st.integers(min_value=0, max_value=10**12),
    hours=st.times(),
    space=st.sampled_from([" ", "\n", "  \t"]),
    mail=st.text(string.ascii_lowercase, min_size=1, max_size=20),
)
def test_a_fingerprint_stays_while_dates_numbers_addresses_and_spaces_vary(
    day: Any, number: int, hours: Any, space: str, mail: str
) -> None:
    said = f"Sort the mail of{space}{mail}@example.com. Now: {day} {hours:%H:%M}.{space}Ticket AB-{number}."
    written = "Sort the mail of someone@else.org. Now: 1 May 2026 10:00. Ticket AB-7."
    assert fingerprint(said) == fingerprint(written)
    assert fingerprint(said) != fingerprint(said.replace("Sort", "Answer"))


def test_a_prompt_may_be_told_by_how_it_reads() -> None:
    rules = Rules([Rule(capability="mail", prompt_like="you sort mail for *. ticket #.")])
    body = {"messages": [{"role": "system", "content": "You sort mail for Anna Smith. Ticket 45."}]}
    assert named(rules, asked(body)) == "mail"


def test_of_rules_by_meaning_the_nearest_wins_after_all_others() -> None:
    embedder = WordLlamaEmbedder()
    flight, card = embedder.embed(["book a flight to Rome", "my bank card was stolen"])
    rules = Rules(
        [
            Rule(capability="flights", meaning=write_centre(flight)),
            Rule(capability="cards", meaning=write_centre(card)),
            Rule(capability="app", application="crm"),
        ],
        embedder,
    )
    for words, kind in {"I need a plane ticket": "flights", "somebody took my credit card": "cards"}.items():
        assert named(rules, asked({"messages": [{"role": "user", "content": words}]})) == kind
        assert named(rules, asked({"input": words}, Wire.RESPONSES)) == kind
    assert named(rules, asked(app="crm")) == "app"
    assert named(rules, asked({"messages": []})) is None
    again = read_centre(write_centre(flight), embedder.dimensions)
    assert again is not None
    assert float(np.dot(again, flight)) > 0.999
    with pytest.raises(SettingsError, match="centre"):
        Rules([Rule(capability="flights", meaning="AAAA")], embedder)


def test_a_rule_that_can_never_be_the_first_to_fit_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match=r"rule 2 \(`b`\) can never fit: rule 1"):
        Rules([Rule(capability="a", model="gpt*"), Rule(capability="b", model="gpt-4", application="crm")])
    assert not covers(Rule(capability="a", model="gpt*", application="crm"), Rule(capability="b", model="gpt-4"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"capability": "a b"},
        {"capability": "unsorted"},
        {"model": ""},
        {"prompt": ("xyz",)},
        {"template": "{message}"},
        {"case": "template"},
        {"case": "template", "template": "no slot"},
        {"case": "template", "template": "{a}{message}"},
        {"case": "template", "template": "x {message}", "group_from": "slot:customer"},
        {"key_from": "somewhere"},
        {"path": "v1"},
        {"modle": "gpt"},
    ],
)
def test_a_rule_that_says_nothing_sensible_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"capability": "a"} | wrong, Rule)


@given(st.text(string.ascii_letters + " \n{}*", max_size=60), st.text(string.ascii_letters, min_size=1, max_size=20))
def test_what_fills_a_template_comes_back(message: str, customer: str) -> None:
    template = Template("Classify this message: {message}\nCustomer: {customer}\nAnswer in one word.")
    text = f"Classify  this message: {message}\n\nCustomer: {customer}\nAnswer in one word. "
    assert template.read(text) == {"message": message.strip(), "customer": customer}
    assert template.read(f"Sort this: {message}") is None


def test_the_case_is_told_apart_as_its_rule_says() -> None:
    rule = Rule(
        capability="a", case=CaseFrom.TEMPLATE, template="Classify: {message} Customer: {customer}",
        group_from="slot:customer", key_from="header:X-Order",
    )  # fmt: skip
    first = Message("user", "Classify: lost card Customer: c7")
    said = (Message("system", BANK), first, Message("assistant", "which?"), Message("user", "the blue one"))
    found = extract(rule, Reading(messages=said), {"x-order": "o9"})
    assert [one.content for one in found.messages] == ["lost card", "which?", "the blue one"]
    assert (found.context, found.group, found.key) == ({"customer": "c7"}, "c7", "o9")

    last = extract(Rule(capability="a", case=CaseFrom.LAST_USER), Reading(messages=said))
    assert [one.content for one in last.messages] == ["the blue one"]
    reading = Reading(messages=said, parameters={"user": "u1", "metadata": {"customer": "c8"}})
    whole = extract(Rule(capability="a", group_from="metadata:customer", key_from="user"), reading)
    assert (len(whole.messages), whole.group, whole.key) == (3, "c8", "u1")
    assert extract(None, Reading(messages=said)).messages == said[1:]
    assert prompt_of(said) == BANK


def test_a_call_is_told_apart_by_the_rule_that_sorted_it() -> None:
    one, other = Rule(capability="a", model="x"), Rule(capability="a", model="y", case=CaseFrom.LAST_USER)
    _, tags = Rules([one, other]).find(asked({"model": "y"}))
    known = NamedRules([other, one])
    assert known.named(tags, "a") == other
    assert known.named({RULE_TAG: "a/gone"}, "a") == other
    assert known.named({}, "b") is None
