"""Every page of the site, in a real browser, light and dark: no serious fault for axe, no console error, no other host.

The pages are those that the site mounts, so that a new one is looked at without being named here. Skipped
where there is no Chromium.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from sqlalchemy import select

from tokencapital.app.guard import SESSION_COOKIE
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.store.schema import judgment
from tokencapital.testing.browser import CHROMIUM, in_chromium
from tokencapital.testing.houses import open_small_house, play_small_house
from tokencapital.testing.pages import addresses
from tokencapital.testing.people import log_in
from tokencapital.testing.servers import served
from tokencapital.web.site import Site

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")

GRAVE = {"serious", "critical"}
CONTRAST = {"runOnly": ["color-contrast"]}
LIGHT = {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}}
DARK = {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}}
PHONE = {"color_scheme": "light", "viewport": {"width": 390, "height": 800}}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    store = tmp_path_factory.mktemp("pages") / "store.db"
    play_small_house(str(store), share=0.3)
    with open_small_house(store, 1.0) as platform:
        yield platform


def faults_of(page: Page, address: str, path: str, rules: dict[str, Any] | None = None) -> list[str]:
    """What is wrong with a page, in words; empty: nothing. `rules` are options of axe."""
    found: list[str] = []
    page.on("console", lambda said: found.append(f"console: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("request", lambda asked: found.append(asked.url) if _elsewhere(asked.url, address) else None)
    answered = page.goto(address + path, wait_until="load")
    if answered is not None and answered.status not in {0, 200}:
        found.append(f"status {answered.status}")
    for place in page.locator("[data-chart]").all():
        place.locator("svg").first.wait_for()
    for fault in Axe().run(page, options=rules).response["violations"]:
        if fault["impact"] in GRAVE:
            found += [f"{fault['id']}: {node['html'][:160]}" for node in fault["nodes"]]
    if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
        found.append("the page is wider than its window")
    return found


def judged_last(house: Platform) -> str:
    """Who gave the newest judgment, and may therefore see what it came to."""
    with house.store.read() as connection:
        query = select(judgment.c.expert).order_by(judgment.c.sequence.desc()).limit(1)
        return connection.execute(query).scalar_one()


def _elsewhere(url: str, address: str) -> bool:
    return urlsplit(url).scheme not in {"data", "blob"} and not url.startswith(address)


def test_no_page_keeps_anybody_out(house: Platform) -> None:
    site = Site(house)
    paths = addresses(site.routes(), house.store)
    assert {"/", "/capability/triage-message"} <= set(paths)

    who = {"name": SESSION_COOKIE, "value": log_in(house, judged_last(house))}

    def look(browser: Browser) -> dict[str, list[str]]:
        found = {}
        for look, rules in ((LIGHT, None), (DARK, CONTRAST), (PHONE, CONTRAST)):
            context = browser.new_context(**look)
            context.add_cookies([who | {"url": address}])
            for path in paths:
                page = context.new_page()
                found[f"{path} ({look['color_scheme']} {look['viewport']['width']})"] = faults_of(
                    page, address, path, rules
                )
                page.close()
            context.close()
        return found

    with served(build_app(house, site)) as address:
        found = in_chromium(look)
    assert {path: faults for path, faults in found.items() if faults} == {}


def test_a_fault_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<html lang='en'><title>x</title><body><input><p style='color:#ddd;background:#fff'>faint</p>", "utf-8"
    )

    def look(browser: Browser) -> list[str]:
        return faults_of(browser.new_page(), "file://", str(page))

    assert {fault.split(":")[0] for fault in in_chromium(look)} >= {"color-contrast", "label"}
