"""The system's Chromium for tests that look at pages as people do. It reaches nothing but what it is shown."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
"""Where the browser is; None: there is none on this machine."""
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_Told = TypeVar("_Told")


def in_chromium(scenario: Callable[[Browser], _Told]) -> _Told:
    """What the scenario returns, played in a browser of its own that is closed afterwards.

    It runs in a thread of its own, because Playwright keeps an event loop running in the thread that it is used in.
    """

    def play() -> _Told:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
            try:
                return scenario(browser)
            finally:
                browser.close()

    with ThreadPoolExecutor(max_workers=1) as alone:
        return alone.submit(play).result()
