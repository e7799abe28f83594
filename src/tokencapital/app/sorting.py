"""The house's sorter: the rules of the settings, and the modes in which the capabilities stand."""

from __future__ import annotations

from collections.abc import Callable

from tokencapital.app.declared import Modes
from tokencapital.app.platform import Platform
from tokencapital.core.case import Mode
from tokencapital.serve.relay_ports import Asked, Sorted
from tokencapital.serve.rules_sorting import Rules


class HouseSorter:
    """Sorts requests by the rules of a house; `mode` says how a capability stands."""

    def __init__(self, rules: Rules, mode: Callable[[str], Mode]) -> None:
        self._rules = rules
        self._mode = mode

    def sort(self, asked: Asked) -> Sorted:
        """The kind of work that the request is. Fit for every request."""
        rule, tags = self._rules.find(asked)
        if rule is None:
            return Sorted(tags=tags)
        return Sorted(capability=rule.capability, mode=self._mode(rule.capability), tags=tags)


def sorter_of(platform: Platform) -> HouseSorter:
    """The sorter of an open house. Raises SettingsError for a rule that can never be the first to fit."""
    modes = Modes(platform.declared, platform.store)
    platform.closers.append(modes.close)
    return HouseSorter(Rules(platform.settings.rules, platform.embedder), modes.mode)
