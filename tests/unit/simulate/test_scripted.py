"""A scripted mind is right as often as it was made to be, on the same cases every time."""

from __future__ import annotations

import pytest

from tokencapital.core.errors import InputError
from tokencapital.simulate.scripted import KNOWN, NO_IDEA, Ability, ScriptedMind, scripted_mind

LABELS = ("a", "b", "c")
MIND = ScriptedMind(name="one", ability=Ability(0.6, 0.8))


def right(mind: ScriptedMind, *, shown: bool, cases: int = 4000) -> list[bool]:
    return [mind.guess(f"case {n}", "b", LABELS, shown=shown).value == "b" for n in range(cases)]


def test_it_has_the_ability_that_it_was_given() -> None:
    plain, shown = right(MIND, shown=False), right(MIND, shown=True)
    assert sum(plain) / 4000 == pytest.approx(0.6, abs=0.025)
    assert sum(shown) / 4000 == pytest.approx(0.8, abs=0.02)
    assert all(after for before, after in zip(plain, shown, strict=True) if before)
    assert right(MIND, shown=False) == plain


def test_minds_of_different_names_are_wrong_on_different_cases() -> None:
    other = ScriptedMind(name="other", ability=MIND.ability)
    both = [one and two for one, two in zip(right(MIND, shown=False), right(other, shown=False), strict=True)]
    assert sum(both) / 4000 == pytest.approx(0.36, abs=0.025)


def test_a_wrong_answer_is_of_the_kind_that_was_asked_for() -> None:
    never = ScriptedMind(name="never", ability=Ability(0.0, 0.0))
    said = {str(never.guess(f"case {n}", "b", LABELS, shown=False).value) for n in range(100)}
    assert said == {"a", "c"}
    filled = never.guess("x", {"city": "Bonn", "day": "Monday"}, None, shown=False).value
    assert isinstance(filled, dict)
    assert sorted(filled) == ["city", "day"]
    assert sum(value == NO_IDEA for value in filled.values()) == 1
    assert never.guess("x", "Dear Ada", None, shown=False).value == NO_IDEA
    assert never.guess("x", "b", ("b",), shown=False).value == NO_IDEA
    assert never.guess("x", {}, None, shown=False).value != {}


def test_it_is_surer_where_it_is_right() -> None:
    guesses = [MIND.guess(f"case {n}", "b", LABELS, shown=False) for n in range(2000)]
    assert all(0 < one.certainty <= 1 for one in guesses)
    sure = [one.value == "b" for one in guesses if one.certainty > 0.8]
    unsure = [one.value == "b" for one in guesses if one.certainty < 0.5]
    assert sum(sure) / len(sure) > 0.9
    assert not any(unsure)


@pytest.mark.parametrize(
    ("named", "name", "ability"),
    [
        ("weak", "scripted-weak", KNOWN["weak"]),
        ("0.6", "scripted-0.6", Ability(0.6, 0.8)),
        ("mine=0.4", "scripted-mine", Ability(0.4, 0.7)),
        ("mine=0.4/0.5", "scripted-mine", Ability(0.4, 0.5)),
    ],
)
def test_minds_are_named_by_their_ability(named: str, name: str, ability: Ability) -> None:
    mind = scripted_mind(named)
    assert mind.name == name
    assert mind.ability.plain == ability.plain
    assert mind.ability.shown == pytest.approx(ability.shown)


@pytest.mark.parametrize("named", ["", "clever", "mine=much", "1.2", "mine=0.5/-1"])
def test_no_ability_is_made_up(named: str) -> None:
    with pytest.raises(InputError):
        scripted_mind(named)
