"""What the owner declares because nobody measured it. Every figure that rests on these is graded `assumed`."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from tokencapital.core.errors import SettingsError
from tokencapital.core.quantity import Grade

SECONDS_PER_HOUR = 3600
MINUTES_PER_HOUR = 60


class Assumptions(Struct, frozen=True, kw_only=True):
    """Declared prices and powers. The defaults are round figures for one small machine; replace them by your own.

    `machine_usd_per_hour`: all that an hour of the machine costs, electricity included; about what
    clouds ask for 2 virtual cores. `watts`: what the busy machine draws from the wall; a 2-core share
    of a server with its memory. `pue`: facility energy over machine energy (ISO/IEC 30134-2), at least
    1; 1.56 is the industry's mean in the surveys of the Uptime Institute. `wage_usd_per_hour`: an
    expert's hour with all that the employer pays for it. `minutes_per_judgment` stands in where nobody
    measured how long a judgment took. Raises SettingsError for a figure that is negative or not finite.
    """

    machine_usd_per_hour: Decimal = Decimal("0.10")
    watts: float = 15.0
    pue: float = 1.56
    wage_usd_per_hour: Decimal = Decimal(45)
    minutes_per_judgment: float = 0.5

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            figure = Decimal(str(getattr(self, name)))
            least = 1 if name == "pue" else 0
            if not figure.is_finite() or figure < least:
                raise SettingsError(f"{name} is {figure}", remedy=f"Declare a finite figure of at least {least}.")

    @property
    def grade(self) -> Grade:
        """How these figures came to be known."""
        return Grade.ASSUMED

    def wages_usd(self, minutes: Decimal) -> Decimal:
        """What `minutes` of an expert cost."""
        return minutes * self.wage_usd_per_hour / MINUTES_PER_HOUR
