"""Passwords are kept as secrets that cost time to check, also where there is none."""

from __future__ import annotations

import argon2
import pytest

from tokencapital.app import passwords
from tokencapital.app.passwords import FEWEST, is_dated, make_secret, matches
from tokencapital.core.errors import InputError

SENTENCE = "a sentence that nobody guesses"


def test_only_the_password_fits_its_secret() -> None:
    secret = make_secret(SENTENCE)
    assert SENTENCE not in secret
    assert secret != make_secret(SENTENCE)
    assert matches(secret, f" {SENTENCE}\n")
    for wrong in ("", SENTENCE[:-1], SENTENCE.upper(), "x" * 10_000):
        assert not matches(secret, wrong)
    assert not matches("no secret at all", SENTENCE)
    assert not is_dated(secret)
    assert is_dated(argon2.PasswordHasher(time_cost=1, memory_cost=1024).hash(SENTENCE))


def test_nobodys_secret_costs_what_others_cost_and_opens_nothing() -> None:
    nobodys = passwords._nobodys()
    assert argon2.extract_parameters(nobodys) == argon2.extract_parameters(make_secret(SENTENCE))
    assert not matches(None, SENTENCE)


@pytest.mark.parametrize("short", ["", "x" * (FEWEST - 1), f"   {'x' * (FEWEST - 1)}   ", "x" * 1_001])
def test_what_is_no_password_is_refused(short: str) -> None:
    with pytest.raises(InputError):
        make_secret(short)
