"""JupyterLab as a person has it: a server on loopback, and its page in Chromium without a screen."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
_START_S = 60.0
_RUN_S = 120.0
# Versions and extensions would be looked up in the network.
_OFFLINE = (
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)


class Lab:
    """A running JupyterLab."""

    def __init__(self, url: str, token: str, place: Path, settings: Path, browser: Browser) -> None:
        self._url, self._token, self._browser = url, token, browser
        self.place = place
        self._settings = settings

    def write(self, name: str, *sources: str) -> None:
        """A notebook with these code cells."""
        notebook = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
        notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]  # type: ignore[no-untyped-call]
        nbformat.write(notebook, self.place / name)  # type: ignore[no-untyped-call]

    @contextmanager
    def opened(self, name: str, theme: str = "light", size: tuple[int, int] = (1280, 900)) -> Iterator[Notebook]:
        """A notebook in a page of its own, in a theme of JupyterLab's."""
        _setting(self._settings, "apputils-extension/themes", {"theme": THEMES[theme]})
        _setting(self._settings, "apputils-extension/notification", {"fetchNews": "false", "checkForUpdates": False})
        context = self._browser.new_context(viewport={"width": size[0], "height": size[1]}, locale="en-US")
        try:
            page = context.new_page()
            page.set_default_timeout(1000 * _START_S)
            page.goto(f"{self._url}lab/tree/{name}?reset&token={self._token}")
            yield Notebook(page, theme)
        finally:
            context.close()


class Notebook:
    """A notebook's page."""

    def __init__(self, page: Page, theme: str) -> None:
        self.page = page
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        expect(self.panel).to_be_visible()
        expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "true" if theme == "light" else "false")
        self.idle()

    def idle(self) -> None:
        """Wait until the kernel is there, and has nothing to do."""
        status = self.page.get_by_role("button", name=re.compile(r" \| Idle$"))
        expect(status).to_be_visible(timeout=1000 * _RUN_S)

    def run_all(self) -> None:
        """Run all cells, by the menu."""
        self._choose("Run", "Run All Cells")

    def interrupt(self) -> None:
        """Interrupt the kernel, by the square button."""
        self.panel.get_by_role("button", name="Interrupt the kernel").click()

    def save(self) -> None:
        """Save, by the menu."""
        self._choose("File", "Save Notebook")
        expect(self.page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0)

    def _choose(self, menu: str, item: str) -> None:
        self.page.locator(".lm-MenuBar-itemLabel").get_by_text(menu, exact=True).click()
        self.page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()

    @property
    def cells(self) -> Locator:
        """The code cells."""
        return self.panel.locator(".jp-CodeCell")

    def prompts(self) -> list[str]:
        """What stands before each code cell: ``[3]:``, and ``[*]:`` while it runs."""
        found: list[str] = self.cells.locator(".jp-InputPrompt").all_text_contents()
        return found

    def output(self, cell: int) -> Locator:
        """The rich outputs of a code cell."""
        return self.cells.nth(cell).locator(".jp-OutputArea-output")

    def errors(self) -> list[str]:
        """The errors that cells have ended with, and what went to standard error."""
        kinds = ("application/vnd.jupyter.error", "application/vnd.jupyter.stderr")
        return [text for kind in kinds for text in self.panel.locator(f'[data-mime-type="{kind}"]').all_text_contents()]

    def finished(self) -> None:
        """Wait until every cell has run, or one has failed."""
        deadline_s = time.monotonic() + _RUN_S
        while not all(prompt.strip("[]:").isdecimal() for prompt in self.prompts()) and not self.errors():
            if time.monotonic() >= deadline_s:
                raise TimeoutError(self.prompts())
            self.page.wait_for_timeout(100)
        self.idle()


def _setting(settings: Path, name: str, values: dict[str, Any]) -> None:
    path = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


@contextmanager
def running(directory: Path) -> Iterator[Lab]:
    """JupyterLab with all its files in this directory, and a browser for it."""
    place = directory / "notebooks"
    place.mkdir()
    token = secrets.token_hex(16)
    own = {
        "HOME": "home",
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    places = {name: str(directory / value) for name, value in own.items()}
    for path in places.values():
        Path(path).mkdir()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--ServerApp.root_dir={place}"),
        *_OFFLINE,
    ]
    # Not in the arguments, which everybody can read.
    environment = {**os.environ, **places, "JUPYTER_TOKEN": token}
    log = directory / "log"
    with (
        log.open("wb") as written,
        subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=written, stderr=written) as server,
    ):
        try:
            url = _url(server, Path(places["JUPYTER_RUNTIME_DIR"]), log)
            expect.set_options(timeout=1000 * _START_S)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
                yield Lab(url, token, place, Path(places["JUPYTERLAB_SETTINGS_DIR"]), browser)
                browser.close()
        finally:
            server.terminate()


def chromium() -> str:
    """The path of Chromium, under the name that this distribution gives it."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise FileNotFoundError("no Chromium: scripts/setup.sh lab")


def _url(server: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    """Where the server listens, as it says itself."""
    deadline_s = time.monotonic() + _START_S
    path = runtime / f"jpserver-{server.pid}.json"
    while time.monotonic() < deadline_s and server.poll() is None:
        if path.exists() and (text := path.read_text()):
            url: str = json.loads(text)["url"]
            return url
        time.sleep(0.1)
    raise RuntimeError(log.read_text(errors="replace"))
