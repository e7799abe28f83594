"""Keys: what they look like, when they end, what they open."""

from __future__ import annotations

import re
import string
import zlib
from datetime import UTC, datetime, timedelta

from tokencapital.core.access import ApiKey, Caller, Scope, digest_of_secret, make_secret

AT = datetime(2026, 11, 24, tzinfo=UTC)


def number_in(text: str) -> int:
    """What is written in base 62."""
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    return sum(digits.index(one) * 62**place for place, one in enumerate(reversed(text)))


def test_a_key_is_told_from_other_text_and_never_made_twice() -> None:
    made = {make_secret() for _ in range(200)}
    assert len(made) == 200
    for secret in made:
        assert re.fullmatch("tcap_[0-9A-Za-z]{49}", secret)
        assert number_in(secret[48:]) == zlib.crc32(secret[5:48].encode())
        assert secret not in digest_of_secret(secret)


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
