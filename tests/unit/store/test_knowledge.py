"""Documents by version: what is new, what holds when, and what is marked when it goes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tokencapital.core.errors import InputError, StoreConflict
from tokencapital.core.knowledge import Media, Piece
from tokencapital.core.lesson import Lesson, LessonState
from tokencapital.store.bases import basis_of, record_basis
from tokencapital.store.database import Store
from tokencapital.store.judgments import withdraw
from tokencapital.store.knowledge import (
    DocumentEvent,
    NewDocument,
    Taken,
    documents,
    drop_document,
    passages_at,
    passages_of,
    read_passages,
    take_document,
    versions_of,
)
from tokencapital.store.lessons import Decision, decide_lesson, propose_lesson
from tokencapital.store.marks import open_marks
from tokencapital.store.schema import payload

DAY = timedelta(days=1)


class Shelf:
    """Takes documents in, a day apart."""

    def __init__(self, store: Store, start: datetime) -> None:
        self.store = store
        self.now = start

    def take(self, *texts: str, source: str = "rules.md", **more: Any) -> Taken:
        self.now += DAY
        heading = more.pop("heading", ("Part",))
        new = NewDocument(
            source=source,
            title=more.pop("title", "Rules"),
            media=Media.MARKDOWN,
            owner=more.pop("owner", "maria"),
            pieces=tuple(Piece(heading, text) for text in texts),
            at=self.now,
            by="maria",
            **more,
        )
        with self.store.begin() as connection:
            return take_document(self.store, connection, new)

    def drop(self, document: str, *, erase: bool = False) -> Taken:
        self.now += DAY
        with self.store.begin() as connection:
            return drop_document(self.store, connection, document, by="maria", at=self.now, erase=erase)

    def ids(self, taken: Taken) -> list[str]:
        return [one.id for one in passages_of(self.store, taken.document.id, taken.document.version)]

    def holding(self, taken: Taken, ids: list[str], at: datetime | None = None) -> list[str]:
        return [one for one in ids if one in passages_at(self.store, ids, at or self.now)]


@pytest.fixture
def shelf(store: Store, desk: Any) -> Shelf:
    return Shelf(store, desk.start)


def test_the_same_words_change_nothing(shelf: Shelf) -> None:
    first = shelf.take("One.", "Two.")
    again = shelf.take("One.", "Two.")
    assert (first.event, again.event, again.document) == (DocumentEvent.ADDED, None, first.document)
    assert len(versions_of(shelf.store, first.document.id)) == 1


def test_other_words_are_a_new_version_and_kept_words_keep_their_ids(shelf: Shelf) -> None:
    first = shelf.take("One.", "Two.", "One.")
    second = shelf.take("Zero.", "One.", "Two, changed.", "One.", heading=("Moved",))
    assert (second.event, second.document.version) == (DocumentEvent.ADDED, 2)
    old, new = shelf.ids(first), shelf.ids(second)
    assert (new[1], new[3]) == (old[0], old[2]) and len({*old, *new}) == 5
    assert shelf.holding(second, [*old, *new]) == [old[0], old[2], *new]
    assert passages_at(shelf.store, [old[0]], shelf.now)[old[0]].heading == "Moved"
    kept, document = read_passages(shelf.store, [old[1]])[old[1]]
    assert (kept.text, document.version) == ("Two.", 1)


def test_what_is_said_of_a_document_can_be_amended(shelf: Shelf) -> None:
    first = shelf.take("One.")
    ends = shelf.now + 9 * DAY
    amended = shelf.take("One.", valid_until=ends, title="House rules")
    assert (amended.event, amended.document.version) == (DocumentEvent.AMENDED, 1)
    assert amended.document.valid_from == first.document.valid_from
    kept = shelf.take("One.", title="House rules")
    assert (kept.event, kept.document.valid_until) == (None, ends)
    ids = shelf.ids(first)
    assert shelf.holding(kept, ids, ends - DAY) == ids
    assert shelf.holding(kept, ids, ends) == []


def test_a_version_of_tomorrow_leaves_todays_in_force(shelf: Shelf) -> None:
    first = shelf.take("Old.")
    begins = shelf.now + 5 * DAY
    second = shelf.take("New.", valid_from=begins)
    old, new = shelf.ids(first), shelf.ids(second)
    assert (shelf.holding(first, old), shelf.holding(second, new)) == (old, [])
    assert (shelf.holding(first, old, begins), shelf.holding(second, new, begins)) == ([], new)


def test_a_retired_document_holds_no_longer_and_may_come_back(shelf: Shelf) -> None:
    first = shelf.take("One.")
    gone = shelf.drop(first.document.id)
    ids = shelf.ids(first)
    assert gone.document.retired and shelf.holding(gone, ids) == []
    with pytest.raises(StoreConflict):
        shelf.drop(first.document.id)
    back = shelf.take("One.")
    assert (back.event, back.document.version, shelf.holding(back, ids)) == (DocumentEvent.ADDED, 2, ids)


def test_erased_words_are_gone_and_the_same_words_may_be_said_anew(shelf: Shelf) -> None:
    first = shelf.take("A secret word: xyzzy.")
    shelf.take("Another one: plugh.")
    shelf.drop(first.document.id, erase=True)
    with shelf.store.read() as connection:
        bodies = [row.body for row in connection.execute(payload.select()) if row.body is not None]
    assert not [body for body in bodies if b"xyzzy" in body or b"plugh" in body]
    assert [one.text for one in passages_of(shelf.store, first.document.id, 1)] == [None]
    back = shelf.take("A secret word: xyzzy.")
    assert passages_at(shelf.store, shelf.ids(back), shelf.now)[shelf.ids(back)[0]].text == "A secret word: xyzzy."
    assert shelf.ids(back) != shelf.ids(first)


def test_two_sources_are_two_documents_whatever_they_say(shelf: Shelf) -> None:
    one, other = shelf.take("Same."), shelf.take("Same.", source="copy.md", title="Copy")
    assert one.document.id != other.document.id
    assert set(shelf.ids(one)).isdisjoint(shelf.ids(other))
    assert [document.title for document in documents(shelf.store)] == ["Copy", "Rules"]


@pytest.mark.parametrize(
    "wrong", [{"owner": " "}, {"title": ""}, {"valid_until": datetime.fromisoformat("2020-01-01T00:00Z")}]
)
def test_a_document_needs_an_owner_a_title_and_dates_in_order(shelf: Shelf, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        shelf.take("One.", **wrong)
    assert documents(shelf.store) == []


def test_judgments_are_marked_when_their_passage_changes_and_only_then(shelf: Shelf, desk: Any) -> None:
    first = shelf.take("Phones go to the desk.", "Chairs go to the house.")
    phones, chairs = shelf.ids(first)
    said = [desk.told("a phone", "desk"), desk.told("a chair", "house"), desk.told("another phone", "desk")]
    with shelf.store.begin() as connection:
        for judgment, basis in zip(said, ([phones], [chairs, chairs], [phones]), strict=True):
            record_basis(shelf.store, connection, judgment.id, basis)
    withdraw(shelf.store, said[2].id, by="ines", at=shelf.now)
    assert basis_of(shelf.store, said[1].id) == [chairs]
    moved = shelf.take("Chairs go to the house.", "Phones go to purchasing.", heading=("Elsewhere",))
    assert [(mark.subject, mark.because) for mark in moved.marks] == [(said[0].id, phones)]
    assert [mark.subject for mark in open_marks(shelf.store, desk.capability)] == [said[0].id]
    gone = shelf.drop(first.document.id)
    assert [(mark.subject, mark.because) for mark in gone.marks] == [(said[1].id, chairs)]


def test_a_judgment_rests_on_passages_that_exist(shelf: Shelf, desk: Any) -> None:
    said = desk.told("a phone", "desk")
    with pytest.raises(InputError, match="psg_nowhere"), shelf.store.begin() as connection:
        record_basis(shelf.store, connection, said.id, ["psg_nowhere"])


def test_lessons_are_marked_when_their_passage_goes(shelf: Shelf, desk: Any) -> None:
    taken = shelf.take("Phones go to the desk.", "Chairs go to the house.")
    phones, chairs = shelf.ids(taken)
    for name, passage in (("lsn_1", phones), ("lsn_2", chairs)):
        lesson = Lesson(
            id=name, capability=desk.capability, text="Phones go to the desk.", at=shelf.now, by="ines",
            passages=(passage,),
        )  # fmt: skip
        propose_lesson(shelf.store, lesson)
    decide_lesson(shelf.store, "lsn_1", Decision(state=LessonState.APPROVED, by="maria", at=shelf.now))
    decide_lesson(shelf.store, "lsn_2", Decision(state=LessonState.REJECTED, by="maria", at=shelf.now))
    gone = shelf.drop(taken.document.id)
    assert [(mark.subject, mark.because) for mark in gone.marks] == [("lsn_1", phones)]
