"""Putting a lesson into words: a person's own reason, or a generalist's sentence where it passes the same checks."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from tokencapital.core.case import Json, Message
from tokencapital.core.errors import InputError, ModelError
from tokencapital.core.lesson import LONGEST, one_sentence
from tokencapital.core.quantity import Usage
from tokencapital.improve.corrections import FEWEST_ENTITIES, Finding, Kind
from tokencapital.models.base import Completion, ModelClient, ModelRequest
from tokencapital.models.tokens import label_text

FEWEST_WORDS = 4
"""A reason of fewer words is no lesson."""
_COPIED_WORDS = 6
"""So many words in a row of what came in are a copy of it."""
_MOST_TOKENS = 120
_MOST_SHOWN = 5
_SHOWN_CHARACTERS = 400
_LONGEST_LABEL = 80

_WORDS = re.compile(r"\w+")
_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=\S)")
_ADDRESS = re.compile(r"\S+@\S+|https?://|www\.", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“”«»][^\"“”«»]*[\"“”«»]")
_CAPITAL = re.compile(r"(?<=[\w,;:] )[A-Z]\w+")
_PROSE = re.compile(r"[.!?,](\s|$)")
_BEFORE_SIGNS = re.compile(r"\s+([,.;:!?])")
_CODE = re.compile(r"`[^`]*`")
_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"lesson": {"type": "string"}},
    "required": ["lesson"],
    "additionalProperties": False,
}
_TASK = """You write one rule for the colleagues who do this work, as JSON: {"lesson": "..."}.
It is one sentence of at most 30 words, in general words.
It names no person, customer, number or date, and quotes nobody."""


class Sources(Struct, frozen=True):
    """What stands behind a lesson: what came in, by entity, and which words are the house's own."""

    heard: tuple[tuple[str, str], ...]
    own_words: frozenset[str]

    @staticmethod
    def of(found: Sequence[Finding]) -> Sources:
        """The sources of like corrections."""
        heard = tuple((one.case.judged.case.group, "\n".join([one.case.heard, *_values(one)])) for one in found)
        about = [text for one in found for text in (one.about.field, *_where(one), *_labels(one))]
        return Sources(heard, frozenset(word for text in about for word in _WORDS.findall(text)))


class Worded(Struct, frozen=True):
    """What a generalist made of a lesson: `text` None: nothing that passes. `completion` None: it failed."""

    text: str | None
    completion: Completion | None = None

    @property
    def usage(self) -> Usage:
        """The tokens that it took; unknown where the call failed."""
        return Usage(None, None) if self.completion is None else self.completion.usage


def complaint(text: str, sources: Sources) -> str | None:
    """Why the text may not be a lesson; None: it may.

    It is one short sentence; names no address, nothing with a digit that came in, no name that fewer than
    FEWEST_ENTITIES entities have in what came in; and repeats no _COPIED_WORDS words in a row of it.
    """
    try:
        said = one_sentence(text)
    except InputError as error:
        return error.what
    if len(_WORDS.findall(said)) < FEWEST_WORDS:
        return f"it has fewer than {FEWEST_WORDS} words"
    if _ADDRESS.search(said):
        return "it has an address"
    if _copies(said, sources):
        return "it repeats what came in"
    named = next((word for word in _names(said, sources)), None)
    return None if named is None else "it names somebody or something of a few customers alone"


def mentions(text: str, found: Sequence[Finding]) -> bool:
    """Whether the text says which answer or field is meant, as it is written or in words."""
    about = found[0].about
    wanted = about.field or _as_label(about.right)
    return wanted.lower() in text.lower() or label_text(wanted).lower() in text.lower()


def reason_as_lesson(reason: str, found: Sequence[Finding], sources: Sources) -> str | None:
    """A person's reason as one sentence that says which answer is meant; None: it is not clear enough by itself.

    What stands in quotes is taken out; of several sentences the first that passes the checks is taken.
    """
    unquoted = _QUOTED.sub("", _CODE.sub(lambda code: code[0].replace('"', ""), reason))
    for sentence in _SENTENCES.split(_BEFORE_SIGNS.sub(r"\1", " ".join(unquoted.split()))):
        if len(_WORDS.findall(sentence)) < FEWEST_WORDS:
            continue
        said = sentence if mentions(sentence, found) else f"{_subject(found)}: {_continued(sentence)}"
        if len(said) <= LONGEST and complaint(said, sources) is None:
            return one_sentence(said)
    return None


async def ask_for_wording(client: ModelClient, found: Sequence[Finding], fallback: str | None, seed: int) -> Worded:
    """A generalist's sentence for like corrections, where it passes the checks and says which answer is meant."""
    request = ModelRequest(
        messages=(Message("system", _TASK), Message("user", _facts(found, fallback))),
        max_tokens=_MOST_TOKENS,
        seed=seed,
        schema=_SCHEMA,
    )
    try:
        completion = await client.complete(request)
    except ModelError:
        return Worded(None)
    said = _lesson_in(completion.text)
    good = said is not None and complaint(said, Sources.of(found)) is None and mentions(said, found)
    return Worded(one_sentence(said) if said is not None and good else None, completion)


def _facts(found: Sequence[Finding], fallback: str | None) -> str:
    about = found[0].about
    lines = [f"Where {name} is {value}." for name, value in about.where]
    if about.kind is Kind.ANSWER and about.given:
        lines += [f"The machine answered: {_short(about.given)}", f"People answered: {_short(about.right)}"]
    elif about.field:
        lines.append(f"The machine had the field `{about.field}` wrong.")
    lines += [f"Why, as a colleague said: {_short(reason)}" for reason in _reasons(found)]
    lines += [f"What we know: {fallback}"] if fallback else []
    named = about.field or _as_label(about.right)
    lines += [f"The sentence must name `{named}`."] if named else []
    return "\n".join(lines)


def _reasons(found: Sequence[Finding]) -> list[str]:
    return list(dict.fromkeys(one.reason for one in found if one.reason))[:_MOST_SHOWN]


def _subject(found: Sequence[Finding]) -> str:
    about = found[0].about
    where = "".join(f"`{name}` `{value}`, " for name, value in about.where)
    if about.field:
        return f"{where}`{about.field}`"
    right, given = _as_label(about.right), _as_label(about.given)
    return f"{where}`{right}`" + (f", not `{given}`" if given else "")


def _continued(sentence: str) -> str:
    """The sentence as it goes on after a colon."""
    return sentence[0].lower() + sentence[1:] if sentence[1:2].islower() else sentence


def _copies(said: str, sources: Sources) -> bool:
    runs = set(_runs(said))
    return any(runs & set(_runs(text)) for _, text in sources.heard)


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    words = _WORDS.findall(text.lower())
    return (tuple(words[at : at + _COPIED_WORDS]) for at in range(len(words) - _COPIED_WORDS + 1))


def _names(said: str, sources: Sources) -> Iterator[str]:
    """Words of the text that may name a customer: with a digit that came in, or a name that few entities have.

    A word is taken for a name where it has a capital inside the text, or is never without one in what came in.
    """
    users = Counter(
        word for _, word in {(g, word.lower()) for g, text in sources.heard for word in _WORDS.findall(text)}
    )
    capital = {word.lower() for _, text in sources.heard for word in _CAPITAL.findall(text)}
    plain = {word for _, text in sources.heard for word in _WORDS.findall(text) if word.islower()}
    inside = set(_CAPITAL.findall(said))
    own = {word.lower() for word in sources.own_words}
    for word in _WORDS.findall(said):
        low = word.lower()
        if low in own or low not in users:
            continue
        is_name = word in inside or (low in capital and low not in plain)
        if any(map(str.isdigit, word)) or (is_name and users[low] < FEWEST_ENTITIES):
            yield word


def _where(finding: Finding) -> list[str]:
    return [word for pair in finding.about.where for word in pair]


def _values(finding: Finding) -> list[str]:
    """The values of both objects, which may be a customer's."""
    both = (finding.case.given, finding.case.judged.judgment.answer)
    return [value for one in both if isinstance(one, dict) for value in one.values() if isinstance(value, str)]


def _labels(finding: Finding) -> list[str]:
    """The answers of a label contract, which are the company's words; a longer text or a field's value is not."""
    about = finding.about
    return [] if about.field else [_as_label(about.given), _as_label(about.right)]


def _as_label(answer: str) -> str:
    """An answer that is a label, which is the company's word; empty for a text, which is not."""
    return answer if len(answer) <= _LONGEST_LABEL and not _PROSE.search(answer) else ""


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _lesson_in(text: str) -> str | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    said = found.get("lesson") if isinstance(found, dict) else None
    return said.strip() if isinstance(said, str) and said.strip() else None
