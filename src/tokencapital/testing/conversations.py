"""Conversations of the recorded work as a client sends them: each assistant turn one call with the history so far."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from tokencapital.core.call import Call, Ending, Reading, Wire
from tokencapital.core.case import Json, Message, ToolCall
from tokencapital.record.observed import Heard, Joined

START = datetime(2026, 1, 1, tzinfo=UTC)
_TURN_S = 30.0
_SPOKEN = frozenset({"user", "assistant", "tool"})


class Sent(Struct, frozen=True):
    """A call of a known conversation; `turn` counts from 0."""

    conversation: str
    turn: int
    heard: Heard


def recorded_lines(path: Path) -> Iterator[dict[str, Json]]:
    """The objects in a file of recorded work."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def spoken(recorded: dict[str, Json]) -> list[Message]:
    """The messages of a recorded trajectory that a model would be sent or send."""
    return [_message(one) for one in recorded["messages"] if one["role"] in _SPOKEN]


def calls_of(conversation: str, messages: Sequence[Message]) -> list[Sent]:
    """A call for each of the assistant's messages, all at one time."""
    places = [place for place, one in enumerate(messages) if one.role == "assistant"]
    sent = []
    for turn, place in enumerate(places):
        call = Call(
            id=f"trj_{conversation}_{turn:03}",
            at=START,
            wire=Wire.CHAT,
            asked="gpt-4o",
            provider="upstream",
            status=200,
            ending=Ending.DONE,
        )
        reading = Reading(messages=tuple(messages[:place]), answer=(messages[place],))
        sent.append(Sent(conversation, turn, Heard(call, reading)))
    return sent


def interleaved(conversations: Sequence[Sequence[Sent]], open_at_once: float, seed: int) -> list[Sent]:
    """The calls of all conversations in the order of their times.

    Conversations begin by chance so that about so many are open at once; between two turns pass 30 seconds on
    average (exponentially distributed).
    """
    dice = np.random.default_rng(seed)
    spoken_in = [one for one in conversations if one]
    order = [spoken_in[place] for place in dice.permutation(len(spoken_in))]
    turns = sum(map(len, order)) / len(order)
    begins, stream = 0.0, []
    for calls in order:
        begins += float(dice.exponential(turns * _TURN_S / open_at_once))
        at = begins
        for one in calls:
            moment = START + timedelta(seconds=at)
            call = msgspec.structs.replace(one.heard.call, at=moment, elapsed_s=1.0)
            stream.append(Sent(one.conversation, one.turn, Heard(call, one.heard.reading)))
            at += 1.0 + float(dice.exponential(_TURN_S - 1))
    return sorted(stream, key=lambda one: one.heard.call.at)


def recorded_conversations(folder: Path) -> list[list[Sent]]:
    """The calls of each conversation of STAR and of tau-airline."""
    names = ("star.trajectories.jsonl.gz", "tau-airline.trajectories.jsonl.gz")
    lines = (recorded for name in names for recorded in recorded_lines(folder / name))
    return [calls_of(str(recorded["id"]), spoken(recorded)) for recorded in lines]


def misplaced(stream: Sequence[Sent], placed: Mapping[str, Joined]) -> tuple[set[str], set[str]]:
    """The conversations that were joined wrongly, and all that are not one trajectory.

    A call is placed wrongly where it is neither in the trajectory of the last of its conversation (the first: in a new
    one) nor counted as ambiguous.
    """
    wrong, split = set[str](), set[str]()
    last: dict[str, str] = {}
    for sent in stream:
        found = placed[sent.heard.call.id]
        stays = found.trajectory == last.get(sent.conversation) if sent.turn else found.new
        if not stays:
            split.add(sent.conversation)
        if not stays and not found.ambiguous:
            wrong.add(sent.conversation)
        last[sent.conversation] = found.trajectory
    return wrong, split


def _message(recorded: dict[str, Json]) -> Message:
    calls = tuple(_tool_call(one) for one in recorded.get("tool_calls") or ())
    return Message(
        role=recorded["role"],
        content=recorded.get("content") or "",
        name=recorded.get("name"),
        tool_calls=calls,
        tool_call_id=recorded.get("tool_call_id"),
    )


def _tool_call(recorded: dict[str, Json]) -> ToolCall:
    function = recorded.get("function") or recorded
    arguments = function.get("arguments", function.get("args", "{}"))
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(recorded.get("id") or "", function["name"], written)
