"""A generalist of known ability, as a rule: right as often as it was made to be, by a keyed hash of what it is asked.

It has to be told the truth, so that it can be asked about the work of a simulated organization only.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tokencapital.core.case import Value
from tokencapital.core.errors import InputError
from tokencapital.core.split import unit_hash

GAIN = 0.5
"""Of what it gets wrong with a plain prompt, the part that it gets right with exemplars, unless said otherwise."""
NO_IDEA = "I do not know."


class Ability(Struct, frozen=True):
    """The share of cases that it gets right: `plain`, and with exemplars `shown`. Both are in [0, 1]."""

    plain: float
    shown: float

    def __post_init__(self) -> None:
        if not (0 <= self.plain <= 1 and 0 <= self.shown <= 1):
            raise InputError(
                f"an ability of {self.plain:g}/{self.shown:g} is no share of cases",
                remedy="Give shares between 0 and 1.",
            )


KNOWN = {"weak": Ability(0.3, 0.5), "middling": Ability(0.5, 0.7), "strong": Ability(0.8, 0.9)}


class Guess(Struct, frozen=True):
    """An answer, and how certain of it the generalist says it is, in (0, 1]: more so where it is right."""

    value: Value
    certainty: float


class ScriptedMind(Struct, frozen=True, kw_only=True):
    """A generalist of known ability. Two of different names are wrong on different cases."""

    name: str
    ability: Ability
    seed: int = 0

    def guess(self, text: str, truth: Value, labels: Sequence[str] | None, *, shown: bool) -> Guess:
        """What it says of a case: always the same; who is right with a plain prompt is also right with exemplars.

        A wrong answer is another label, an object with one field missed, or no idea.
        """
        share = self.ability.shown if shown else self.ability.plain
        doubt = self._chance("doubt", text)
        if self._chance("right", text) < share:
            return Guess(truth, 1 - 0.5 * doubt)
        return Guess(self._wrong(text, truth, labels), 0.8 * (1 - doubt) + 0.01)

    def _wrong(self, text: str, truth: Value, labels: Sequence[str] | None) -> Value:
        if isinstance(truth, dict):
            names = sorted(truth)
            return truth | {names[int(self._chance("which", text) * len(names))]: NO_IDEA} if names else {"?": NO_IDEA}
        others = [label for label in labels or () if label != truth]
        return others[int(self._chance("which", text) * len(others))] if others else NO_IDEA

    def _chance(self, *asked: str) -> float:
        return unit_hash(self.seed.to_bytes(8, "big"), "scripted", self.name, *asked)


def scripted_mind(named: str) -> ScriptedMind:
    """The mind that `NAME`, `NAME=PLAIN` or `NAME=PLAIN/SHOWN` names; a NAME that is a number is its ability.

    Raises InputError for one that is neither known nor told.
    """
    name, told, abilities = named.partition("=")
    if not told and name in KNOWN:
        return ScriptedMind(name=f"scripted-{name}", ability=KNOWN[name])
    plain, _, shown = (abilities if told else name).partition("/")
    try:
        ability = Ability(float(plain), float(shown) if shown else float(plain) + GAIN * (1 - float(plain)))
    except ValueError as error:
        raise InputError(
            f"`scripted:{named}` says no ability",
            remedy=f"Give {', '.join(KNOWN)}, a share such as `scripted:0.6`, or `scripted:NAME=0.6/0.8`, "
            "the second share being that with exemplars.",
        ) from error
    return ScriptedMind(name=f"scripted-{name}", ability=ability)
