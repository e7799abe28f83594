"""How calls find their conversation: whatever a client does to what it sends back, and never a wrong one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.call import Call, Ending, Reading, Wire
from tokencapital.core.case import Message, ToolCall
from tokencapital.record.joining import Shelf, keys_of
from tokencapital.record.joining_digests import prefixes_of
from tokencapital.record.observed import Heard, Joined
from tokencapital.testing.conversations import interleaved, misplaced, recorded_conversations

KEY = b"k" * 32
AT = datetime(2026, 2, 1, 9, tzinfo=UTC)
HELLO, HOW = Message("user", "Hello"), Message("assistant", "How can I help?")


def heard(name: str, messages: Sequence[Message], answer: Message | None, **told: Any) -> Heard:
    seconds = told.pop("seconds", 0)
    read = {field: told.pop(field) for field in ("previous", "response", "others", "prefixes") if field in told}
    call = Call(
        id=name, at=AT + timedelta(seconds=seconds), wire=told.pop("wire", Wire.CHAT), asked="m", provider="p",
        status=200, ending=Ending.DONE, **told,
    )  # fmt: skip
    return Heard(call, Reading(messages=tuple(messages), answer=(answer,) if answer else (), **read))


def placed(*calls: Heard) -> list[Joined]:
    shelf = Shelf({})
    return [shelf.place(one.call, keys_of(KEY, one)) for one in calls]


def names(*calls: Heard) -> list[str]:
    return [one.trajectory for one in placed(*calls)]


def test_a_call_that_goes_on_from_an_answer_is_in_its_trajectory() -> None:
    more = Message("user", "My card is lost")
    done = Message("assistant", "Blocked.")
    assert names(
        heard("a", [HELLO], HOW), heard("b", [HELLO, HOW, more], done), heard("c", [HELLO, HOW, more, done, more], None)
    ) == ["a", "a", "a"]


TOOLS = (ToolCall("call_1", "find", '{"b": 1, "a": [2]}'), ToolCall("call_2", "find", "{}"))


@pytest.mark.parametrize(
    "sent_back",
    [
        [Message("assistant", "Let me look. ", tool_calls=TOOLS)],
        [Message("assistant", "Let me\nlook."), Message("assistant", "", tool_calls=TOOLS)],
        [Message("assistant", "Let me look.", tool_calls=(ToolCall("call_1", "find", '{"a":[2],"b":1}'), TOOLS[1]))],
        [Message("assistant", "Let me look.", tool_calls=TOOLS, parts=({"type": "thinking", "thinking": "hm"},))],
    ],
)
def test_how_a_client_writes_an_answer_back_does_not_matter(sent_back: list[Message]) -> None:
    asked = Message("user", "Find it", parts=({"type": "image", "source": "x"},))
    again = Message(
        "user", "Find it", parts=({"type": "image", "source": "x", "cache_control": {"type": "ephemeral"}},)
    )
    answer = Message("assistant", "Let me look.", tool_calls=TOOLS)
    results = [Message("tool", "1", tool_call_id="call_1"), Message("tool", "2", tool_call_id="call_2")]
    system = [Message("system", f"It is {hour} o'clock") for hour in (9, 10)]
    first = heard("a", [system[0], asked], answer)
    assert names(first, heard("b", [system[1], again, *sent_back, *results], HOW)) == ["a", "a"]


def test_arguments_nested_deeper_than_anybody_reads_are_recognized_as_written() -> None:
    asks = Message("assistant", tool_calls=(ToolCall("c1", "find", '{"a":' * 100_000),))
    got = Message("tool", "7", tool_call_id="c1")
    assert names(heard("a", [HELLO], asks), heard("b", [HELLO, asks, got], HOW)) == ["a", "a"]


def test_another_answer_another_tool_call_or_another_scope_is_another_conversation() -> None:
    other = Message("assistant", "Let me look.", tool_calls=(ToolCall("call_9", "find", '{"b": 1, "a": [2]}'),))
    answer = Message("assistant", "Let me look.", tool_calls=TOOLS[:1])
    assert names(heard("a", [HELLO], answer), heard("b", [HELLO, other], HOW)) == ["a", "b"]
    assert names(heard("a", [HELLO], HOW), heard("b", [HELLO, HOW, HELLO], None, application="x")) == ["a", "b"]
    assert names(heard("a", [HELLO], HOW), heard("b", [HELLO, HOW, HELLO], None, capability="x")) == ["a", "b"]
    assert names(heard("a", [HELLO], HOW, wire=Wire.EMBEDDINGS), heard("b", [HELLO, HOW], None)) == ["a", "b"]


def test_a_case_that_the_caller_names_and_an_answer_that_it_goes_on_from_come_before_what_is_read() -> None:
    assert names(heard("a", [HELLO], HOW, case="c1"), heard("b", [Message("user", "x")], None, case="c1")) == ["a", "a"]
    assert names(heard("a", [HELLO], HOW), heard("b", [HELLO, HOW, HELLO], None, case="c1")) == ["a", "b"]
    asked = heard("b", [Message("user", "x")], HOW, previous="resp_1", wire=Wire.RESPONSES)
    assert names(heard("a", [HELLO], HOW, response="resp_1", wire=Wire.RESPONSES), asked) == ["a", "a"]


def test_any_of_several_choices_may_be_gone_on_from() -> None:
    second = Message("assistant", "Hi.")
    assert names(heard("a", [HELLO], HOW, others=((second,),)), heard("b", [HELLO, second, HELLO], None)) == ["a", "a"]


def test_where_two_conversations_stand_in_one_place_each_goes_on_apart_and_is_counted() -> None:
    more = [HELLO, HOW, Message("user", "x")]
    done = Message("assistant", "y")
    found = placed(
        heard("a", [HELLO], HOW), heard("b", [HELLO], HOW), heard("c", more, done),
        heard("d", [*more, done, HELLO], None),
        heard("e", [HELLO, HOW, Message("user", "z")], None), heard("f", [HELLO], HOW), heard("g", more, HOW),
    )  # fmt: skip
    assert [one.trajectory for one in found] == ["a", "b", "c", "c", "e", "f", "f"]
    assert [one.ambiguous for one in found] == [False, False, True, False, True, False, False]


def test_what_stands_around_a_conversation_and_its_age_tell_it_apart() -> None:
    more = [HELLO, HOW, Message("user", "x")]
    assert names(
        heard("a", [HELLO], HOW, group="anna"),
        heard("b", [HELLO], HOW, group="bob"),
        heard("c", more, None, group="bob"),
    ) == ["a", "b", "b"]
    prompts = [Message("system", "You sort mail."), Message("system", "You book flights.")]
    assert names(
        heard("a", [prompts[0], HELLO], HOW),
        heard("b", [prompts[1], HELLO], HOW),
        heard("c", [prompts[0], *more], None),
    ) == ["a", "b", "a"]
    assert names(
        heard("a", [HELLO], HOW), heard("b", [HELLO], HOW, seconds=3000), heard("c", more, None, seconds=3030)
    ) == ["a", "b", "b"]


def test_a_call_that_is_drained_late_is_in_the_trajectory_that_went_on_from_it() -> None:
    later = heard("b", [HELLO, HOW, Message("user", "x")], HOW, seconds=30)
    assert names(later, heard("a", [HELLO], HOW)) == ["b", "b"]
    assert names(later, heard("c", [HELLO], HOW, seconds=60)) == ["b", "c"]
    assert names(later, heard("a", [HELLO], HOW), heard("d", [HELLO], HOW, seconds=90)) == ["b", "b", "d"]


@given(st.lists(st.text(max_size=20), min_size=1, max_size=6))
def test_digests_stand_in_for_messages_that_are_not_kept(words: list[str]) -> None:
    said: list[Message] = []
    with_words, without = [], []
    for number, text in enumerate(words):
        said.append(Message("user", text))
        answer = Message("assistant", f"answer {number} to {text}")
        with_words.append(heard(f"t{number}", said, answer))
        without.append(heard(f"t{number}", [], None, prefixes=prefixes_of(KEY, said, [answer])))
        said.append(answer)
    assert names(*with_words) == names(*without) == ["t0"] * len(words)


def test_recorded_conversations_are_never_joined_to_another(recorded: Callable[[str], Path]) -> None:
    folder = recorded("star.trajectories.jsonl.gz").parent
    stream = interleaved(recorded_conversations(folder)[::12], 8.0, seed=3)
    found = dict(zip([one.heard.call.id for one in stream], placed(*(one.heard for one in stream)), strict=True))
    wrong, _ = misplaced(stream, found)
    assert len(wrong) <= 0.01 * len({one.conversation for one in stream})
    assert sum(one.ambiguous for one in found.values()) <= 0.02 * len(found)
