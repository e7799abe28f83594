"""What can go wrong, as one tree.

TokenCapitalError
├── InputError              what a caller or a file gave cannot be used
│   ├── UnknownCapability
│   ├── ContractViolation   an answer does not fit its capability's contract
│   └── MalformedLine       one line of a file; the rest is loaded
├── AccessRefused           somebody may not see or do that
│   ├── TooManyAttempts     a login waits after failed attempts
│   ├── KeyRefused          an API key is missing, wrong, revoked or has expired
│   └── EgressRefused       a capability's data may not go to this provider
├── LimitReached            a spending or rate limit is used up
├── SettingsError           a setting, an option or an extra is missing or wrong
├── StoreError
│   ├── StoreUnavailable    cannot be opened, reached or written
│   ├── SpoolFull           nothing more can be kept until the store has taken what waits
│   └── StoreConflict       the fact is there already, or was decided otherwise
├── ModelError              a generalist or embedder gave nothing usable
│   ├── ModelTimeout
│   ├── ModelUnavailable
│   └── ModelGarbage        it answered, but not what was asked for
├── EvaluationError
│   ├── LineageError        scoring would leak: the case's group is in the lineage
│   └── ScorerError         a scorer failed; a failure is never a score
├── GateError               a release cannot be decided on, made or undone
└── LedgerError             a transaction does not balance or may not be booked
"""

from __future__ import annotations


class TokenCapitalError(Exception):
    """Base of every error that is raised on purpose.

    `what` says what happened, `where` names the file, line, record or address (None: the place is
    plain from `what`), and `remedy` says what the reader can do about it (None: nothing is known).
    `said` quotes what a model or a server wrote, which may be somebody's words: it is shown and never kept.
    """

    def __init__(
        self, what: str, *, where: str | None = None, remedy: str | None = None, said: str | None = None
    ) -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        self.said = said
        super().__init__(what)

    def __str__(self) -> str:
        return self._told(f"{self.what}: {self.said}" if self.said else self.what)

    @property
    def without_words(self) -> str:
        """The same without what was quoted: this may be kept."""
        return self._told(self.what)

    def _told(self, what: str) -> str:
        place = f"{self.where}: " if self.where else ""
        if not self.remedy:
            return f"{place}{what}"
        stop = "" if what.endswith((".", "!", "?")) else "."
        return f"{place}{what}{stop} {self.remedy}"


class InputError(TokenCapitalError):
    """What a caller or a file gave cannot be used."""


class UnknownCapability(InputError):
    """No capability has this name."""


class ContractViolation(InputError):
    """An answer does not fit the contract of its capability."""


class MalformedLine(InputError):
    """One line of a file could not be read; the others could."""


class AccessRefused(TokenCapitalError):
    """Somebody may not see or do that."""


class TooManyAttempts(AccessRefused):
    """A login has to wait after attempts that failed."""


class KeyRefused(AccessRefused):
    """An API key is missing, wrong, revoked, or has expired."""


class EgressRefused(AccessRefused):
    """The data of a capability may not go to this provider."""


class LimitReached(TokenCapitalError):
    """A spending or rate limit is used up. `retry_after_s` None: nobody knows when there is room again."""

    def __init__(self, what: str, *, where: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(what, where=where)
        self.retry_after_s = retry_after_s


class SettingsError(TokenCapitalError):
    """A setting, an option or an optional package is missing or wrong."""


class StoreError(TokenCapitalError):
    """The store did not do what was asked."""


class StoreUnavailable(StoreError):
    """The store cannot be opened, reached or written."""


class SpoolFull(StoreError):
    """Nothing more can be kept on this machine until the store has taken what waits."""


class StoreConflict(StoreError):
    """The store holds the opposite of what should be written."""


class ModelError(TokenCapitalError):
    """A generalist or an embedder gave nothing usable."""


class ModelTimeout(ModelError):
    """No answer within the time allowed."""


class ModelUnavailable(ModelError):
    """The model could not be reached, loaded or was refused."""


class ModelGarbage(ModelError):
    """The model answered, but not in the shape that was asked for."""


class EvaluationError(TokenCapitalError):
    """An evaluation could not be carried out."""


class LineageError(EvaluationError):
    """Scoring would leak: the group of a case is in the lineage of what is scored."""


class ScorerError(EvaluationError):
    """A scorer failed. A failure is never a score."""


class GateError(TokenCapitalError):
    """A release cannot be decided on, made or undone."""


class LedgerError(TokenCapitalError):
    """A transaction does not balance, or an account or commodity does not exist."""
