"""The search knows everything that was committed, nothing that was taken back, and never what is sealed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokencapital.core.judgment import Verdict
from tokencapital.core.knowledge import Hit, HitKind, Media, Piece
from tokencapital.core.lesson import Lesson, LessonState
from tokencapital.models.wordllama import WordLlamaEmbedder
from tokencapital.store.database import Store
from tokencapital.store.erasure import erase_case
from tokencapital.store.judgments import expire, withdraw
from tokencapital.store.knowledge import NewDocument, drop_document, take_document
from tokencapital.store.knowledge_hits import read_hits
from tokencapital.store.knowledge_index import KnowledgeIndex, Query
from tokencapital.store.lessons import Decision, decide_lesson, propose_lesson

DAY = timedelta(days=1)


class Search:
    """An index that is asked as the house asks it."""

    def __init__(self, store: Store, embedder: WordLlamaEmbedder, desk: Any, **more: Any) -> None:
        self.store, self.desk, self.now = store, desk, desk.now
        self.index = KnowledgeIndex(store, embedder.embed, **more)

    def hits(self, text: str, **more: Any) -> list[Hit]:
        self.index.refresh()
        return read_hits(self.store, self.index.search(Query(text=text, now=self.now, **more)), self.now)

    def ids(self, text: str, **more: Any) -> list[str]:
        return [hit.id for hit in self.hits(text, **more)]

    def add(self, *texts: str, source: str = "rules.md", **more: Any) -> str:
        new = NewDocument(
            source=source, title="Rules", media=Media.TEXT, owner="maria", at=self.desk.start, by="maria",
            pieces=tuple(Piece(("Part",), text) for text in texts), **more,
        )  # fmt: skip
        with self.store.begin() as connection:
            return take_document(self.store, connection, new).document.id

    def teach(self, name: str, text: str, **more: Any) -> None:
        at, capability = self.desk.start, self.desk.capability
        propose_lesson(self.store, Lesson(id=name, capability=capability, text=text, at=at, by="ines", **more))
        until = self.now + 30 * DAY
        approval = Decision(state=LessonState.APPROVED, by="maria", at=at, valid_until=until)
        decide_lesson(self.store, name, approval)


@pytest.fixture
def search(store: Store, embedder: WordLlamaEmbedder, desk: Any) -> Search:
    return Search(store, embedder, desk)


def test_all_three_kinds_are_found_with_their_sources(search: Search) -> None:
    document = search.add("A zeppelin is moored at the mast.")
    search.teach("lsn_1", "A zeppelin is never a balloon.")
    said = search.desk.told("where does the zeppelin go", "hangar", reason="a zeppelin is large", expert="secret-ines")
    hits = {hit.kind: hit for hit in search.hits("zeppelin")}
    assert set(hits) == set(HitKind)
    passage, lesson, judgment = hits[HitKind.PASSAGE], hits[HitKind.LESSON], hits[HitKind.JUDGMENT]
    assert (passage.source.title, passage.source.heading, passage.source.document) == ("Rules", "Part", document)
    assert (passage.source.owner, passage.source.version, passage.source.valid_until) == ("maria", 1, None)
    assert (lesson.id, lesson.source.title) == ("lsn_1", search.desk.capability)
    assert judgment.id == said.id
    assert judgment.text == "where does the zeppelin go\n→ hangar\na zeppelin is large"
    assert "secret-ines" not in repr(hits)


def test_hits_can_be_of_some_kinds_only(search: Search) -> None:
    search.add("A zeppelin is moored at the mast.")
    said = search.desk.told("zeppelin", "hangar")
    assert search.ids("zeppelin", kinds=frozenset({HitKind.JUDGMENT})) == [said.id]
    assert search.ids("zeppelin", kinds=frozenset({HitKind.LESSON})) == []
    assert len(search.ids("zeppelin", most=1)) == 1


def test_the_very_next_search_knows_what_is_new_and_forgets_what_is_gone(search: Search) -> None:
    assert search.ids("zeppelin") == []
    said = search.desk.told("zeppelin", "hangar")
    assert search.ids("zeppelin") == [said.id]
    document = search.add("The zeppelin waits.")
    assert len(search.ids("zeppelin")) == 2
    withdraw(search.store, said.id, by="ines", at=search.now)
    assert search.ids("zeppelin") != [] and said.id not in search.ids("zeppelin")
    search.add("Nothing of the sort.")
    assert "zeppelin" not in " ".join(hit.text for hit in search.hits("zeppelin"))
    search.add("The zeppelin waits.")
    with search.store.begin() as connection:
        drop_document(search.store, connection, document, by="maria", at=search.now)
    assert search.ids("zeppelin") == []


def test_what_is_sealed_or_says_nothing_is_never_found(search: Search) -> None:
    search.desk.told("zeppelin", "hangar", group=search.desk.sealed[0])
    search.desk.told("zeppelin", None, verdict=Verdict.CANNOT_TELL)
    assert search.ids("zeppelin") == []


def test_what_has_lapsed_or_not_begun_is_not_found(search: Search) -> None:
    lapsed = search.desk.told("zeppelin", "hangar")
    later = search.desk.told("zeppelin", "mast", valid_from=search.now + DAY)
    assert search.ids("zeppelin") == [lapsed.id]
    expire(search.store, [lapsed.id], search.now, by="maria", at=search.now)
    assert search.ids("zeppelin") == []
    search.now += DAY
    assert search.ids("zeppelin") == [later.id]
    search.add("The zeppelin waits.", valid_from=search.now + DAY, valid_until=search.now + 2 * DAY)
    kinds = {"kinds": frozenset({HitKind.PASSAGE})}
    assert search.ids("zeppelin", **kinds) == []
    search.now += DAY
    assert len(search.ids("zeppelin", **kinds)) == 1
    search.now += DAY
    assert search.ids("zeppelin", **kinds) == []


def test_what_was_erased_cannot_be_found_or_read(search: Search) -> None:
    said = search.desk.told("my zeppelin is called Xyzzy", "hangar")
    assert search.ids("zeppelin") == [said.id]
    erase_case(search.store, said.case, by="maria", at=search.now)
    assert search.ids("zeppelin") == []
    assert b"yzzy" not in repr(vars(search.index)).encode()


def test_a_lesson_goes_with_the_judgments_that_it_came_from(search: Search) -> None:
    said = search.desk.told("zeppelin", "hangar")
    search.teach("lsn_1", "A zeppelin goes to the hangar.", judgments=(said.id,))
    assert set(search.ids("zeppelin")) == {said.id, "lsn_1"}
    withdraw(search.store, said.id, by="ines", at=search.now)
    assert search.ids("zeppelin") == []


def test_a_lesson_is_found_while_it_is_approved(search: Search) -> None:
    search.teach("lsn_1", "A zeppelin goes to the hangar.")
    assert search.ids("zeppelin") == ["lsn_1"]
    decide_lesson(search.store, "lsn_1", Decision(state=LessonState.RETIRED, by="maria", at=search.now))
    assert search.ids("zeppelin") == []
    search.teach("lsn_2", "A zeppelin is not a balloon.")
    search.now += 31 * DAY
    assert search.ids("zeppelin") == []


def test_a_rule_goes_before_one_case_that_says_the_same(search: Search) -> None:
    search.desk.told("the zeppelin waits at the mast", "hangar")
    search.add("The zeppelin waits at the mast.")
    assert [hit.kind for hit in search.hits("zeppelin mast")] == [HitKind.PASSAGE, HitKind.JUDGMENT]


def test_nothing_is_asked_and_nothing_is_known(search: Search) -> None:
    assert search.hits("anything") == []
    search.add("Something.")
    assert search.hits("   ") == []


@given(st.lists(st.tuples(st.sampled_from(["say", "take", "back", "drop"]), st.integers(0, 5)), max_size=14))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_index_that_read_along_finds_what_a_fresh_one_finds(
    store: Store, embedder: WordLlamaEmbedder, desk: Any, acts: list[tuple[str, int]]
) -> None:
    along = Search(store, embedder, desk, fewest_swept=1)
    said: list[str] = []
    for act, number in acts:
        if act == "say":
            said.append(desk.told(f"zeppelin {number}", f"label-{number}").id)
        elif act == "take":
            along.add(f"The zeppelin number {number} waits.", source=f"{number % 3}.md")
        elif act == "back" and said:
            withdraw(store, said.pop(number % len(said)), by="ines", at=desk.now)
        elif act == "drop" and said:
            expire(store, [said[number % len(said)]], desk.now, by="maria", at=desk.now)
        along.index.refresh()
    fresh = Search(store, embedder, desk)
    assert sorted(along.ids("zeppelin number 3", most=99)) == sorted(fresh.ids("zeppelin number 3", most=99))


def test_rows_that_are_gone_are_swept_out(store: Store, embedder: WordLlamaEmbedder, desk: Any) -> None:
    along = Search(store, embedder, desk, fewest_swept=2)
    said = [desk.told(f"zeppelin {number}", "hangar") for number in range(6)]
    assert len(along.ids("zeppelin")) == len(along.index) == 6
    before = along.index.size_bytes
    for one in said[:2]:
        withdraw(store, one.id, by="ines", at=desk.now)
    kept = along.hits("zeppelin")
    assert along.index.size_bytes < before
    fresh = Search(store, embedder, desk).hits("zeppelin")
    assert [hit.id for hit in kept] == [hit.id for hit in fresh]
    assert [hit.score for hit in kept] == pytest.approx([hit.score for hit in fresh])
