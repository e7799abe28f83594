"""Keys: what they look like, when they end, what they open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.access import ApiKey, Caller, Scope, digest_of_secret, is_secret, make_secret

AT = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_key_is_told_from_other_text_and_never_made_twice() -> None:
    made = {make_secret() for _ in range(200)}
    assert len(made) == 200
    for secret in made:
        assert is_secret(secret)
        assert len(secret) == 54
        assert secret not in digest_of_secret(secret)


@given(st.integers(5, 53), st.sampled_from("0aZ-_ "))
def test_a_key_that_was_miscopied_is_none(place: int, letter: str) -> None:
    secret = make_secret()
    changed = secret[:place] + letter + secret[place + 1 :]
    assert is_secret(changed) == (changed == secret)


@pytest.mark.parametrize(
    "text",
    ["", "tcap_", "sk-proj-abc", make_secret()[:-1], make_secret() + "0", "TCAP_" + "0" * 49],
    ids=["nothing", "prefix", "another", "short", "long", "capitals"],
)
def test_what_is_no_key_is_not_taken_for_one(text: str) -> None:
    assert not is_secret(text)


def test_a_key_ends_when_it_is_revoked_or_its_time_has_come() -> None:
    key = ApiKey(id="key_1", application="crm", scopes=frozenset({Scope.INFER}), at=AT, by="maria")
    assert key.why_refused(AT + timedelta(days=4000)) is None
    ending = ApiKey(
        id="key_1", application="crm", scopes=key.scopes, at=AT, by="maria", expires_at=AT + timedelta(days=1)
    )
    assert ending.why_refused(AT + timedelta(days=1) - timedelta(microseconds=1)) is None
    assert "expired" in (ending.why_refused(AT + timedelta(days=1)) or "")
    gone = ApiKey(id="key_1", application="crm", scopes=key.scopes, at=AT, by="maria", revoked_at=AT)
    assert "revoked" in (gone.why_refused(AT) or "")


def test_admin_opens_everything_and_others_themselves() -> None:
    for held in Scope:
        caller = Caller(scopes=frozenset({held}))
        assert {wanted for wanted in Scope if caller.may(wanted)} == (set(Scope) if held is Scope.ADMIN else {held})
