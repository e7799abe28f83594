"""Pictures of every page, of a house with something on each: a played service desk with people at work in it.

`make screenshots` writes docs/pictures/pages/*.png and docs/pages.md. The pages are those that the site mounts;
a page without a caption here stops it.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote

from msgspec import Struct
from playwright.sync_api import Browser, ViewportSize
from starlette.routing import Route
from starlette.testclient import TestClient

from tokencapital.app.contenders import scripted_contender
from tokencapital.app.demo import SEED, run_demo
from tokencapital.app.guard import SESSION_COOKIE
from tokencapital.app.judging import judge
from tokencapital.app.knowing import Handed, add_bytes
from tokencapital.app.lessons import ByHand, approve, propose_by_hand
from tokencapital.app.platform import Platform
from tokencapital.app.scripted import ScriptedGeneralist, truth_of
from tokencapital.app.server import build_app
from tokencapital.app.swapping import SwapAsked, swap_between
from tokencapital.app.telling import declare_contributor
from tokencapital.core.case import Case
from tokencapital.core.judgment import Verdict
from tokencapital.core.people import Contributor
from tokencapital.review.routes import Said
from tokencapital.simulate.scripted import KNOWN, ScriptedMind
from tokencapital.simulate.service_desk import TICKET, TRIAGE, service_desk
from tokencapital.store.cases import read_case
from tokencapital.store.queue import open_draws
from tokencapital.testing.browser import in_chromium
from tokencapital.testing.houses import OWNER, REPLY, open_small_house
from tokencapital.testing.pages import addresses, route_of
from tokencapital.testing.people import log_in
from tokencapital.testing.servers import served
from tokencapital.web.site import Site

HERE = Path(__file__).parent
PICTURES = HERE / "pictures" / "pages"
LARGEST = 150_000
LAPTOP = ViewportSize(width=1120, height=680)
PHONE = ViewportSize(width=390, height=720)
TALLEST, TALLER = 680, 860
ASKED = {"/knowledge": "?q=badge+that+opens+nothing"}
EXPERT = "ines"
DOUBTED = ("the lift is between two floors and nobody answers", "facilities", "security_incident")

CAPTIONS = {
    "/": "The loop at a glance: what each capability is worth, and what waits for people.",
    "/review/{capability}": "The next case to judge, with the proposed answer and why: a label, fields, text.",
    "/capability/{capability}": "One capability: its curve, its promise beside what became of it, its releases.",
    "/run/{trajectory}": "One run: what was said, what it cost, what it rests on and what came of it.",
    "/conflicts/{capability}": "Where experts disagree; a named owner settles it, and recall abstains meanwhile.",
    "/contributors": "Who is declared, by pseudonym; names live in a table of their own.",
    "/knowledge": "Documents, lessons and judgments, searched together.",
    "/knowledge/document/{document}": "One document with its passages and versions.",
    "/lessons/{capability}": "The playbook: proposed, approved and expired lessons, with what they are worth.",
    "/login": "The way in where accounts are set up.",
    "/me": "One's own page: judgments, notices, what one knows.",
    "/me/reliability": "How often one is right, for nobody else's eyes.",
    "/notices": "What groups were told before their judgments teach.",
    "/people": "What groups did; none of fewer than five.",
    "/swap/{capability}": "What survives another model: the portable share, with its interval.",
}


class Shot(Struct, frozen=True):
    """One picture: of a page, at a size, light or dark."""

    name: str
    path: str
    route: str
    size: ViewportSize
    dark: bool = False


def play(folder: Path) -> Path:
    """The demo's store, played now."""
    return Path(run_demo(folder, lambda what, done, total: None).store)


def bring_to_life(house: Platform) -> None:
    """Cases wait, people disagree, documents are known, a lesson waits for approval, and a swap test has run."""
    desk = service_desk(SEED)
    now = house.clock.now()
    with TestClient(build_app(house)) as client:
        for name, count in ((TRIAGE, 24), (TICKET, 8)):
            for case in fresh([one for one in desk.cases if one.capability == name])[-count:]:
                ask(client, name, case.messages[-1].content, case.group)
        for number in range(6):
            ask(client, REPLY, f"Where is my order number {number}?", f"buyer {number}")
        run = ask(client, TRIAGE, DOUBTED[0], "caller 1")
    for expert, label in zip(("otto", "paul"), DOUBTED[1:], strict=True):
        reason = "It is about the building." if label == "facilities" else "People are locked in."
        said = Said(expert=expert, verdict=Verdict.CORRECTED, trajectory=run, answer=label, reason=reason)
        judge(house, said)
    declare_contributor(house.store, Contributor(pseudonym="rosa", group="night shift"), by=OWNER, at=now)
    judge(house, Said(expert="rosa", verdict=Verdict.CORRECTED, trajectory=run, answer="facilities"))
    right = {one.messages[-1].content: desk.truth(one, now) for one in desk.cases if one.capability == TRIAGE}
    for asked in open_draws(house.store, TRIAGE, 3):
        stored = read_case(house.store, asked.case)
        answer = right.get(stored.messages[-1].content) if stored else None
        if answer is not None:
            said = Said(expert=EXPERT, verdict=Verdict.CORRECTED, case=asked.case, draw=asked.id, answer=answer)
            judge(house, said)
    handbook = files("tokencapital.simulate").joinpath("service_desk_handbook.md").read_bytes()
    add_bytes(house, "handbook.md", handbook, Handed(owner=OWNER))
    place = house.workplace(TRIAGE)
    first = propose_by_hand(place, ByHand(text="A badge that opens nothing is a matter of facilities.", by=EXPERT))
    approve(house, first.id, OWNER)
    propose_by_hand(place, ByHand(text="Whoever cannot log in after a holiday needs a new password.", by=EXPERT))
    asyncio.run(swap_in(house, desk.cases))


async def swap_in(house: Platform, cases: Sequence[Case]) -> None:
    """The live policy is tried with three generalists of known ability."""
    truth = truth_of(service_desk(SEED), cases, house.clock.now())
    minds = [ScriptedMind(name=f"scripted-{name}", ability=able) for name, able in KNOWN.items()]
    contenders = [scripted_contender(house, ScriptedGeneralist(mind, truth)) for mind in reversed(minds)]
    await swap_between(contenders, house.workplace(TRIAGE), SwapAsked(against=(), by=OWNER))


def fresh(cases: Sequence[Case]) -> list[Case]:
    """The cases, each text once."""
    return list({case.messages[-1].content: case for case in cases}.values())


def ask(client: TestClient, capability: str, text: str, user: str) -> str:
    """The run of what the house answered."""
    body = {"model": capability, "messages": [{"role": "user", "content": text}], "user": user}
    answered = client.post("/v1/chat/completions", json=body)
    if answered.status_code >= 300:
        raise RuntimeError(answered.text)
    return str(answered.headers["x-tcap-trajectory"])


def shots_of(site: Site, house: Platform) -> list[Shot]:
    """Every page on a laptop; the pages to judge on also on a phone and in the dark."""
    found: list[Shot] = []
    routes = [one for one in site.routes() if isinstance(one, Route)]
    for path in addresses(routes, house.store):
        route = route_of(routes, path)
        if route not in CAPTIONS:
            sys.exit(f"{route} has no caption in {__file__}")
        if route != "/review/{capability}" and path.endswith((TICKET, REPLY)):
            continue  # pages of one kind of answer are enough
        name = name_of(path, found)
        found.append(Shot(name, path + ASKED.get(route, ""), route, LAPTOP))
        if path == f"/review/{TRIAGE}":
            found += [Shot(f"{name}-phone", path, route, PHONE), Shot(f"{name}-dark", path, route, LAPTOP, dark=True)]
    return sorted(found, key=lambda one: list(CAPTIONS).index(one.route))


def name_of(path: str, taken: Sequence[Shot]) -> str:
    """A file name for a page; ids become numbers, so that the names stay the same."""
    words = [word for word in unquote(path).split("/") if word]
    plain = [word if not re.search(r"\d", word) or len(word) < 12 else "" for word in words] or ["home"]
    name = "-".join(word for word in plain if word)
    count = sum(one.name.startswith(name) for one in taken)
    return name if "" not in plain else f"{name}-{count + 1}"


def take(shots: Sequence[Shot], address: str, session: str) -> None:
    """The pictures are written."""

    def scenario(browser: Browser) -> None:
        for one in shots:
            look = browser.new_context(viewport=one.size, color_scheme="dark" if one.dark else "light")
            if one.route != "/login":
                look.add_cookies([{"name": SESSION_COOKIE, "value": session, "url": address}])
            page = look.new_page()
            answered = page.goto(address + one.path, wait_until="networkidle")
            if answered is None or answered.status != 200:
                sys.exit(f"{one.path} is not there to be pictured")
            height = min(
                TALLER if one.route == "/" else TALLEST, page.evaluate("document.documentElement.scrollHeight")
            )
            page.set_viewport_size({"width": one.size["width"], "height": max(height, 300)})
            page.wait_for_timeout(150)
            page.screenshot(path=PICTURES / f"{one.name}.png")
            look.close()

    in_chromium(scenario)


def write_list(shots: Sequence[Shot]) -> None:
    """docs/pages.md names every page with its picture."""
    lines = [
        "# The pages",
        "",
        "Every page of `tcap serve`, as `make screenshots` pictures it from the demo's store. All of them are rendered",
        "on the server, need no network, and follow the light or dark of the system.",
    ]
    for route in dict.fromkeys(one.route for one in shots):
        lines += ["", f"## `{route}`", "", CAPTIONS[route], ""]
        for one in shots:
            if one.route == route:
                lines.append(f"![{one.name.replace('-', ' ')}](pictures/pages/{one.name}.png)")
    (HERE / "pages.md").write_text("\n".join(lines) + "\n", "utf-8")


def main() -> None:
    """Plays, brings to life, and takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, help="the demo's store; played anew where it is not given")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Path(shutil.copy(asked.store or play(folder / "demo"), folder / "store.sqlite"))
        shutil.rmtree(PICTURES, ignore_errors=True)
        PICTURES.mkdir(parents=True)
        with open_small_house(store, 1.0) as house:
            bring_to_life(house)
            site = Site(house)
            shots = shots_of(site, house)
            with served(build_app(house, site)) as address:
                take(shots, address, log_in(house, EXPERT))
    write_list(shots)
    large = [path.name for path in PICTURES.glob("*.png") if path.stat().st_size > LARGEST]
    print(f"{len(shots)} pictures in {PICTURES}; above {LARGEST:,} bytes: {', '.join(large) or 'none'}")


if __name__ == "__main__":
    main()
