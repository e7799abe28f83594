"""Labels to choose: the specialist's next thoughts first, then what people use most, each label once."""

from __future__ import annotations

from typing import Any

import msgspec

from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.settings import CapabilitySettings, Settings
from tokencapital.app.suggesting import LabelUse, suggest_labels
from tokencapital.core.case import ContractKind
from tokencapital.models.specialist import Prediction
from tokencapital.promote.releases import starting_policy
from tokencapital.serve.ports import FixedRelease, Live

LABELS = ("door", "lamp", "lift", "printer")


def place_of(store: Any, desk: Any, *, thinks: bool) -> Workplace:
    """A workplace on the store's facts, with a specialist that has three thoughts."""
    house = Platform(Settings(store=":none:"), store, desk.parts(_nobody(store)).clock)
    house.declare(CapabilitySettings(contract=ContractKind.LABEL).capability(desk.capability), None, by="mira")
    place = house.workplace(desk.capability)
    thoughts = Prediction("printer", 1.0, (("printer", 1.0), ("lift", 0.5), ("gone", 0.2)))
    live = Live(starting_policy(place.capability), specialist=desk.keywords({"printer": thoughts}) if thinks else None)
    return msgspec.structs.replace(place, releases=FixedRelease(live))  # type: ignore[arg-type]


def _nobody(store: Any) -> Live:
    return Live(starting_policy(CapabilitySettings(contract=ContractKind.LABEL).capability("none")))


def test_the_likeliest_come_first_and_the_proposed_one_last(store: Any, desk: Any) -> None:
    for label in ("door", "door", "lamp"):
        desk.told(f"something with a {label} {desk.case('x').id}", label)
    place = place_of(store, desk, thinks=True)
    use = LabelUse(place.engine.memory)
    found = suggest_labels(place, use, LABELS, desk.case("printer jams"), "printer")
    assert [(one.label, one.why) for one in found] == [
        ("lift", "next best"),
        ("door", ""),
        ("lamp", ""),
        ("printer", "proposed"),
    ]


def test_blindly_only_use_decides(store: Any, desk: Any) -> None:
    desk.told("the lamp is dark", "lamp")
    place = place_of(store, desk, thinks=True)
    found = suggest_labels(place, LabelUse(place.engine.memory), LABELS, None, None)
    assert [one.label for one in found] == ["lamp", "door", "lift", "printer"]
    assert not any(one.why for one in found)


def test_use_is_kept_current_without_rereading(store: Any, desk: Any) -> None:
    place = place_of(store, desk, thinks=False)
    use = LabelUse(place.engine.memory)
    assert use.most_used() == []
    for number in range(3):
        desk.told(f"door {number} is locked", "door" if number else "lamp")
    assert use.most_used() == ["door", "lamp"]
    desk.told("lamp 1 is dark", "lamp")
    desk.told("lamp 2 is dark", "lamp")
    assert use.most_used() == ["lamp", "door"]
