"""Whatever the model writes, whole or streamed, no citation of a passage that does not exist reaches a caller."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokencapital.app.knowledge import Knowledge
from tokencapital.core.case import Contract, ContractKind, Mode
from tokencapital.core.knowledge import Media, Piece
from tokencapital.core.policy import Policy
from tokencapital.models.wordllama import WordLlamaEmbedder
from tokencapital.serve.engine import Engine
from tokencapital.serve.ports import Live
from tokencapital.serve.shapes.written import written
from tokencapital.serve.wire import ANSWERING, write_stream, write_whole
from tokencapital.store.cases import read_trajectory
from tokencapital.store.knowledge import NewDocument, drop_document, passages_in, take_document
from tokencapital.testing.models import ScriptedModel

LOOKS_LIKE_A_PASSAGE = re.compile(r"psg_\w*", re.IGNORECASE)


class Shelf:
    """Two documents in the store of which the engine shows passages; one of them may be retired."""

    def __init__(self, desk: Any, embedder: WordLlamaEmbedder) -> None:
        self.desk = desk
        self.knowledge = Knowledge(desk.store, embedder)
        self.documents = [self.add(f"Zeppelin rule {number}.", f"{number}.md") for number in range(2)]
        with desk.store.read() as connection:
            self.ids = [next(iter(passages_in(connection, one, 1))) for one in self.documents]

    def add(self, text: str, source: str) -> str:
        new = NewDocument(
            source=source, title="Rules", media=Media.TEXT, owner="maria", pieces=(Piece((), text),),
            at=self.desk.start, by="maria",
        )  # fmt: skip
        with self.desk.store.begin() as connection:
            return take_document(self.desk.store, connection, new).document.id

    def retire(self, document: str) -> None:
        with self.desk.store.begin() as connection:
            drop_document(self.desk.store, connection, document, by="maria", at=self.desk.now)

    def engine(self, model: ScriptedModel, kind: ContractKind = ContractKind.TEXT, **more: Any) -> Engine:
        live = Live(Policy(capability="triage", contract=Contract(kind=kind, **more), passages=2))
        return self.desk.engine(live, model, knowledge=self.knowledge, mode=Mode.ANSWER)


@pytest.fixture
def shelf(desk: Any, embedder: WordLlamaEmbedder) -> Shelf:
    return Shelf(desk, embedder)


@given(
    st.lists(
        st.sampled_from(["[1]", "[2]", "[3]", "[", "]", "psg_", "0a", "FIRST", "SECOND", "Yes", " ", "[1, 9]"]),
        min_size=1,
        max_size=14,
    )
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_false_citation_reaches_a_caller(shelf: Shelf, said: list[str]) -> None:
    text = "".join(said).replace("FIRST", shelf.ids[0]).replace("SECOND", shelf.ids[1])
    engine = shelf.engine(ScriptedModel([text]))
    exchange = await engine.answer(shelf.desk.case("a zeppelin rule"))
    done = exchange.trajectory
    answer = written(exchange, "triage")
    bodies = [write_whole(wire, answer) for wire in ANSWERING]
    streams = [b"".join(write_stream(wire, answer)) for wire in ANSWERING]
    for sent in (one.decode() for one in bodies + streams):
        assert set(LOOKS_LIKE_A_PASSAGE.findall(sent)) <= set(shelf.ids)
        assert "[3]" not in sent
    assert set(done.answer.because) == {one.id for one in exchange.citations}
    assert read_trajectory(shelf.desk.store, done.id) == done


async def test_a_passage_that_is_retired_while_the_model_writes_is_cited_no_more(shelf: Shelf) -> None:
    def write(_: Any) -> str:
        shelf.retire(shelf.documents[0])
        return f"Yes {shelf.ids[0]} and {shelf.ids[1]}."

    exchange = await shelf.engine(ScriptedModel(write)).answer(shelf.desk.case("a zeppelin rule"))
    assert exchange.trajectory.answer.value == f"Yes and [{shelf.ids[1]}]."
    assert exchange.trajectory.false_citations == 1


async def test_signs_in_a_label_are_no_citations(shelf: Shelf) -> None:
    engine = shelf.engine(ScriptedModel(["refund [2]"]), ContractKind.LABEL, labels=("refund [2]", "other"))
    exchange = await engine.answer(shelf.desk.case("a zeppelin rule"))
    assert (exchange.trajectory.answer.value, exchange.citations) == ("refund [2]", ())


async def test_an_answer_of_false_citations_alone_is_none(shelf: Shelf) -> None:
    exchange = await shelf.engine(ScriptedModel(["[7] psg_none"])).answer(shelf.desk.case("a zeppelin rule"))
    assert (exchange.trajectory.answer.value, exchange.trajectory.false_citations) == (None, 2)
