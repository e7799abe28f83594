"""The rules at work: from a request to the rule that names its kind of work, in microseconds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from msgspec import Struct

from tokencapital.core.case import Json
from tokencapital.core.errors import SettingsError
from tokencapital.models.base import Embedder
from tokencapital.serve.relay_ports import Asked
from tokencapital.serve.rules import RULE_TAG, Rule, check_rules, is_glob, name_of, pattern_of
from tokencapital.serve.rules_meaning import Meanings, opening_of, read_centre
from tokencapital.serve.rules_prompt import Prompts

TAG_HEADER = "x-tcap-tag-"


class _Named(Struct, frozen=True):
    name: str = ""


class _Tool(Struct, frozen=True):
    name: str = ""
    function: _Named = _Named()


class _Metadata(Struct):
    metadata: dict[str, Json] | None = None


class _Tools(Struct):
    tools: list[_Tool] | None = None


_METADATA = msgspec.json.Decoder(_Metadata)
_TOOLS = msgspec.json.Decoder(_Tools)


class Rules:
    """All rules of a house. Raises SettingsError for one that can never be the first to fit.

    `embedder` is needed only where a rule goes by meaning.
    """

    def __init__(self, rules: Sequence[Rule], embedder: Embedder | None = None) -> None:
        check_rules(rules)
        self.rules = tuple(rules)
        self._plain = [_Matcher(rule) for rule in rules if rule.meaning is None]
        meant = [_Matcher(rule) for rule in rules if rule.meaning is not None]
        self._meant = meant
        self._meanings = _meanings([one.rule for one in meant], embedder) if meant else None
        self._tagged = any(rule.tags for rule in rules)
        self._prompts = Prompts()
        self._kept_headers = tuple(sorted({header for rule in rules for header in _headers_read(rule)}))

    def find(self, asked: Asked) -> tuple[Rule | None, dict[str, str]]:
        """The first rule that fits the request, and the tags that are kept with it. None: no rule fits."""
        seen = _Seen(asked, self._tags(asked), self._prompts)
        found = next((one for one in self._plain if one.fits(seen)), None)
        if found is None and self._meanings is not None:
            found = self._by_meaning(seen)
        tags = seen.tags
        for header in self._kept_headers:
            if header in asked.headers:
                tags[header] = asked.headers[header]
        if found is None:
            return None, tags
        tags[RULE_TAG] = found.name
        return found.rule, tags

    def _by_meaning(self, seen: _Seen) -> _Matcher | None:
        """The rule whose centre is nearest among those that fit in all else."""
        fitting = [number for number, one in enumerate(self._meant) if one.fits(seen)]
        if not fitting or self._meanings is None:
            return None
        nearest = self._meanings.nearest(opening_of(seen.asked.body))
        return self._meant[nearest] if nearest is not None and nearest in fitting else None

    def _tags(self, asked: Asked) -> dict[str, str]:
        tags = {name[len(TAG_HEADER) :]: value for name, value in asked.headers.items() if name.startswith(TAG_HEADER)}
        if self._tagged and b'"metadata"' in asked.body:
            tags = {**_metadata_of(asked.body), **tags}
        return tags


class _Seen:
    """What a request shows, each part looked at once and only when a rule asks for it."""

    __slots__ = ("_prompt", "_prompts", "_tools", "asked", "tags")

    def __init__(self, asked: Asked, tags: dict[str, str], prompts: Prompts) -> None:
        self.asked = asked
        self.tags = tags
        self._prompts = prompts
        self._prompt: tuple[str, str] | None = None
        self._tools: frozenset[str] | None = None

    @property
    def prompt(self) -> tuple[str, str]:
        """The prompt's fingerprint and skeleton."""
        if self._prompt is None:
            self._prompt = self._prompts.of(self.asked.wire, self.asked.body)
        return self._prompt

    @property
    def tools(self) -> frozenset[str]:
        """The names of the tools that the request offers."""
        if self._tools is None:
            self._tools = _tools_of(self.asked.body)
        return self._tools


class _Matcher:
    """One rule, its patterns made."""

    __slots__ = ("_checks", "name", "rule")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.name = name_of(rule)
        self._checks = _checks_of(rule)

    def fits(self, seen: _Seen) -> bool:
        """Whether the request fits all that the rule names, what is cheapest to see first."""
        for check in self._checks:  # noqa: SIM110  a generator costs more than the checks
            if not check(seen):
                return False
        return True


def _checks_of(rule: Rule) -> list[Callable[[_Seen], object]]:
    checks: list[Callable[[_Seen], object]] = []
    if rule.application is not None:
        checks.append(lambda seen: seen.asked.caller.application == rule.application)
    if rule.wire is not None:
        checks.append(lambda seen: seen.asked.wire is rule.wire)
    if rule.model is not None:
        model = _test(rule.model)
        checks.append(lambda seen: model(seen.asked.model))
    if rule.path is not None:
        path = _test(rule.path)
        checks.append(lambda seen: path(seen.asked.path))
    headers = [(name.lower(), pattern_of(value)) for name, value in rule.headers.items()]
    if headers:
        checks.append(lambda seen: _all_fit(headers, seen.asked.headers))
    tags = [(name, pattern_of(value)) for name, value in rule.tags.items()]
    if tags:
        checks.append(lambda seen: _all_fit(tags, seen.tags))
    return checks + _costly_checks(rule)


def _costly_checks(rule: Rule) -> list[Callable[[_Seen], object]]:
    """Those that have to read the body."""
    checks: list[Callable[[_Seen], object]] = []
    if rule.prompt:
        prompts = frozenset(rule.prompt)
        checks.append(lambda seen: seen.prompt[0] in prompts)
    if rule.prompt_like is not None:
        words = pattern_of(rule.prompt_like).fullmatch
        checks.append(lambda seen: words(seen.prompt[1]))
    if rule.tools:
        tools = frozenset(rule.tools)
        checks.append(lambda seen: not tools.isdisjoint(seen.tools))
    return checks


def _test(pattern: str) -> Callable[[str], object]:
    """True of texts that fit the pattern."""
    return pattern_of(pattern).fullmatch if is_glob(pattern) else pattern.__eq__


def _all_fit(patterns: Sequence[tuple[str, re.Pattern[str]]], of: Mapping[str, str]) -> bool:
    """Whether each name is there with a value that fits."""
    for name, pattern in patterns:
        value = of.get(name)
        if value is None or not pattern.fullmatch(value):
            return False
    return True


def _headers_read(rule: Rule) -> list[str]:
    """The headers that tell group and key, which must be kept with the call."""
    places = (rule.group_from, rule.key_from)
    return [place.removeprefix("header:").lower() for place in places if place and place.startswith("header:")]


def _meanings(rules: Sequence[Rule], embedder: Embedder | None) -> Meanings:
    if embedder is None:
        raise SettingsError("a rule goes by meaning, and there is no embedder", where="rules")
    centres = []
    for rule in rules:
        centre = read_centre(rule.meaning or "", embedder.dimensions)
        if centre is None:
            raise SettingsError(
                f"the `meaning` of a rule for `{rule.capability}` is no centre of {embedder.dimensions} dimensions",
                where="rules",
                remedy="Copy it as `tcap look --rules` wrote it.",
            )
        centres.append(centre)
    return Meanings(embedder, np.stack(centres))


def _metadata_of(body: bytes) -> dict[str, str]:
    try:
        found = _METADATA.decode(body).metadata or {}
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _tools_of(body: bytes) -> frozenset[str]:
    try:
        tools = _TOOLS.decode(body).tools or []
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return frozenset()
    return frozenset(tool.name or tool.function.name for tool in tools)
