"""One browser for all tests; nothing that is opened in it may ask for anything, or complain."""

import os
import shutil
from contextlib import contextmanager

import pytest


def _missing(reason):
    if os.environ.get("BAYESRIDGE_REQUIRE_BROWSER") == "1":
        pytest.fail(f"BAYESRIDGE_REQUIRE_BROWSER=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser():
    path = os.environ.get("BAYESRIDGE_CHROMIUM") or shutil.which("chromium")
    if path is None:
        _missing("there is no Chromium: install one, or name it in BAYESRIDGE_CHROMIUM")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed")
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # Chromium's sandbox refuses to run as root
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if root else [])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def shared():
    """The tab that most pages are opened in, one after the other: a warm one takes half the time."""
    return {}


@pytest.fixture
def visit(browser, shared, tmp_path):
    """Open the page of a case; afterwards nothing may have been asked for, and nothing complained."""

    @contextmanager
    def opened(page, viewport=None, **options):
        file = tmp_path / "report.html"
        file.write_text(page, encoding="utf-8", newline="\n")
        # a test that fails hands no tab on
        tab = browser.new_page(**options) if options else shared.pop("tab", None) or browser.new_page()
        tab.set_viewport_size(viewport or {"width": 1280, "height": 720})
        tab.mouse.move(0, 0)
        requests, complaints = [], []
        heard = {
            "request": lambda request: requests.append(request.url),
            "console": lambda message: complaints.append(message.text),
            "pageerror": lambda error: complaints.append(str(error)),
            "dialog": lambda dialog: complaints.append(dialog.message),
        }
        for event, listener in heard.items():
            tab.on(event, listener)
        tab.goto(file.as_uri())
        yield tab
        assert requests == [file.as_uri()]
        assert complaints == []
        for event, listener in heard.items():
            tab.remove_listener(event, listener)
        if options:
            tab.close()
        else:
            shared["tab"] = tab

    return opened
