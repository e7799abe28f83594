"""What may not be kept is taken out, wherever it stands, and JSON stays JSON."""

from __future__ import annotations

import json
from time import perf_counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.access import make_secret
from tokencapital.core.case import Message, ToolCall
from tokencapital.record.redaction import Redaction
from tokencapital.record.redaction_known import Known, is_card, is_iban
from tokencapital.record.redaction_stream import hidden_in_pieces
from tokencapital.record.redaction_time import check_pattern

BODY64 = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
FOUND = {
    "sk-proj-" + "aB3" * 12: "api-key",
    "sk-ant-api03-" + "xY9_" * 10: "api-key",
    "AIza" + "S1" * 17 + "x": "api-key",
    "gsk_" + "a1B2" * 8: "api-key",
    "ghp_" + "Ab1" * 12: "api-key",
    "xoxb-1234567890-abcdefghij": "api-key",
    "AKIA" + "ABCD1234" * 2: "aws-key",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1g": "jwt",
    make_secret(): "tcap-key",
    f"-----BEGIN RSA PRIVATE KEY-----\n{BODY64}\n{BODY64}\n-----END RSA PRIVATE KEY-----": "private-key",
}
AROUND = ("{}", "see {} there", "line\n{}\nline", "tab\t{}", "é{}", '"{}"', "key={}", "back\\{}", "({})", 'a "b" {}')
redaction = Redaction()


@pytest.mark.parametrize("secret", FOUND, ids=lambda secret: secret[:5])
@pytest.mark.parametrize("around", AROUND)
def test_a_secret_is_found_wherever_it_stands(secret: str, around: str) -> None:
    text = around.format(secret)
    cleaned, count = redaction.text(text)
    assert cleaned == around.format(f"[redacted:{FOUND[secret]}]") and count == 1
    nested = json.dumps({"arguments": json.dumps({"note": text}), "plain": text})
    for written in (nested, json.dumps({"plain": text, "nested": nested}), json.dumps([text], ensure_ascii=False)):
        body, count = redaction.body(written.encode())
        assert count and secret[6:-6].encode() not in body
        json.loads(body)
        assert redaction.body(body) == (body, 0)


def test_escapes_of_plain_letters_hide_nothing() -> None:
    secret = "sk-proj-" + "aB3" * 12
    hidden = '{"a": "' + "".join(f"\\u{ord(letter):04x}" for letter in secret) + '"}'
    assert json.loads(redaction.body(hidden.encode())[0]) == {"a": "[redacted:api-key]"}


def test_only_the_secret_part_is_taken_out() -> None:
    assert redaction.text("Bearer abcdef1234567890abcdef")[0] == "Bearer [redacted:bearer]"
    assert redaction.text("postgres://me:pass@host/db")[0] == "postgres://me:[redacted:password]@host/db"
    own = Redaction(literals=["Plain-Azure-Key"])
    assert own.body(b'{"a":"Plain-Azure-Key"}') == (b'{"a":"[redacted:secret]"}', 1)


@pytest.mark.parametrize(
    "text",
    ["risk-adjusted-return-on-capital", "the task-oriented disk-based thing", "Bearer of good news for everyone"],
)
def test_words_are_no_secrets(text: str) -> None:
    assert redaction.text(text) == (text, 0)


@given(
    st.recursive(st.text() | st.integers() | st.none(), lambda some: st.lists(some) | st.dictionaries(st.text(), some))
)
def test_what_holds_nothing_stays_byte_for_byte(value: object) -> None:
    body = json.dumps(value).encode()
    assert redaction.body(body) == (body, 0)


@given(st.binary(max_size=300))
def test_no_bytes_are_too_broken(body: bytes) -> None:
    everything = Redaction(list(Known), {"customer": r"KD-\d{6}"})
    everything.body(body)
    everything.body(b'{"a": "' + body)


def test_personal_data_goes_where_it_is_asked_for_and_checksums_are_checked() -> None:
    everything = Redaction(list(Known), {"customer": r"KD-\d{6}"})
    text = "ines@example.com, +49 170 1234567, DE89 3704 0044 0532 0130 00, 4111 1111 1111 1111, KD-123456"
    cleaned, count = everything.text(text)
    assert count == 5
    assert cleaned.split(", ") == [f"[redacted:{name}]" for name in ("email", "phone", "iban", "card", "customer")]
    kept = "DE89 3704 0044 0532 0130 01 and 4111 1111 1111 1112 and created 1732456789123"
    assert everything.text(kept) == (kept, 0)
    assert redaction.text(text) == (text, 0)
    body, _ = everything.body(b'{"card": 4111111111111111, "mail": "a\\u0040b.example", "n": 1.50}')
    assert body == b'{"card": "[redacted:card]", "mail": "[redacted:email]", "n": 1.50}'
    assert is_iban("GB82 WEST 1234 5698 7654 32") and not is_iban("GB82") and not is_card("0" * 16)


def test_messages_are_cleaned_in_all_their_parts() -> None:
    secret = "sk-proj-" + "aB3" * 12
    said = Message(
        "user", secret, name="n", tool_calls=(ToolCall("1", "f", json.dumps({"k": secret})),), parts=({"x": [secret]},)
    )
    (cleaned,), count = redaction.messages([said])
    assert count == 3 and secret.encode() not in msgspec.json.encode(cleaned)
    assert redaction.messages([Message("user", "hello")]) == ((Message("user", "hello"),), 0)


def stream(*pieces: str, places: tuple[int, ...] = ()) -> bytes:
    found = [
        {"choices": [{"index": places[at] if places else 0, "delta": {"content": piece}}]}
        for at, piece in enumerate(pieces)
    ]
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in found) + b"data: [DONE]\n\n"


def test_a_secret_spread_over_pieces_is_seen() -> None:
    secret = "sk-proj-" + "aB3" * 12
    assert hidden_in_pieces(stream("my key: sk", secret[2:9], secret[9:], " ok"), redaction)
    assert hidden_in_pieces(stream(secret[:30], secret[30:]), redaction)
    assert not hidden_in_pieces(stream("my key", secret, " is kept"), redaction)
    mixed = stream(secret[:9], "other", secret[9:], "words", places=(0, 1, 0, 1))
    assert hidden_in_pieces(mixed, redaction)
    assert hidden_in_pieces(stream("ines", "@exam", "ple.com"), Redaction([Known.EMAIL]))


@pytest.mark.parametrize("pattern", [r"KD-(\d+)+x", r"(a|a)*b", r".*.*.*=", r"\w+-\w+", "(", "a*"])
def test_a_pattern_that_can_take_long_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="the pattern `slow`"):
        check_pattern("slow", pattern)


@pytest.mark.parametrize("pattern", [r"KD-\d{6}", r"\b\w{1,40}-\w{1,40}", r"(?:Herr|Frau) [A-Z][a-z]+"])
def test_a_pattern_that_is_quick_is_taken(pattern: str) -> None:
    check_pattern("quick", pattern)


@pytest.mark.parametrize("piece", ["eyJ", "sk-", "-----BEGIN PRIVATE KEY-----", "://a:", "bearer a", "A" * 20, "\\n"])
def test_no_text_takes_longer_than_it_is_long(piece: str) -> None:
    everything = Redaction(list(Known))
    long = ('{"a": "' + piece * (400_000 // len(piece)) + '"}').encode()
    started = perf_counter()
    everything.body(long)
    assert perf_counter() - started < 4


def test_a_body_without_secrets_costs_next_to_nothing() -> None:
    words = "the customer wrote that order number 4711 has not arrived since Monday and waits for an answer "
    body = json.dumps({"id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "content": words * 43}).encode()
    times = []
    for _ in range(200):
        started = perf_counter()
        redaction.body(body)
        times.append(perf_counter() - started)
    assert min(times) < 60e-6
