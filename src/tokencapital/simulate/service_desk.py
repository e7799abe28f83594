"""The service desk of a made-up maker of measuring instruments: six weeks of hand-written messages.

Two capabilities: `triage-message` (label: the kind of request) and, on messages about a thing or a
place, `open-ticket` (fields). The texts and what is true of them are in `service_desk.txt`; the seed
decides who wrote when, and which short messages are written again by somebody else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.random import Generator

from tokencapital.core.case import Capability, Case, Contract, ContractKind, Json, Message
from tokencapital.core.errors import MalformedLine
from tokencapital.simulate.base import Expert, Fact, Organization, RuleChange

TRIAGE = "triage-message"
TICKET = "open-ticket"

START = datetime(2026, 1, 5, tzinfo=UTC)
CHANGE_AT = START + timedelta(weeks=3)
CHANGE_REASON = "Since 26 January phones are replaced by purchasing: a replacement goes to procurement, the rest stays."
RULED_TO = "procurement"

REPEATED_SHARE = 0.08
SHORT_WORDS = 9
EMPLOYEES = 400

MEANINGS = {
    "reset_password": "passwords, locked accounts, PINs and second factors",
    "vpn_trouble": "dial-in and working from outside",
    "hardware": "computers, screens and what is plugged into them, when broken",
    "software_install": "programs: installing, updating, licences on a machine",
    "access_request": "rights to folders, systems, mailboxes and doors",
    "expense_question": "travel costs and money that employees paid themselves",
    "procurement": "buying things, suppliers, purchase orders and their invoices",
    "leave_request": "holidays, sickness and other absence",
    "payroll_question": "wages, payslips and what is deducted",
    "meeting_room": "rooms, their booking and what stands in them",
    "phone_mobile": "phones, SIM cards, numbers and calls",
    "security_incident": "theft, fraud, intrusion and data in the wrong hands",
    "printer": "printing, copying, scanning",
    "onboarding": "people who start",
    "offboarding": "people who leave",
    "facilities": "the building: heat, light, water, doors, furniture, parking",
}

MISTAKEN_FOR = {
    "reset_password": ("access_request", "vpn_trouble"),
    "vpn_trouble": ("hardware", "software_install"),
    "hardware": ("printer", "software_install"),
    "software_install": ("hardware", "access_request"),
    "access_request": ("reset_password", "software_install"),
    "expense_question": ("payroll_question", "procurement"),
    "procurement": ("expense_question", "hardware"),
    "leave_request": ("payroll_question",),
    "payroll_question": ("leave_request", "expense_question"),
    "meeting_room": ("facilities", "hardware"),
    "phone_mobile": ("hardware", "procurement"),
    "security_incident": ("access_request", "facilities"),
    "printer": ("hardware",),
    "onboarding": ("access_request", "leave_request"),
    "offboarding": ("access_request", "onboarding"),
    "facilities": ("meeting_room", "access_request"),
}

EXPERTS = (
    Expert(name="ines", team="service desk", reliability=0.99, leanings=("security_incident", "high")),
    Expert(name="bert", team="service desk", reliability=0.97, leanings=("access_request", "reset_password", "normal")),
    Expert(
        name="aylin",
        team="people and finance",
        reliability=0.98,
        leanings=("onboarding", "payroll_question", "procurement"),
        knows=(
            "expense_question",
            "procurement",
            "leave_request",
            "payroll_question",
            "onboarding",
            "offboarding",
            "phone_mobile",
        ),
    ),
    Expert(
        name="kofi",
        team="sites",
        reliability=0.96,
        leanings=("facilities", "hardware", "high"),
        knows=("facilities", "meeting_room", "printer", "hardware", "phone_mobile", "procurement", "security_incident"),
    ),
)

_COPIED = ("device", "location", "due")
_URGENCIES = ("low", "normal", "high")
_LINE = re.compile(r"(?:\?(?P<second>\w+) |(?P<ruled>!))?(?P<text>.+?)(?: :: (?P<fields>.+))?")


class Written(Struct, frozen=True, kw_only=True):
    """One message as it stands in the file. `fields` and `other_fields` None: no ticket, no doubt about it."""

    kind: str
    text: str
    second: str | None = None
    ruled: bool = False
    fields: dict[str, Json] | None = None
    other_fields: dict[str, Json] | None = None


class _Request(Struct, frozen=True):
    written: Written
    employee: str
    at: datetime


def service_desk(seed: int) -> Organization:
    """Six weeks at the service desk. The same seed gives the same organization.

    Half of the requests come before `CHANGE_AT`, when replacement phones move from `phone_mobile` to
    `procurement`; every short message about one is written on both sides of it.
    """
    rng = np.random.default_rng(seed)
    requests = _requests(written_messages(), rng)
    triage = [_triage(number, request) for number, request in enumerate(requests, 1)]
    tickets = [_ticket(number, request) for number, request in enumerate(requests, 1) if request.written.fields]
    work = sorted(triage + tickets, key=lambda item: item[0].at)
    moved = tuple(case.id for case, fact in work if fact.changed_at and case.at < fact.changed_at)
    return Organization(
        seed=seed,
        capabilities=_capabilities(),
        experts=EXPERTS,
        cases=tuple(case for case, _ in work),
        facts={case.id: fact for case, fact in work},
        meanings=MEANINGS,
        changes=(RuleChange(at=CHANGE_AT, capability=TRIAGE, cases=moved, reason=CHANGE_REASON),),
    )


def written_messages() -> tuple[Written, ...]:
    """The messages of the packaged file, in its order. Raises MalformedLine for a line that does not fit its layout."""
    text = resources.files("tokencapital.simulate").joinpath("service_desk.txt").read_text("utf-8")
    return tuple(parse_messages(text))


def handbook() -> bytes:
    """The desk's own handbook in Markdown: what is done with each kind of request, and what people are told."""
    return resources.files("tokencapital.simulate").joinpath("service_desk_handbook.md").read_bytes()


def parse_messages(text: str) -> Iterator[Written]:
    """The messages of a text in the layout that the head of `service_desk.txt` describes."""
    kind = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("== "):
            kind = line.removeprefix("== ")
            continue
        try:
            yield _parse_line(kind, line)
        except ValueError as error:
            raise MalformedLine(str(error), where=f"service_desk.txt, line {number}") from error


def _parse_line(kind: str, line: str) -> Written:
    match = _LINE.fullmatch(line)
    if match is None or kind not in MEANINGS or (match["second"] or kind) not in MEANINGS:
        raise ValueError(f"expected a message of a known kind, found {line!r} under {kind!r}")
    text = match["text"]
    fields, other = _parse_fields(match["fields"], text) if match["fields"] else (None, None)
    ruled = match["ruled"] is not None
    return Written(kind=kind, text=text, second=match["second"], ruled=ruled, fields=fields, other_fields=other)


def _parse_fields(pairs: str, text: str) -> tuple[dict[str, Json], dict[str, Json] | None]:
    """The right fields, and those that can be defended as well."""
    named = dict(pair.split("=", 1) for pair in pairs.split("; "))
    urgency, _, doubted = named.pop("urgency", "normal").partition("/")
    if urgency not in _URGENCIES or (doubted or urgency) not in _URGENCIES:
        raise ValueError(f"an urgency is one of {', '.join(_URGENCIES)}, found {urgency!r} and {doubted!r}")
    if not all(name in _COPIED and value in text for name, value in named.items()):
        raise ValueError(f"expected {', '.join(_COPIED)} in the words of the message, found {pairs!r}")
    fields = {**named, "urgency": urgency}
    return fields, {**named, "urgency": doubted} if doubted else None


def _requests(messages: Sequence[Written], rng: Generator) -> list[_Request]:
    early, late = _halves(messages, rng)
    weights = 1.0 / np.arange(2, EMPLOYEES + 2) ** 0.6
    employees = rng.choice(EMPLOYEES, size=len(early) + len(late), p=weights / weights.sum())
    times = _working_times(START, len(early), rng) + _working_times(CHANGE_AT, len(late), rng)
    return [
        _Request(written, f"employee-{employee + 1:03}", at)
        for written, employee, at in zip(early + late, employees, times, strict=True)
    ]


def _halves(messages: Sequence[Written], rng: Generator) -> tuple[list[Written], list[Written]]:
    """All messages with their repeats, in random order, before and after the change of the rule."""
    order = [messages[index] for index in rng.permutation(len(messages))]
    halves = (order[: len(order) // 2], order[len(order) // 2 :])
    short = [written for written in order if len(written.text.split()) <= SHORT_WORDS]
    opposite = [(written, halves[0].count(written) > 0) for written in short if written.ruled]
    repeats = round(len(order) * REPEATED_SHARE / (1 - REPEATED_SHARE)) - len(opposite)
    anywhere = [(short[index], bool(rng.integers(2))) for index in rng.integers(len(short), size=repeats)]
    for written, is_late in opposite + anywhere:
        halves[is_late].append(written)
    early, late = ([half[index] for index in rng.permutation(len(half))] for half in halves)
    return early, late


def _working_times(monday: datetime, count: int, rng: Generator) -> list[datetime]:
    """Times within three weeks of working days, more of them on Mondays and in the morning, in order."""
    days = rng.choice(5, size=count, p=(0.26, 0.20, 0.19, 0.19, 0.16)) + 7 * rng.integers(3, size=count)
    seconds = 8 * 3600 + (10 * 3600 * rng.beta(1.6, 2.2, size=count)).astype(int)
    offsets = sorted(int(day) * 86_400 + int(second) for day, second in zip(days, seconds, strict=True))
    return [monday + timedelta(seconds=offset) for offset in offsets]


def _triage(number: int, request: _Request) -> tuple[Case, Fact]:
    written = request.written
    mistakes = MISTAKEN_FOR[written.kind]
    fact = Fact(value=written.kind, plausible=written.second, mistakes=mistakes)
    if written.ruled:
        # Old habit is a slip as well, once the rule has changed.
        fact = replace(fact, mistakes=(*mistakes, written.kind), changed=RULED_TO, changed_at=CHANGE_AT)
    return _case(TRIAGE, f"triage-{number:04}", request), fact


def _ticket(number: int, request: _Request) -> tuple[Case, Fact]:
    fields = request.written.fields or {}
    fact = Fact(value=fields, plausible=request.written.other_fields, mistakes=_field_slips(fields))
    case = _case(TICKET, f"ticket-{number:04}", request)
    return replace(case, at=case.at + timedelta(minutes=1)), fact


def _case(capability: str, name: str, request: _Request) -> Case:
    return Case(
        id=name,
        capability=capability,
        group=request.employee,
        at=request.at,
        messages=(Message("user", request.written.text),),
        key=name,
    )


def _field_slips(fields: dict[str, Json]) -> tuple[dict[str, Json], ...]:
    """Objects with one field forgotten, or the urgency one step off."""
    forgotten = tuple({k: v for k, v in fields.items() if k != name} for name in fields if name != "urgency")
    neighbour = "normal" if fields["urgency"] != "normal" else "low"
    return (*forgotten, {**fields, "urgency": neighbour})


def _capabilities() -> tuple[Capability, ...]:
    copied = {name: {"type": "string"} for name in _COPIED}
    schema = {
        "type": "object",
        "properties": {**copied, "urgency": {"type": "string", "enum": list(_URGENCIES)}},
        "required": ["urgency"],
        "additionalProperties": False,
    }
    return (
        Capability(
            name=TRIAGE,
            contract=Contract(kind=ContractKind.LABEL, labels=tuple(MEANINGS)),
            instructions="Say which kind of request an employee's message to the service desk is.",
        ),
        Capability(
            name=TICKET,
            contract=Contract(kind=ContractKind.FIELDS, schema=schema),
            instructions="Fill in the ticket: device, location and due in the words of the message, where it "
            "names them, and the urgency.",
        ),
    )
