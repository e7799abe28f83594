"""Where the last event of a stream begins, however its bytes are cut."""

from __future__ import annotations

import pytest

from tokencapital.core.call import Wire
from tokencapital.serve.relay_stream import LastPiece

STREAM = b'data: {"choices":[]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("cut", range(1, len(STREAM)))
def test_the_last_event_is_found_wherever_the_stream_is_cut(cut: int) -> None:
    last = LastPiece(Wire.CHAT)
    begins = STREAM.index(b"data: [DONE]")
    first, second = last.begins_at(STREAM[:cut]), last.begins_at(STREAM[cut:])
    complete = begins + len(b"data: [DONE]")
    assert first == (begins if cut >= complete else None)
    assert cut >= complete or second == max(0, begins - cut)


def test_a_stream_may_be_nothing_but_its_end() -> None:
    assert LastPiece(Wire.CHAT).begins_at(b"data: [DONE]\n\n") == 0


@pytest.mark.parametrize("said", [b"data: [DONE]", b"event: message_stop", b"event: response.completed"])
@pytest.mark.parametrize("wire", [Wire.CHAT, Wire.MESSAGES, Wire.RESPONSES])
def test_an_answer_that_speaks_of_ends_does_not_end_there(wire: Wire, said: bytes) -> None:
    text = b'data: {"text":"' + said + b"." * (64 - len(said))
    last = LastPiece(wire)
    assert last.begins_at(text) is None
    assert last.begins_at(b'."}\n\n') is None
