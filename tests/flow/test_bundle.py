"""A capability carried to another store answers there as it did here, and nothing else comes along."""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from tokencapital.app.bundle import MANIFEST, MEMORY, Manifest, export_bundle
from tokencapital.app.bundle_importing import IMPORTED, import_bundle
from tokencapital.app.bundle_reading import open_bundle
from tokencapital.app.erasing import Erasure, erase_and_rebuild
from tokencapital.app.lessons import ByHand, approve, propose_by_hand
from tokencapital.app.loop import learn
from tokencapital.app.platform import Platform
from tokencapital.app.settings import Settings
from tokencapital.app.verifying import verify
from tokencapital.core.answer import Stage
from tokencapital.core.case import Case, Message, Mode
from tokencapital.core.clock import RecordedClock
from tokencapital.core.errors import InputError, StoreConflict
from tokencapital.core.knowledge import Media, Piece
from tokencapital.core.policy import Lane
from tokencapital.core.split import Split
from tokencapital.evaluate.sealed import sealed_for_bundle
from tokencapital.simulate.service_desk import TICKET, TRIAGE
from tokencapital.store.audit import Done, links
from tokencapital.store.cases import read_cases
from tokencapital.store.judgments import withdraw
from tokencapital.store.knowledge import NewDocument, take_document
from tokencapital.store.manifest import assign, sealed_groups, split_of_cases
from tokencapital.store.schema import judgment, metadata, notice, work_case
from tokencapital.testing.desks import PlayedDesk, play_desk
from tokencapital.testing.traces import lost_words, payload_bodies, traces
from tokencapital.testing.twins import SURE, answers_of, hashing_model, release_changed

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANSWERS = 500


@pytest.fixture(scope="module")
def origin_desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlayedDesk]:
    """The service desk, played: a label and a fields capability, each with a live specialist."""
    path = tmp_path_factory.mktemp("origin") / "desk.db"
    return path, play_desk(str(path), cases=260)


@pytest.fixture
def desk_file(origin_desk: tuple[Path, PlayedDesk], tmp_path: Path) -> Path:
    """A copy of the played desk."""
    return Path(shutil.copy(origin_desk[0], tmp_path / "desk.db"))


@pytest.fixture
def origin(desk_file: Path) -> Iterator[Platform]:
    """The played desk, open, some weeks later."""
    with Platform.open(Settings(store=str(desk_file)), clock=RecordedClock(NOW)) as platform:
        yield platform


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Platform]:
    """An empty store with a key of its own."""
    with Platform.open(Settings(store=str(tmp_path / "new.db")), clock=RecordedClock(NOW)) as platform:
        yield platform


def put_to_both(desk: PlayedDesk, platform: Platform, capability: str) -> list[Case]:
    """Cases that nobody has seen, and cases that people have judged, under new ids."""
    with platform.store.read() as connection:
        query = select(work_case.c.id).where(work_case.c.capability == capability)
        served = list(read_cases(platform.store, connection.execute(query).scalars()).values())
    pool = [*desk.unseen[capability], *served]
    cases = [msgspec.structs.replace(pool[at % len(pool)], id=f"asked-{at}") for at in range(ANSWERS)]
    return [msgspec.structs.replace(case, group=f"asker-{at}") for at, case in enumerate(cases)]


@pytest.mark.parametrize("capability", [TRIAGE, TICKET])
@pytest.mark.parametrize("asks", [False, True], ids=["no generalist", "a generalist"])
def test_it_answers_there_as_here(
    origin: Platform,
    elsewhere: Platform,
    origin_desk: tuple[Path, PlayedDesk],
    tmp_path: Path,
    capability: str,
    asks: bool,
) -> None:
    if asks:
        origin.generalist, elsewhere.generalist = hashing_model(), hashing_model()
        taught_by_hand(origin, capability)
    file = tmp_path / "one.tcap"
    export_bundle(origin, capability, file, by="mira")
    done = import_bundle(elsewhere, file, by="nora")
    cases = put_to_both(origin_desk[1], origin, capability)

    here, there = answers_of(origin, capability, cases), answers_of(elsewhere, capability, cases)

    assert len(here) == ANSWERS
    assert here == there
    assert done.origin == origin.workplace(capability).releases.live(capability).policy.hash
    sources = {one.answer.source for one in here}
    assert Stage.RECALL in sources
    assert (Stage.GENERALIST if asks else Stage.SPECIALIST) in sources
    if asks:
        lessons = set(origin.workplace(capability).releases.live(capability).policy.lessons)
        assert lessons and any(lessons <= set(one.answer.because) for one in here)
    assert verify(elsewhere).passed


def taught_by_hand(platform: Platform, capability: str) -> None:
    """A release whose generalist is sure, sees exemplars and two lessons: one from judgments, one out of hand."""
    place = platform.workplace(capability)
    place.engine.memory.refresh()
    (judged,) = place.engine.memory.judged(place.engine.memory.valid_rows(NOW)[:1])
    proposed = [
        propose_by_hand(place, ByHand(text="Phones go to purchasing.", by="mira", judgments=(judged.judgment.id,))),
        propose_by_hand(place, ByHand(text="Doors that stick are not urgent.", by="mira")),
    ]
    lessons = tuple(approve(platform, one.id, "mira").id for one in proposed)
    release_changed(platform, capability, lessons=lessons, exemplars=6, generalist_rule=SURE)


def test_documents_come_along_where_the_policy_shows_passages(
    origin: Platform, elsewhere: Platform, tmp_path: Path
) -> None:
    with origin.store.begin() as connection:
        for title, text in HANDBOOK.items():
            new = NewDocument(
                source=f"{title}.md", title=title, media=Media.MARKDOWN, owner="mira", at=NOW, by="mira",
                pieces=[Piece((title,), text)],
            )  # fmt: skip
            take_document(origin.store, connection, new)
    release_changed(origin, TRIAGE, passages=2)
    export_bundle(origin, TRIAGE, tmp_path / "one.tcap", by="mira")
    import_bundle(elsewhere, tmp_path / "one.tcap", by="nora")
    for title, text in HANDBOOK.items():
        (here,) = origin.knowledge.find(text, 1, NOW)
        (there,) = elsewhere.knowledge.find(text, 1, NOW)
        assert here == there
        assert here.title == title
    assert verify(elsewhere).passed
    assert b'"mira"' not in (tmp_path / "one.tcap").read_bytes()


HANDBOOK = {
    "Badges": "A lost badge is blocked at the gate within the hour.",
    "Travel": "Travel costs are handed in with receipts by the fifth of the month.",
}


def test_lapsed_and_retracted_judgments_are_as_silent_there(
    origin: Platform, elsewhere: Platform, origin_desk: tuple[Path, PlayedDesk], tmp_path: Path
) -> None:
    """The rule change of the desk has lapsed judgments; what somebody took back goes along without its answer."""
    memory = origin.workplace(TRIAGE).engine.memory
    memory.refresh()
    gone = [one.judgment.id for one in memory.judged(memory.valid_rows(NOW))[:40]]
    for name in gone:
        withdraw(origin.store, name, by="mira", at=NOW, reason="no longer so")
    file = tmp_path / "one.tcap"
    export_bundle(origin, TRIAGE, file, by="mira")
    import_bundle(elsewhere, file, by="nora")
    cases = put_to_both(origin_desk[1], origin, TRIAGE)

    with Platform.open(Settings(store=_where(origin)), clock=RecordedClock(NOW)) as fresh:
        assert answers_of(fresh, TRIAGE, cases) == answers_of(elsewhere, TRIAGE, cases)

    taken_back = [one for one in open_bundle(file).bundle.memory if one.taken_back]
    assert {one.judgment.id for one in taken_back} >= set(gone)
    assert all(one.judgment.answer == "" for one in taken_back)


def test_the_same_capability_gives_the_same_bytes(origin: Platform, tmp_path: Path) -> None:
    first = export_bundle(origin, TRIAGE, tmp_path / "one.tcap", by="mira")
    second = export_bundle(origin, TRIAGE, tmp_path / "two.tcap", by="nora")
    assert first.digest == second.digest
    assert (tmp_path / "one.tcap").read_bytes() == (tmp_path / "two.tcap").read_bytes()
    acts = [link for link in links(origin.store) if link.what == Done.BUNDLE_EXPORTED]
    assert [link.by for link in acts] == ["mira", "nora"]


def test_a_bundle_of_a_bundle_answers_the_same(
    origin: Platform, elsewhere: Platform, origin_desk: tuple[Path, PlayedDesk], tmp_path: Path
) -> None:
    export_bundle(origin, TICKET, tmp_path / "one.tcap", by="mira")
    import_bundle(elsewhere, tmp_path / "one.tcap", by="nora")
    export_bundle(elsewhere, TICKET, tmp_path / "two.tcap", by="nora")
    with Platform.open(Settings(store=str(tmp_path / "third.db")), clock=RecordedClock(NOW)) as third:
        import_bundle(third, tmp_path / "two.tcap", by="olaf")
        cases = put_to_both(origin_desk[1], origin, TICKET)[:100]
        assert answers_of(third, TICKET, cases) == answers_of(origin, TICKET, cases)


def test_nobody_is_named_in_it(origin: Platform, elsewhere: Platform, tmp_path: Path) -> None:
    file = tmp_path / "one.tcap"
    with origin.store.read() as connection:
        people = set(connection.execute(select(judgment.c.expert).distinct()).scalars())
    assert {"ines", "bert"} <= people
    export_bundle(origin, TRIAGE, file, by="mira")
    said = open_bundle(file).bundle
    assert {one.judgment.expert for one in said.memory} <= {f"contributor-{n}" for n in range(1, len(people) + 1)}
    assert all(one.judgment.reason is None for one in said.memory)
    assert said.goal is not None and said.goal.owner == ""
    raw = file.read_bytes()
    assert not [name for name in people if f'"{name}"'.encode() in raw]

    import_bundle(elsewhere, file, by="nora")

    with elsewhere.store.read() as connection:
        experts = set(connection.execute(select(judgment.c.expert).distinct()).scalars())
        terms = connection.execute(select(notice.c.terms).where(notice.c.people_group == IMPORTED)).scalar_one()
    assert all("-contributor-" in name for name in experts)
    assert terms == said.terms[0]


def test_sealed_groups_of_the_origin_never_teach_there(origin: Platform, elsewhere: Platform, tmp_path: Path) -> None:
    file = tmp_path / "one.tcap"
    with origin.store.read() as connection:
        sealed = sealed_groups(connection, TRIAGE)
    assert len(sealed) > 5
    export_bundle(origin, TRIAGE, file, by="mira")
    raw = file.read_bytes()
    assert not [group for group in sealed if f'"{group}"'.encode() in raw]
    words = [m.content for one in sealed_for_bundle(origin.store, TRIAGE) for m in one.case.messages]
    alone = lost_words({}, {}) | {word for word in words if len(word) > 30}
    kept = "\n".join(m.content for one in open_bundle(file).bundle.memory for m in one.case.messages)
    assert traces([word for word in alone if word not in kept], raw) == []

    import_bundle(elsewhere, file, by="nora")

    arriving = [
        Case(id=f"new-{at}", capability=TRIAGE, group=group, at=NOW, messages=_two(f"something new {at}"))
        for at, group in enumerate(sealed)
    ]
    assert {one.split for one in assign(elsewhere.store, arriving)} == {Split.SEALED}
    asyncio.run(elsewhere.workplace(TRIAGE).engine.answer_many(arriving))
    assert set(split_of_cases(elsewhere.store, [case.id for case in arriving]).values()) == {Split.SEALED}
    assert verify(elsewhere).passed


def test_evals_come_along_where_they_were_asked_for(origin: Platform, elsewhere: Platform, tmp_path: Path) -> None:
    file = tmp_path / "one.tcap"
    export_bundle(origin, TRIAGE, file, by="mira", with_evals=True)
    done = import_bundle(elsewhere, file, by="nora")
    there = sealed_for_bundle(elsewhere.store, TRIAGE)
    here = sealed_for_bundle(origin.store, TRIAGE)
    assert done.evals == len(here) > 5
    assert [(one.case, one.judgment.answer) for one in there] == [(one.case, one.judgment.answer) for one in here]
    memory = elsewhere.workplace(TRIAGE).engine.memory
    memory.refresh()
    taught = {one.case.id for one in memory.judged(range(len(memory)))}
    assert not taught & {one.case.id for one in here}
    assert verify(elsewhere).passed


def test_the_release_says_where_it_came_from(origin: Platform, elsewhere: Platform, tmp_path: Path) -> None:
    file = tmp_path / "one.tcap"
    exported = export_bundle(origin, TRIAGE, file, by="mira")
    done = import_bundle(elsewhere, file, by="nora", mode=Mode.SHADOW)
    assert (done.release.lane, done.release.decided_by, done.mode) == (Lane.CHANGE, "nora", Mode.SHADOW)
    assert "imported" in done.release.evidence.reason
    assert done.release.evidence.details["origin_policy"] == done.origin
    assert done.release.evidence.details["imported"] == exported.digest
    goal = elsewhere.workplace(TRIAGE).goal
    assert goal is not None and goal.owner == "nora"
    act = links(elsewhere.store)[-1]
    assert (act.what, act.subject, act.by) == (Done.BUNDLE_IMPORTED, TRIAGE, "nora")


def test_it_goes_on_learning_there(origin: Platform, elsewhere: Platform, tmp_path: Path) -> None:
    """What was learned comes along as something that can be learned from, thresholds included."""
    file = tmp_path / "one.tcap"
    export_bundle(origin, TRIAGE, file, by="mira")
    import_bundle(elsewhere, file, by="nora")
    place = elsewhere.workplace(TRIAGE)
    assert learn(place, 0.1) == []
    asked = Case(id="new-1", capability=TRIAGE, group="newcomer", at=NOW, messages=_two("my badge opens no door"))
    asyncio.run(place.engine.answer(asked))
    known = len(place.engine.memory)
    from tokencapital.app.judging import judge
    from tokencapital.core.judgment import Verdict
    from tokencapital.review.routes import Said
    from tokencapital.testing.people import tell_everyone

    tell_everyone(elsewhere.store)
    judge(elsewhere, Said(case="new-1", expert="pia", verdict=Verdict.CORRECTED, answer="facilities"))
    place.engine.memory.refresh()
    assert len(place.engine.memory) == known + 1
    (candidate,) = learn(place, 0.1)
    assert candidate.judgments > 50


def test_what_was_erased_is_in_no_bundle(origin: Platform, desk_file: Path, tmp_path: Path) -> None:
    before = payload_bodies(origin.store)
    with origin.store.read() as connection:
        group = connection.execute(
            select(work_case.c.entity_group).join_from(judgment, work_case, judgment.c.case_id == work_case.c.id)
        ).scalars().first()  # fmt: skip
    asyncio.run(erase_and_rebuild(origin, Erasure(by="dpo-1", group=group)))
    lost = lost_words(before, payload_bodies(origin.store))
    for name in (TRIAGE, TICKET):
        file = tmp_path / f"{name}.tcap"
        export_bundle(origin, name, file, by="mira", with_evals=True)
        assert lost and traces(lost, file.read_bytes()) == []


def _flip(body: bytes) -> bytes:
    at = body.index(b'"answer":"') + len(b'"answer":"')
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


DAMAGED: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "no archive": (lambda raw: b"PK" + raw[:10], "no bundle, or it is damaged"),
    "cut off": (lambda raw: raw[: len(raw) // 2], "no bundle, or it is damaged"),
    "a flipped bit": (_flip, "no bundle, or it is damaged"),
    "another answer, packed well": (lambda raw: repacked(raw, {MEMORY: _flip}), "memory.jsonl is not what"),
    "a part too many": (lambda raw: repacked(raw, more={"../evil.json": b"1"}), "missing or unknown: ../evil.json"),
    "a part too few": (lambda raw: repacked(raw, without=MEMORY), "missing or unknown: memory.jsonl"),
    "no manifest": (lambda raw: repacked(raw, without=MANIFEST), "no manifest"),
    "another format": (
        lambda raw: repacked(raw, {MANIFEST: lambda body: body.replace(b'"format":1', b'"format":9')}),
        "its format is 9",
    ),
    "another policy, summed anew": (
        lambda raw: resummed(raw, "policy.json", lambda body: body.replace(b'"explore":0.02', b'"explore":0.99')),
        "its policy is not the one",
    ),
    "another specialist, summed anew": (
        lambda raw: resummed(raw, "specialist.npz", lambda body: body[:-1] + b"!"),
        "its specialist is not the one",
    ),
    "a case of something else, summed anew": (
        lambda raw: resummed(
            raw, MEMORY, lambda body: body.replace(b'"capability":"triage-message"', b'"capability":"other"', 1)
        ),
        "judgments of other cases",
    ),
}


def repacked(
    raw: bytes,
    change: Mapping[str, Callable[[bytes], bytes]] | None = None,
    without: str | None = None,
    more: Mapping[str, bytes] | None = None,
) -> bytes:
    """The archive written anew, so that only the house's own checks can see what changed."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if name != without}
    for name, changed in (change or {}).items():
        parts[name] = changed(parts[name])
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, body in (parts | dict(more or {})).items():
            archive.writestr(name, body)
    return file.getvalue()


def resummed(raw: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """The archive with a changed part under a right checksum, as somebody who knows the format can make it."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        body = change(archive.read(part))
        manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
    summed = {**manifest.parts, part: hashlib.sha256(body).hexdigest()}
    said = msgspec.json.encode(msgspec.structs.replace(manifest, parts=summed))
    return repacked(raw, {part: lambda _: body, MANIFEST: lambda _: said})


@pytest.fixture(scope="module")
def good_bundle(origin_desk: tuple[Path, PlayedDesk], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("good")
    copy = shutil.copy(origin_desk[0], folder / "desk.db")
    with Platform.open(Settings(store=str(copy)), clock=RecordedClock(NOW)) as platform:
        export_bundle(platform, TRIAGE, folder / "good.tcap", by="mira")
    return (folder / "good.tcap").read_bytes()


@pytest.mark.parametrize("name", DAMAGED)
def test_a_bundle_that_was_damaged_or_changed_writes_nothing(
    elsewhere: Platform, good_bundle: bytes, tmp_path: Path, name: str
) -> None:
    change, said = DAMAGED[name]
    file = tmp_path / "bad.tcap"
    file.write_bytes(change(good_bundle))
    before = _rows(elsewhere)
    with pytest.raises(InputError, match=said):
        import_bundle(elsewhere, file, by="nora")
    assert _rows(elsewhere) == before


def test_only_the_expected_bundle_is_taken(elsewhere: Platform, good_bundle: bytes, tmp_path: Path) -> None:
    file = tmp_path / "good.tcap"
    file.write_bytes(good_bundle)
    with pytest.raises(InputError, match="not the one that was expected"):
        import_bundle(elsewhere, file, by="nora", expected="0" * 64)
    with pytest.raises(InputError, match="answers for it"):
        import_bundle(elsewhere, file, by=" ")
    import_bundle(elsewhere, file, by="nora", expected=open_bundle(file).digest)


def test_what_is_there_already_is_left_alone(origin: Platform, good_bundle: bytes, tmp_path: Path) -> None:
    file = tmp_path / "good.tcap"
    file.write_bytes(good_bundle)
    before = _rows(origin)
    with pytest.raises(StoreConflict, match="in this store already"):
        import_bundle(origin, file, by="nora")
    assert _rows(origin) == before


def test_a_missing_file_is_an_input_error(elsewhere: Platform, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        import_bundle(elsewhere, tmp_path / "none.tcap", by="nora")


def _rows(platform: Platform) -> dict[str, int]:
    from tokencapital.store.checks import count_rows

    assert metadata.tables
    return count_rows(platform.store)


def _where(platform: Platform) -> str:
    return platform.settings.store


def _two(text: str) -> tuple[Message, ...]:
    """A conversation, so that it stands not alone and belongs to its own group."""
    return (Message("assistant", "What can I do for you?"), Message("user", text))
