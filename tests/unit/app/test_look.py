"""`tcap look`: what is read, which kinds are found, and whether the proposed rules find them again."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tokencapital.app.look import Looking, LookReport, judgments_needed, look_at
from tokencapital.app.look_clusters import kinds_in, topics_in
from tokencapital.app.look_kinds import find_kinds
from tokencapital.app.look_pile import Pile
from tokencapital.app.look_prompts import PromptFamilies, template_in
from tokencapital.app.look_reading import Decided, Recorded, read_lines, recorded_in
from tokencapital.app.look_rules import as_asked, propose_rules, write_rules
from tokencapital.app.look_sources import Kept, Where, open_work
from tokencapital.app.settings import Settings, load_settings
from tokencapital.core.errors import InputError, SettingsError
from tokencapital.meter.prices import PriceBook
from tokencapital.models.wordllama import WordLlamaEmbedder
from tokencapital.record.imports.told import Skip
from tokencapital.serve.rules import CaseFrom, Rule
from tokencapital.serve.rules_sorting import Rules
from tokencapital.stats.distributions import binomial_tail

NOW = datetime(2026, 6, 1, tzinfo=UTC)
WORDS = WordLlamaEmbedder()
CARDS = (
    "card was stolen",
    "top up failed",
    "transfer is missing",
    "exchange rate is wrong",
    "cash machine ate my card",
)
TRIPS = ("flight to Rome", "hotel in Oslo", "train to Bern", "ferry to Crete", "bus to Porto")


def logs() -> list[dict[str, Any]]:
    """Three kinds of work: messages to sort, conversations about trips, and letters under a prompt of their own."""
    found: list[dict[str, Any]] = []
    for number in range(40):
        card, trip = CARDS[number % 5], TRIPS[number % 5]
        found.append({"messages": [{"role": "user", "content": f"Hello, my {card}, number {number}"}]})
        found.append({"messages": [
            {"role": "user", "content": f"I would like to book a {trip} for {number} people"},
            {"role": "assistant", "content": f"When would you like to leave for your {trip}?"},
            {"role": "user", "content": "Next week, please"},
            {"role": "assistant", "content": f"Your {trip} is booked, have a pleasant journey."},
        ]})  # fmt: skip
        usage = {"prompt_tokens": 1000, "completion_tokens": 100}
        found.append({"request": {"model": "gpt-4o", "messages": [
            {"role": "system", "content": f"You answer letters to the council. Today is 2026-05-{number % 28 + 1:02}."},
            {"role": "user", "content": f"Answer this letter: the street lamp at number {number} is broken. Be kind."},
        ]}, "response": {"choices": [{"message": {"role": "assistant", "content": "We shall see to it soon."}}],
        "usage": usage}, "scores": [{"name": "helpful", "value": 1}], "timestamp": "2026-05-01T10:00:00Z"})  # fmt: skip
    return found


def look(lines: Sequence[dict[str, Any]], **how: Any) -> LookReport:
    work = (recorded_in(line) for line in lines)
    return look_at(work, Looking(**how), (WORDS, PriceBook(), NOW), lambda done, total: None)


def test_the_kinds_of_work_are_found_with_what_they_cost_and_what_people_decided() -> None:
    report = look(logs(), names={1: "cards"})
    assert (report.cases, report.calls, len(report.kinds)) == (120, 120, 3)
    letters = next(one for one in report.kinds if one.decisions)
    assert letters.decisions == {"scores": 40}
    assert letters.usd is not None
    assert letters.usd == 40 * Decimal("0.0035")
    assert report.kinds[0].name == "cards"
    assert all(one.usd is None and one.unpriced_calls == 40 for one in report.kinds if one is not letters)
    assert all(not one.enough and one.judgments == judgments_needed() for one in report.kinds)


def test_the_same_logs_give_the_same_report_and_no_words_unless_asked_for() -> None:
    report = look(logs())
    assert report == look(logs())
    told = msgspec.json.encode(report).decode()
    assert not any(words in told for words in (*CARDS, *TRIPS))
    assert any(TRIPS[0] in words for one in look(logs(), examples=True).kinds for words in one.examples)


def test_proposed_rules_are_settings_that_sort_the_same_traffic_into_the_same_kinds(tmp_path: Path) -> None:
    pile = Pile(WORDS, PriceBook(), NOW)
    for line in logs():
        pile.add(recorded_in(line))
    kinds = find_kinds(pile)
    names = [f"kind-{number}" for number in range(kinds.count)]
    written = tmp_path / "tokencapital.toml"
    written.write_text(write_rules(propose_rules(pile, kinds, names, WORDS)), "utf-8")
    read = load_settings(written)
    assert set(read.capabilities) == set(names)
    rules = Rules(read.rules, WORDS)
    found = [rules.find(as_asked(one))[0] for one in pile.sample]
    right = [rule and rule.capability == names[kind] for rule, kind in zip(found, kinds.of_sample, strict=True)]
    assert sum(map(bool, right)) >= 0.98 * len(right)
    letters = next(rule for rule in read.rules if rule.prompt)
    assert letters.template == "Answer this letter: the street lamp at number {message} is broken. Be kind."


def test_calls_of_one_conversation_are_one_case() -> None:
    said = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "how can I help?"}]
    more = [*said, {"role": "user", "content": "my card"}, {"role": "assistant", "content": "which one?"}]
    report = look([{"messages": said}, {"messages": more}, {"messages": [{"role": "user", "content": "other"}]}])
    assert (report.cases, report.calls) == (2, 3)


def test_what_is_old_or_cannot_be_read_is_counted_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    lines = [json.dumps(logs()[2]), "{", "{}", json.dumps({"id": "x", "input": "hi", "output": "there"})]
    file.write_text("\n".join(lines), "utf-8")
    report = look_at(read_lines(file), Looking(since=NOW), (WORDS, PriceBook(), NOW), lambda done, total: None)
    assert report.calls == 1
    assert sorted(report.skipped) == [
        "it is no JSON object", "it is older than was asked for", "there are no messages",
    ]  # fmt: skip
    file.write_text("{}\n{}\n", "utf-8")
    with pytest.raises(InputError, match="2 times there are no messages"):
        look_at(read_lines(file), Looking(), (WORDS, PriceBook(), NOW), lambda done, total: None)


def test_a_database_is_named_by_its_variable_and_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENSORZERO_POSTGRES_URL", raising=False)
    with pytest.raises(SettingsError, match="TENSORZERO_POSTGRES_URL"):
        open_work(Where(kept=Kept.TENSORZERO), Settings(), NOW)
    with pytest.raises(InputError, match="from its database"):
        open_work(Where(kept=Kept.TENSORZERO, file=tmp_path / "x.json"), Settings(), NOW)


def test_what_people_said_elsewhere_is_counted_where_it_belongs() -> None:
    one = recorded_in({"id": "t1", "messages": [{"role": "user", "content": "hi"}]})

    def work() -> Iterator[Recorded | Decided | Skip]:
        yield one
        yield Decided("t1", "labels")
        yield Decided("gone", "labels")

    report = look_at(work(), Looking(), (WORDS, PriceBook(), NOW), lambda done, total: None)
    assert report.kinds[0].decisions == {"labels": 1}


@pytest.mark.parametrize(
    ("line", "decided"),
    [
        ({"edited": "x"}, {"edits"}),
        ({"label": "x"}, {"labels"}),
        ({"feedback": "up"}, {"thumbs"}),
        ({"reward": 1.0, "scores": []}, {"outcomes"}),
        ({}, set()),
    ],
)
def test_decisions_of_people_are_seen_in_the_record(line: dict[str, Any], decided: set[str]) -> None:
    assert set(recorded_in({"messages": [{"role": "user", "content": "x"}]} | line).decisions) == decided


def test_a_cloud_is_one_kind_and_clouds_apart_are_as_many() -> None:
    dice = np.random.default_rng(1)
    for seed in range(5):
        cloud = np.random.default_rng(seed).normal(size=(400, 60))
        assert not kinds_in(cloud).any()
    centres = dice.normal(size=(4, 60)) * 3
    apart = np.concatenate([centre + dice.normal(size=(80, 60)) for centre in centres])
    for find in (kinds_in, topics_in):
        found = find(apart).reshape(4, 80)
        assert len({tuple(set(row)) for row in found.tolist()}) == 4
    assert not kinds_in(np.zeros((20, 3))).any()


def test_prompts_of_one_family_share_most_of_their_words() -> None:
    families = PromptFamilies()
    assert families.number("") == 0
    said = "You help customers of the shop with their orders and you always stay polite and short. Customer: "
    numbers = [families.number(said + name) for name in ("Anna", "Bob", "Cleo")]
    assert numbers == [1, 1, 1]
    assert families.number("Sort messages.") == 2
    assert len(families.fingerprints(1)) == 3
    assert families.pattern(1) is None
    for number in range(30):
        families.number(f"{said}{chr(97 + number % 26)}{'xy'[number // 26]}")
    pattern = families.pattern(1)
    assert pattern is not None
    assert pattern.startswith("you help customers")
    assert pattern.endswith("*")


def test_a_template_is_what_enough_openings_share() -> None:
    many = [f"Classify this message: {word} lost" for word in "abcdefghij"]
    assert template_in([*many, "Classify this message: lost"]) == "Classify this message: {message}"
    assert template_in(many[:9]) is None
    assert template_in(["Hello", "Hallo"] * 10) is None


def test_the_judgments_needed_are_the_fewest_that_suffice() -> None:
    n = round(judgments_needed() / 3)

    def passes(n: int) -> bool:
        allowed = max((c for c in range(n) if binomial_tail(c, n, 0.05) <= 0.1), default=None)
        return allowed is not None and binomial_tail(allowed, n, 0.02) >= 0.8

    assert passes(n)
    assert not any(passes(fewer) for fewer in range(1, n))


def test_rules_survive_being_written(tmp_path: Path) -> None:
    assert tomllib.loads(write_rules([])) == {}
    rules = (
        Rule(
            capability="letters", prompt_like='you answer "letters"*', case=CaseFrom.TEMPLATE,
            template="Answer: {message}\n\\end",
        ),
        Rule(capability="trips", tools=("book", "pay"), application="desk"),
    )  # fmt: skip
    written = tmp_path / "tokencapital.toml"
    written.write_text(write_rules(rules), "utf-8")
    assert load_settings(written).rules == rules
