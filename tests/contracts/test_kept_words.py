"""A store of schema 0001 had words among its facts; brought up to date it has none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, select, text

from tokencapital.app.erasing import Erasure, erase
from tokencapital.app.platform import Platform
from tokencapital.app.settings import Settings
from tokencapital.app.verifying import verify
from tokencapital.core.split import keyed_digest
from tokencapital.store.database import Store
from tokencapital.store.migrations.kept_words import without_quotes
from tokencapital.store.schema import memory_event, trajectory
from tokencapital.testing.traces import payload_bodies

KEY = b"k" * 32


@pytest.fixture
def old_url(new_url: str) -> str:
    """A store as 0001 left it, with a judgment that was taken back for a reason that somebody wrote."""
    sqlite = "://" not in new_url
    address = f"sqlite:///{new_url}" if sqlite else new_url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(address)
    bodies = {"words": b'{"messages":[{"role":"user","content":"hello"}],"context":{}}', "said": b'"greeting"'}
    digests = {name: keyed_digest(KEY, b"case-1\x1f" + body) for name, body in bodies.items()}
    with engine.begin() as connection:
        settings = Config()
        settings.set_main_option("script_location", "tokencapital.store:migrations")
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0001")
        connection.execute(text("INSERT INTO meta (name, value) VALUES ('key', :key)"), {"key": KEY.hex()})
        for name, body in bodies.items():
            row = {"digest": digests[name], "body": body}
            connection.execute(text("INSERT INTO payload (digest, body) VALUES (:digest, :body)"), row)
        at = "2026-02-01 00:00:00.000000" if sqlite else datetime(2026, 2, 1, tzinfo=UTC)
        for statement in FACTS:
            connection.execute(text(statement), {**digests, "at": at})
    engine.dispose()
    return new_url


FACTS = (
    """INSERT INTO work_case (id, capability, given_group, entity_group, at, business_key, input_key, payload)
    VALUES ('case-1', 'triage', 'g', 'g', :at, 'k', 'i', :words)""",
    """INSERT INTO judgment (sequence, id, case_id, capability, expert, at, verdict, payload, drawn, valid_from)
    VALUES (1, 'judgment-1', 'case-1', 'triage', 'ada', :at, 'corrected', :said, 'volunteered', :at)""",
    """INSERT INTO memory_event (sequence, kind, judgment_id, capability, learnable, at, by, reason) VALUES
    (1, 'judged', 'judgment-1', 'triage', true, :at, 'ada', NULL),
    (2, 'withdrawn', 'judgment-1', 'triage', true, :at, 'ada', 'Mrs Krasnopolsky asked me to'),
    (3, 'withdrawn', 'judgment-1', 'triage', true, :at, 'ada', 'undone')""",
    """INSERT INTO trajectory (id, case_id, capability, at, payload, stage, because, policy, memory, seed, propensity,
    elapsed_s, energy_grade, cache_read_tokens, cache_write_tokens, reasoning_tokens, failure) VALUES ('trj-1',
    'case-1', 'triage', :at, :said, 'person', '[]', 'p', 0, 0, 1.0, 0.0, 'unknown', 0, 0, 0,
    'm: ''Dear Mrs Krasnopolsky'' is none of the labels asked for')""",
    "UPDATE counter SET value = 3 WHERE name = 'memory'",
)


def test_a_store_that_is_brought_up_to_date_holds_words_in_payloads_only(
    old_url: str, open_store: Callable[..., Store]
) -> None:
    store = open_store(old_url)
    with store.read() as connection:
        reasons = list(connection.execute(select(memory_event.c.reason).order_by(memory_event.c.sequence)).scalars())
        failure = connection.execute(select(trajectory.c.failure)).scalar_one()
    assert reasons[0] is None and reasons[2] == "undone"
    assert reasons[1].startswith("payload ")
    assert payload_bodies(store)[reasons[1].removeprefix("payload ")] == b'"Mrs Krasnopolsky asked me to"'
    assert failure == "m: the answer is not what was asked for"
    with Platform.open(Settings(store=old_url)) as platform:
        found = {check.name: check.findings for check in verify(platform).checks}
        assert found["payloads"] == found["memory"] == found["guards"] == ()
        done = erase(platform, Erasure(by="dpo-1", contributor="ada"))
    assert done.wiped.reasons == 1
    assert not any(b"Krasnopolsky" in body for body in payload_bodies(store).values())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("m: no answer within 3 s. Allow more time.", "m: no answer within 3 s. Allow more time."),
        ("m: 'x y' is none of the labels asked for", "m: the answer is not what was asked for"),
        ('m: "it\'s" is not a JSON object', "m: the answer is not what was asked for"),
        ("m: the answer is not JSON: 'x'", "m: the answer is not JSON"),
        ("u: the endpoint answered 400: {'no': 1}. Check it.", "u: the endpoint answered 400"),
        ("u: the endpoint answered 500: Dear Ann", "u: the endpoint answered 500"),
    ],
)
def test_a_failure_loses_what_it_quotes(before: str, after: str) -> None:
    assert without_quotes(before) == after
