"""Coming in and going in a real browser, which decides itself which cookies it sends. Skipped without Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from tokencapital.app.accounts import AccountAsked, make_account
from tokencapital.app.platform import Platform
from tokencapital.app.server import build_app
from tokencapital.app.settings import Settings
from tokencapital.core.people import Role
from tokencapital.store.notices import notices
from tokencapital.testing.browser import CHROMIUM, in_chromium
from tokencapital.testing.servers import served
from tokencapital.web.site import Site

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")

PASSWORD = "a sentence that nobody guesses"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Platform]:
    with Platform.open(Settings(store=str(tmp_path / "s.db")), key=bytes(32)) as platform:
        asked = AccountAsked(login="maria", password=PASSWORD, roles=frozenset({Role.COUNCIL}), by="maria")
        make_account(platform, asked)
        yield platform


def elsewhere(house: str) -> Starlette:
    """Another site with a link to the house, and a form that would record a notice there."""
    fields = "".join(f"<input name={name} value=x>" for name in ("group", "text", "terms"))
    page = (
        f"<!doctype html><a href='{house}/notices?from=elsewhere'>there</a>"
        f"<form method=post action='{house}/notices'><input name=kind value=notice>{fields}<button>send</button></form>"
    )

    async def show(request: Request) -> HTMLResponse:
        return HTMLResponse(page)

    return Starlette(routes=[Route("/", show)])


def test_a_link_on_another_site_leads_in_and_its_form_does_nothing(house: Platform) -> None:
    with served(build_app(house, Site(house))) as address, served(elsewhere(address)) as other:
        far = other.replace("127.0.0.1", "localhost")

        def visit(browser: Browser) -> list[str]:
            page = browser.new_page()
            page.goto(f"{address}/me")
            page.wait_for_selector("#login:focus")
            page.keyboard.type("maria")
            page.keyboard.press("Tab")
            page.keyboard.type(PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_selector("text=Log out")
            came = [urlsplit(page.url).path]
            page.goto(far)
            page.click("a")
            page.wait_for_selector("text=Log out")
            came.append(urlsplit(page.url).path)
            page.goto(far)
            page.click("button")
            page.wait_for_selector("text=Log out")
            came.append(urlsplit(page.url).path)
            page.goto(f"{address}/notices")
            page.click("text=Log out")
            page.wait_for_selector("#password")
            page.go_back()
            came.append(urlsplit(page.url).path)
            return came

        came = in_chromium(visit)
    assert came == ["/me", "/notices", "/", "/login"]
    assert notices(house.store) == []
