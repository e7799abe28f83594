"""Kinds of personal data that are known by their shape, for whoever wants them taken out: most have a checksum."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum

from msgspec import Struct


class Known(StrEnum):
    """What can be taken out by name."""

    EMAIL = "email"
    PHONE = "phone"
    IBAN = "iban"
    CARD = "card"


class Shape(Struct, frozen=True):
    """A pattern, and whether what it found is what it looks like.

    `signs`: one of them is in every text that has one; empty: there is none such.
    """

    pattern: re.Pattern[str]
    is_one: Callable[[str], bool]
    signs: tuple[str, ...] = ()

    def length(self, found: str) -> int:
        """How much of what was found is one: all of it, or of several words the first ones; 0: nothing."""
        while found:
            if self.is_one(found):
                return len(found)
            found = found.rpartition(" ")[0]
        return 0


def is_iban(text: str) -> bool:
    """Whether the checksum of an international bank account number is right (ISO 13616, modulo 97)."""
    plain = text.replace(" ", "").upper()
    if not 15 <= len(plain) <= 34:
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(letter, 36)) for letter in turned)) % 97 == 1


def is_card(text: str) -> bool:
    """Whether the checksum of a payment card's number is right (ISO/IEC 7812, Luhn)."""
    digits = [int(letter) for letter in text if letter.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_phone(text: str) -> bool:
    """Whether there are as many digits as a telephone number has (ITU-T E.164)."""
    return 7 <= sum(letter.isdigit() for letter in text) <= 15


def _anything(_text: str) -> bool:
    return True


SHAPES: Mapping[Known, Shape] = {
    Known.EMAIL: Shape(
        re.compile(
            r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}+@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}(?![A-Za-z0-9])"
        ),
        _anything,
        ("@",),
    ),
    Known.IBAN: Shape(
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?![A-Za-z0-9])", re.ASCII), is_iban
    ),
    Known.CARD: Shape(re.compile(r"(?<![\w.+-])(?<!\d[ -])[2-6](?:[ -]?\d){12,18}(?![\w-])", re.ASCII), is_card),
    Known.PHONE: Shape(
        re.compile(
            r"(?<![\w.+-])(?<!\d[ -])(?:\+|00|\(0|0(?=\d{1,5}[ /-]))\d(?:[ ()/.-]{0,2}\d){5,14}(?![\w-])", re.ASCII
        ),
        is_phone,
    ),
}
"""In the order in which they are looked for: parts of an account's number look like a telephone's."""
