"""What secrets look like: keys of providers and services, tokens, private keys. They are taken out always.

The patterns work on text and on the bytes of JSON alike: none takes half of an escape sequence with it, and each
also begins behind one. None can take longer than the text is long: what may fail is bounded, what is unbounded ends
in a match or can begin only once in a run of letters.
"""

from __future__ import annotations

from msgspec import Struct


def _begin(sign: str, around: str = r"A-Za-z0-9_") -> str:
    """The sign where it is not within a word, nor within an escape sequence; first, so that it is found fast."""
    escaped = ESCAPE if sign[0] in "bfnrtu[" else ""
    return (
        rf"{sign}(?:(?<![{escaped}{around}]{sign})|(?<=\\[nrtbf]{sign})|(?<=\\u[0-9A-Fa-f]{{4}}{sign})"
        rf"|(?<=\\\\{sign}))"
    )


_QUOTE = r"(?:\\{0,4}[\"'])?"


ESCAPE = "<escape>"
"""In a pattern: what begins an escape sequence. Text has none, bytes of JSON have the backslash."""


class Secret(Struct, frozen=True):
    """A kind of secret. One of the `signs` is in every text that has one; what is found is the group `secret`, or
    without such a group all of it."""

    name: str
    signs: tuple[str, ...]
    pattern: str


def _key(sign: str, rest: str) -> Secret:
    return Secret("api-key", (sign,), f"{_begin(sign)}{rest}")


RUN = "-_.~+/=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
"""Each secret but a password within an address has a run of `LONG` of these; its signs stand in it or so close before
that `BEFORE` bytes hold them."""
LONG, BEFORE = 16, 48
ADDRESSED = "://"
SECRETS: tuple[Secret, ...] = (
    Secret("tcap-key", ("tcap_",), rf"{_begin('tcap_')}[0-9A-Za-z]{{49}}"),
    _key("sk-", r"[A-Za-z0-9_-]{16,}+"),
    _key("AIza", r"[0-9A-Za-z_-]{35}"),
    _key("gsk_", r"[A-Za-z0-9]{20,}+"),
    _key("xai-", r"[A-Za-z0-9]{20,}+"),
    _key("hf_", r"[A-Za-z0-9]{20,}+"),
    _key("pplx-", r"[A-Za-z0-9]{20,}+"),
    _key("nvapi-", r"[A-Za-z0-9_-]{20,}+"),
    _key("tgp_v1_", r"[A-Za-z0-9_-]{20,}+"),
    _key("glpat-", r"[A-Za-z0-9_-]{16,}+"),
    _key("npm_", r"[A-Za-z0-9]{36}"),
    _key("github_pat_", r"[A-Za-z0-9_]{22,}+"),
    Secret("api-key", ("ghp_", "gho_", "ghs_", "ghu_", "ghr_"), rf"{_begin('gh[posur]_')}[A-Za-z0-9]{{30,}}+"),
    Secret("api-key", ("_live_", "_test_"), rf"{_begin('[rs]k_[lt][ie][vs][et]_')}[A-Za-z0-9]{{16,}}+"),
    Secret("api-key", ("xox",), rf"{_begin('xox[abeoprs]-')}[A-Za-z0-9-]{{12,}}+"),
    Secret("aws-key", ("AKIA", "ASIA"), rf"{_begin('A[KS]IA')}[0-9A-Z]{{16}}(?![0-9A-Za-z])"),
    Secret(
        "aws-key",
        ("ccess_key", "ccessKey", "CCESS_KEY"),
        rf"(?i:secret_?access_?key){_QUOTE}\s{{0,8}}[:=]\s{{0,8}}{_QUOTE}"
        r"(?P<secret>(?:\\{0,4}/|[A-Za-z0-9+]){40})(?![A-Za-z0-9+/])",
    ),
    Secret(
        "jwt",
        ("eyJ",),
        rf"{_begin('eyJ', 'A-Za-z0-9_.-')}[A-Za-z0-9_-]{{8,}}+\.eyJ[A-Za-z0-9_-]{{8,}}+\.[A-Za-z0-9_-]{{8,}}+",
    ),
    Secret(
        "bearer",
        ("earer ", "EARER "),
        r"(?i:bearer)\x20{1,4}(?P<secret>(?=[A-Za-z._~+/-]{0,64}[0-9])(?:\\{0,4}/|[A-Za-z0-9._~+-]){16,}+={0,2})",
    ),
    Secret(
        "private-key",
        ("PRIVATE KEY-----",),
        r"-----BEGIN [A-Z0-9 ]{0,24}PRIVATE KEY-----"
        r"(?:[A-Za-z0-9+/=:,.\s]++|\\[nrt/\\]|-(?!----))*+"
        r"(?:-----END [A-Z0-9 ]{0,24}PRIVATE KEY-----)?",
    ),
    Secret("password", (ADDRESSED,), r"://[^/\s:@\"'\\]{1,64}:(?P<secret>[^/\s:@\"'\\\[\]]{3,128})@"),
)
