"""The chart of accounts, as data. An account that is not listed here cannot be booked on."""

from __future__ import annotations

import re

from msgspec import Struct

from tokencapital.core.answer import Stage
from tokencapital.core.quantity import Grade

USD, TOK, JOULE, MINUTE = "USD", "TOK", "JOULE", "MINUTE"

SPEND = "Expenses:Inference:Spend"
TOKENS_INPUT = "Expenses:Inference:Tokens:Input"
TOKENS_CACHE_READ = "Expenses:Inference:Tokens:CacheRead"
TOKENS_CACHE_WRITE = "Expenses:Inference:Tokens:CacheWrite"
TOKENS_OUTPUT = "Expenses:Inference:Tokens:Output"
ENERGY = "Expenses:Energy"
LEARNING = "Expenses:Learning:"
REVIEW = "Expenses:Learning:Review"
EVALS = "Expenses:Learning:Evals"
TRAINING = "Expenses:Learning:Training"

PROVIDERS = "Liabilities:Providers"
WAGES = "Liabilities:Staff:Wages"
MACHINE_TIME = "Assets:Machine:Time"
SUPPLY_TOKENS = "Equity:Supply:Tokens"
SUPPLY_ENERGY = "Equity:Supply:Energy"
MINUTES_MEASURED = "Equity:Supply:Minutes:Measured"
MINUTES_ASSUMED = "Equity:Supply:Minutes:Assumed"


class Account(Struct, frozen=True):
    """One account: its name, the commodities that it may hold, and in one line what stands on it.

    `{Provider}` in a name stands for any one provider.
    """

    name: str
    commodities: tuple[str, ...]
    meaning: str


CHART: tuple[Account, ...] = (
    Account(f"{SPEND}:Recall", (USD,), "Answering cases out of what people had judged before."),
    Account(f"{SPEND}:Specialist", (USD,), "Answering cases by the specialist."),
    Account(f"{SPEND}:Generalist", (USD,), "Answering cases by a generalist, earlier stages included."),
    Account(f"{SPEND}:Person", (USD,), "Machine work on cases that no stage was sure of and a person had to answer."),
    Account(TOKENS_INPUT, (TOK,), "Tokens read by generalists that were not in a cache."),
    Account(TOKENS_CACHE_READ, (TOK,), "Tokens that a provider read out of its cache."),
    Account(TOKENS_CACHE_WRITE, (TOK,), "Tokens that a provider wrote into its cache."),
    Account(TOKENS_OUTPUT, (TOK,), "Tokens generated, reasoning included."),
    Account(f"{ENERGY}:Measured", (JOULE,), "Energy read from a counter."),
    Account(f"{ENERGY}:Attributed", (JOULE,), "A share of measured energy, split over work done at the same time."),
    Account(f"{ENERGY}:Estimated", (JOULE,), "Energy computed from time or tokens by a stated formula."),
    Account(f"{ENERGY}:Assumed", (JOULE,), "Energy that the owner declared."),
    Account(REVIEW, (USD, MINUTE), "People's time on judgments, and what it cost at the declared wage."),
    Account(EVALS, (USD,), "Scoring candidates and live releases."),
    Account(TRAINING, (USD,), "Making specialists, prompts and thresholds."),
    Account(f"{PROVIDERS}:{{Provider}}", (USD,), "Owed to one provider of rented models."),
    Account(WAGES, (USD,), "Owed to staff for their minutes, at the declared wage."),
    Account(MACHINE_TIME, (USD,), "Time of our own machine that was used up, at its declared hourly price."),
    Account(SUPPLY_TOKENS, (TOK,), "Where booked tokens came from: all that models read and wrote for us."),
    Account(SUPPLY_ENERGY, (JOULE,), "Where booked joules came from: the facility's supply."),
    Account(MINUTES_MEASURED, (MINUTE,), "Where booked minutes came from, as far as somebody measured them."),
    Account(MINUTES_ASSUMED, (MINUTE,), "Where booked minutes came from, at the declared minutes per judgment."),
)

_BY_NAME = {account.name: account for account in CHART}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9-]+")


def find_account(name: str) -> Account | None:
    """The account that a posting's name belongs to. None: it is not in the chart."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    parent, _, last = name.rpartition(":")
    return _BY_NAME[f"{PROVIDERS}:{{Provider}}"] if parent == PROVIDERS and last else None


def spend_account(stage: Stage) -> str:
    """Where the dollars of an answer stand, by the stage that stands for it."""
    return f"{SPEND}:{stage.value.capitalize()}"


def energy_account(grade: Grade) -> str:
    """Where joules of a known grade stand."""
    return f"{ENERGY}:{grade.value.capitalize()}"


def energy_grade(account: str) -> Grade:
    """The grade of the joules on an energy account."""
    return Grade(account.rpartition(":")[2].lower())


def provider_account(provider: str) -> str:
    """What is owed to a provider, named so that plain-text accounting can read it.

    Providers without one ASCII letter or digit in their names share the account `Unnamed`.
    """
    name = _NOT_IN_NAMES.sub("-", provider).strip("-") or "Unnamed"
    return f"{PROVIDERS}:{name[:1].upper()}{name[1:]}"
