from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tokencapital.account.accounts import (
    CHART,
    PROVIDERS,
    energy_account,
    energy_grade,
    find_account,
    provider_account,
    spend_account,
)
from tokencapital.core.answer import Stage
from tokencapital.core.quantity import Grade
from tokencapital.store.schema import COMMODITY_SCALES

READABLE = re.compile(r"[A-Z][A-Za-z0-9-]*(:[A-Z0-9][A-Za-z0-9-]*)+")


def test_each_account_is_listed_once_with_its_meaning_and_known_commodities() -> None:
    assert len({account.name for account in CHART}) == len(CHART)
    for account in CHART:
        assert account.meaning.endswith(".")
        assert account.commodities
        assert set(account.commodities) <= set(COMMODITY_SCALES)


def test_each_stage_and_each_known_grade_has_an_account() -> None:
    assert all(find_account(spend_account(stage)) for stage in Stage)
    for grade in Grade:
        found = find_account(energy_account(grade))
        assert (found is None) == (grade is Grade.UNKNOWN)
        assert energy_grade(energy_account(grade)) is grade


def test_accounts_outside_the_chart_do_not_exist() -> None:
    assert find_account("Equity:Plug") is None
    assert find_account("Expenses:Inference") is None
    assert find_account(f"{PROVIDERS}:") is None
    assert find_account(f"{PROVIDERS}:Openai:Extra") is None


@given(st.text())
def test_every_provider_gets_an_account_that_plain_text_accounting_can_read(provider: str) -> None:
    name = provider_account(provider)

    assert READABLE.fullmatch(name)
    assert find_account(name) is not None
