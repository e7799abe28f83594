"""Traces are sorted by the rules that sort calls: by service, application, model and prompt."""

from __future__ import annotations

from tokencapital.core.case import Json, Message
from tokencapital.record.spans_deeds import Service, capability_of, read_trace
from tokencapital.record.spans_sorting import RuleSorter
from tokencapital.serve.rules import Rule
from tokencapital.testing.spans import ScriptedSpan, batch_of, trace_name

SORTER = RuleSorter(
    [
        Rule(capability="desk-work", tags={"service.name": "desk-*"}),
        Rule(capability="shop-work", application="shop"),
        Rule(capability="big-work", model="gpt-big"),
        Rule(capability="mail-work", prompt_like="sort the mail of *."),
    ]
)


def service(application: str | None = None, model: str | None = None, prompt: str = "", **resource: Json) -> Service:
    messages = (Message("system", prompt), Message("user", "a?")) if prompt else ()
    return Service({name.replace("__", "."): value for name, value in resource.items()}, application, model, messages)


def test_the_first_rule_that_fits_names_the_capability() -> None:
    assert SORTER(service(service__name="desk-7", application="shop")) == "desk-work"
    assert SORTER(service(application="shop")) == "shop-work"
    assert SORTER(service(model="gpt-big")) == "big-work"
    assert SORTER(service(prompt="Sort the mail of Ann.")) == "mail-work"
    assert SORTER(service(service__name="other")) is None
    assert RuleSorter([])(service(service__name="desk-7")) is None


def test_what_the_trace_says_itself_comes_before_any_rule() -> None:
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-big"}
    named = {"tcap.capability": "triage"}
    spans = [ScriptedSpan(attributes=call)]
    told = read_trace(trace_name(1), [(None, batch_of(spans, {"service.name": "x"}))])
    assert capability_of(told, SORTER) == "big-work"
    told = read_trace(trace_name(1), [(None, batch_of(spans, {"service.name": "x", **named}))])
    assert capability_of(told, SORTER) == "triage"
