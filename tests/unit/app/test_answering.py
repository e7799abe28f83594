"""A capability that fails in whatever way stands in nobody's way: the provider's answer goes out."""

from __future__ import annotations

from typing import Any

import pytest

from tokencapital.app.answering import HouseAnswerer
from tokencapital.app.settings import Settings
from tokencapital.core.call import Wire
from tokencapital.core.case import Mode
from tokencapital.core.errors import SettingsError, TokenCapitalError
from tokencapital.serve.relay_ports import Asked, KeepsAll, NoLimits, Sorted

ASKED = Asked(wire=Wire.CHAT, path="/v1/chat/completions", model="m", streamed=False, headers={}, body=b"{}")


class House:
    """A house whose capabilities fail."""

    def __init__(self, error: Exception) -> None:
        self.settings = Settings()
        self._error = error

    def workplace(self, name: str) -> Any:
        raise self._error

    @property
    def generalist(self) -> Any:
        raise self._error


def answerer_of(error: Exception) -> HouseAnswerer:
    house: Any = House(error)
    return HouseAnswerer(house, KeepsAll(), lambda _, sink: sink, NoLimits())


@pytest.mark.parametrize("error", [SettingsError("set up wrongly"), ZeroDivisionError(), KeyError("words")])
async def test_whatever_goes_wrong_the_provider_answers(error: Exception) -> None:
    answerer = answerer_of(error)
    assert await answerer.answer(ASKED, Sorted(capability="triage", mode=Mode.ANSWER), "trj_1") is None
    assert (answerer.counts.failed, answerer.counts.left) == (1, 0)


def test_a_model_that_cannot_be_made_fails_beside_and_leaves_nothing_waiting() -> None:
    answerer = answerer_of(TokenCapitalError("no"))
    answerer.beside(ASKED, Sorted(capability="triage", mode=Mode.SHADOW), "trj_1")
    assert answerer.wait(1.0)
    assert answerer.counts.failed_beside == 1
    answerer.close()
