"""Keeping: durable in groups, bounded, and never a wrong or a lost frame whatever happens to the file."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokencapital.core.call import Call, Ending, Wire
from tokencapital.core.errors import SpoolFull, StoreUnavailable
from tokencapital.record.spool import Spool, SpoolSettings
from tokencapital.record.spool_folder import Folder, depth, folders
from tokencapital.record.spool_frames import parse, read_frame, write_frame

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
SALT = b"saltsalt"


def a_call(number: int, size: int = 10) -> Call:
    return Call(
        id=f"trj_{number:06}", at=START + timedelta(seconds=number), wire=Wire.CHAT, asked="gpt", provider="openai",
        status=200, ending=Ending.DONE, request=b"q" * size, response=b"a" * size,
    )  # fmt: skip


def a_spool(root: Path, name: str = "spl_1", **settings: int) -> Spool:
    return Spool(root, name, SpoolSettings(**settings))


def all_of(folder: Folder) -> list[str]:
    """The ids of all calls in a folder, from its place on."""
    found, place = [], folder.place()
    while True:
        piece = folder.read(place, 4096)
        found += [read_frame(raw).id for raw in piece.parsed.frames]
        if piece.after == place:
            return found
        place = piece.after


async def test_what_is_kept_at_once_by_many_is_read_in_the_order_in_which_it_was_taken(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool:
        await asyncio.gather(*(spool.keep(a_call(number)) for number in range(200)))
        assert all_of(folders(tmp_path)[0]) == [f"trj_{number:06}" for number in range(200)]


def test_threads_keep_too(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool:
        spool.keep_now(a_call(1))
        spool.keep_now(a_call(2))
        assert all_of(folders(tmp_path)[0]) == ["trj_000001", "trj_000002"]


async def test_the_depth_says_how_much_waits_and_since_when(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool:
        assert depth(tmp_path).oldest is None
        await asyncio.gather(*(spool.keep(a_call(number)) for number in range(3)))
        waits = depth(tmp_path)
        assert (waits.frames, waits.oldest) == (3, START)
        assert waits.bytes > 3 * 20


async def test_nothing_is_taken_beyond_the_limit_and_all_before_it_is_there(tmp_path: Path) -> None:
    with a_spool(tmp_path, max_mib=1) as spool:
        kept = 0
        with pytest.raises(SpoolFull, match="1 MiB"):
            for number in range(100):
                await spool.keep(a_call(number, size=10_000))
                kept += 1
        assert 40 < kept < 53
        assert len(all_of(folders(tmp_path)[0])) == kept
        assert 0 < (1 << 20) - depth(tmp_path).bytes < 2 * 10_000 + 200
        assert not spool.full


async def test_there_is_room_again_once_it_was_drained(tmp_path: Path) -> None:
    with a_spool(tmp_path, max_mib=1) as spool:
        with pytest.raises(SpoolFull):
            for number in range(100):
                await spool.keep(a_call(number, size=10_000))
        folder = folders(tmp_path)[0]
        place = folder.place()
        while (piece := folder.read(place, 1 << 20)).after != place:
            place = piece.after
        folder.move(place)
        await asyncio.sleep(0.15)
        await spool.keep(a_call(1_000, size=10_000))


async def test_a_closed_spool_takes_nothing(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    spool.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await spool.keep(a_call(1))


async def test_segments_that_were_drained_are_gone_and_the_rest_is_read_on(tmp_path: Path) -> None:
    with a_spool(tmp_path, max_mib=1) as spool:
        for number in range(30):
            await spool.keep(a_call(number, size=8_000))
        folder = folders(tmp_path)[0]
        assert len(folder.segments()) > 3
        first = folder.read(folder.place(), 1 << 16)
        folder.move(first.after)
        rest = [read_frame(raw).id for raw in first.parsed.frames] + all_of(folder)
        assert rest == [f"trj_{number:06}" for number in range(30)]
        while (piece := folder.read(folder.place(), 1 << 20)).after != folder.place():
            folder.move(piece.after)
        assert len(folder.segments()) == 1


async def test_a_folder_is_taken_over_only_when_its_writer_is_gone(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    await spool.keep(a_call(1))
    folder = folders(tmp_path)[0]
    assert not folder.adopt()
    spool.close()
    assert folder.adopt()
    folder.remove()
    assert folders(tmp_path) == []


def test_an_unfinished_tail_waits_for_its_writer_and_is_torn_without_one(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    spool.keep_now(a_call(1))
    folder = folders(tmp_path)[0]
    with folder.segment(1).open("ab") as file:
        file.write(write_frame(a_call(2), SALT)[:-5])
    piece = folder.read(folder.place(), 1 << 20)
    assert len(piece.parsed.frames) == 1
    tail = folder.read(piece.after, 1 << 20)
    assert (tail.parsed.frames, tail.torn, tail.last) == ([], 0, False)
    spool.close()
    tail = folder.read(piece.after, 1 << 20)
    assert tail.torn > 0
    assert tail.last
    folder.remove()


@given(
    sizes=st.lists(st.integers(0, 300), min_size=1, max_size=12),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=4),
    seed=st.integers(0, 2**32),
)
def test_damage_loses_no_frame_before_it_and_yields_no_wrong_one(
    sizes: list[int], cut: float, flips: list[tuple[float, int]], seed: int
) -> None:
    draw = random.Random(seed)
    calls = [
        Call(
            id=f"trj_{number}", at=START, wire=Wire.CHAT, asked="m", provider="p", status=200, ending=Ending.DONE,
            request=draw.randbytes(size),
        )
        for number, size in enumerate(sizes)
    ]  # fmt: skip
    written = [write_frame(call, SALT) for call in calls]
    whole = bytearray(b"".join(written))
    kept = bytearray(whole[: round(cut * len(whole))])
    places = [int(where * len(kept)) for where, _ in flips] if kept else []
    for place, (_, bit) in zip(places, flips, strict=False):
        kept[place] ^= 1 << bit
    read = [read_frame(raw) for raw in parse(bytes(kept), SALT).frames]
    assert all(one in calls for one in read)
    changed = [place for place, (old, new) in enumerate(zip(kept, whole, strict=False)) if old != new]
    first_hurt, end, before = min([*changed, len(kept)]), 0, 0
    for one in written:
        end += len(one)
        before += end <= first_hurt
    assert read[:before] == calls[:before]


def test_frames_behind_damage_are_found_again(tmp_path: Path) -> None:
    written = [write_frame(a_call(number), SALT) for number in range(5)]
    hurt = bytearray(b"".join(written))
    hurt[len(written[0]) + 40] ^= 1
    found = parse(bytes(hurt), SALT)
    assert [read_frame(raw).id for raw in found.frames] == ["trj_000000", "trj_000002", "trj_000003", "trj_000004"]
    assert found.damaged == len(written[1])


def test_a_body_that_holds_what_looks_like_a_frame_is_no_frame() -> None:
    inner = write_frame(a_call(7), b"guessed!")
    outer = Call(
        id="trj_outer", at=START, wire=Wire.CHAT, asked="m", provider="p", status=200, ending=Ending.DONE, request=inner
    )
    hurt = bytearray(write_frame(outer, SALT))
    hurt[0] ^= 1
    assert parse(bytes(hurt), SALT).frames == []
