"""The log never has a secret, somebody's words from an exception, or more than one line for an event."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from tokencapital.app.logs import Line, LogFormat, LogLevel, LogSettings, Secrets
from tokencapital.core.errors import ModelGarbage
from tokencapital.serve.faults import fault_message, fault_of

SECRETS = Secrets.of_environment({"ACME_API_KEY": "planted.value/1", "HOME": "/home/somebody", "SHORT_KEY": "abc"})


def line(what: object, *arguments: object, format_: LogFormat = LogFormat.JSON, **extra: Any) -> str:
    record = logging.getLogger("x").makeRecord("x", logging.ERROR, "f", 1, what, arguments, None, extra=extra)
    return Line(format_, SECRETS).format(record)


@pytest.mark.parametrize("format_", LogFormat)
@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop1234",
        "Bearer abcdef0123456789",
        "postgresql://me:hunter2hunter2@db/x",
        "AKIAABCDEFGHIJKLMNOP",
        "api_key=verysecretvalue",
        '"password": "verysecretvalue"',
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "planted.value/1",
        "tcap_0123456789abcdefghijABCDEFGHIJ0123456789abcdefghi",
    ],
)
def test_secrets_are_hidden_wherever_they_stand(format_: LogFormat, secret: str) -> None:
    hidden = ["hunter2hunter2", "verysecretvalue", secret.removeprefix("Bearer ").removeprefix("api_key=")]
    written = line("refused %s", secret, format_=format_, facts={"header": secret, "all": [{"x": secret}]})
    assert not any(one in written for one in hidden)
    assert "[hidden]" in written


def test_what_is_no_secret_stays() -> None:
    written = json.loads(line("12 tokens: input_tokens=5, /home/somebody, abc", facts={"took_ms": 1.5, "ok": True}))
    assert written["what"] == "12 tokens: input_tokens=5, /home/somebody, abc"
    assert (written["took_ms"], written["ok"]) == (1.5, True)


@pytest.mark.parametrize("format_", LogFormat)
def test_nobody_can_begin_a_line_or_steer_a_terminal(format_: LogFormat) -> None:
    """Log injection: line breaks of every kind, escape sequences, halves of characters."""
    evil = "a\nERROR forged\r\n\x1b[31mred\u2028b\x00\udcff"
    written = line(evil, format_=format_, facts={"path": evil})
    assert len(written.splitlines()) == 1
    assert "\x1b" not in written
    written.encode("utf-8")


@pytest.mark.parametrize("format_", LogFormat)
def test_of_an_exception_the_type_and_the_places_are_told_and_no_message(format_: LogFormat) -> None:
    with pytest.raises(ModelGarbage) as caught:
        try:
            {}["dear customer"]
        except KeyError as error:
            raise ModelGarbage("no JSON", said="dear customer") from error
    record = logging.getLogger("x").makeRecord("x", 40, "f", 1, "failed", (), (ModelGarbage, caught.value, None))
    written = Line(format_, SECRETS).format(record)
    assert "dear customer" not in written
    assert "ModelGarbage" in written and "KeyError" in written and "no JSON" in written
    assert "test_logs.py" in written


def test_an_error_that_nobody_foresaw_has_one_id_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("dear customer")
    assert fault_of(error) == fault_of(error)
    assert fault_of(error) in fault_message(error)
    assert "dear customer" not in fault_message(error)
    assert len(caplog.records) == 1
    assert caplog.records[0].facts == {"fault": fault_of(error)}  # type: ignore[attr-defined]


def test_very_long_texts_are_cut() -> None:
    assert len(line("a" * 100_000)) < 5_000


def test_all_loggers_of_a_process_write_so() -> None:
    code = """
import logging, warnings
from tokencapital.app.logs import LogFormat, LogSettings, set_up_logs
set_up_logs(LogSettings(format=LogFormat.JSON), {"A_TOKEN": "planted-value"})
logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
logging.getLogger("uvicorn.error").info("begins with planted-value")
logging.getLogger("uvicorn.access").error("GET /?key=planted-value")
logging.getLogger("tokencapital.request").info("request")
warnings.warn("beware")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [json.loads(one) for one in done.stderr.splitlines()]
    assert [one["from"] for one in lines] == ["uvicorn.error", "py.warnings"]
    assert "planted-value" not in done.stderr


def test_options_go_before_settings() -> None:
    settings = LogSettings(format=LogFormat.JSON, requests=True)
    assert settings.but(None, None) == settings
    assert settings.but(LogFormat.TEXT, LogLevel.DEBUG) == LogSettings(level=LogLevel.DEBUG, requests=True)
