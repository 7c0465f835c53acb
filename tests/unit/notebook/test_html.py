"""What notebooks show: that no name is more than text there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import rawtp
from helpers.colours import contrast
from helpers.samples import LINKED, RM, WITHOUT_FACTS
from helpers.tables import Page, read_table
from rawtp import notebook
from rawtp.event import Event
from rawtp.formats.escape import printable, quoted
from rawtp.notebook._html import Table

HOSTILE = (
    *(
        "<script>alert(1)</script>",
        "</td></tr></table><img src=x onerror=alert(1)>",
        "&lt;b&gt;",
        '" onload="x',
        "<!--",
    ),
    *(
        "'",
        "]]>",
        "<?x",
        "\x1b[31m",
        "\u202egnp.exe",
        "\ud800",
        "\udcff",
        "a  b",
        " ",
        "",
        "-",
        "a\nb",
        "$x$",
        "`",
        "\x00",
    ),
)
NAMES = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=())) | st.text("<>&\"'/!-?[] \\ab")
TAGS = {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
FAILED = "background-color: #b42318; color: #ffffff"
LOST = "background-color: #ffd54f; color: #000000"
STYLES = {
    # No formula is made of a name.
    ("class", "tex2jax_ignore mathjax_ignore"),
    ("style", "text-align: left"),
    ("style", "text-align: right"),
    ("style", "text-align: left; white-space: pre"),
    ("style", "text-align: left; white-space: pre-wrap; overflow-wrap: anywhere"),
}


def as_shown(name: str) -> set[str]:
    return {printable(name), quoted(name)}


@given(NAMES, NAMES, NAMES)
def test_no_name_is_more_than_text(comm: str, path: str, filename: str) -> None:
    one: Event = {**WITHOUT_FACTS, "comm": comm, "path": path}
    other: Event = {
        **WITHOUT_FACTS,
        "comm": comm,
        "path": None,
        "filename": filename,
        "path_kind": None,
        "action": "rename",
    }
    html = notebook.table([one, other])._repr_html_()
    page = Page(html)
    assert page.tags == ["div", "p", "table", "thead", "tr", *["th"] * 8, "tbody", *["tr", *["td"] * 8] * 2]
    assert page.attributes <= STYLES
    assert html.isprintable()
    caption, [first, second] = read_table(html)
    assert caption == "2 events"
    assert first["comm"] in as_shown(comm)
    assert second["comm"] == first["comm"]
    assert first["path"] in as_shown(path)
    assert any(second["path"].startswith(f"{text} -> ") for text in as_shown(filename))
    assert list(first) == ["time", "pid", "uid", "comm", "action", "syscall", "result", "path"]
    assert (first["pid"], first["uid"], first["syscall"], first["result"]) == ("12345", "1000", "unlinkat", "ok")


@given(st.lists(NAMES, min_size=1, max_size=3), NAMES)
def test_of_arguments_too(words: list[str], parent: str) -> None:
    event = cast("Event", {"pid": 7, "argv": tuple(words), "ancestors": ((1, parent, None),), "exe": None})
    html = notebook.table([event])._repr_html_()
    page = Page(html)
    assert set(page.tags) == TAGS
    assert html.isprintable()
    pid, argv, ancestors, exe = page.cells["td"]
    assert (pid, exe) == ("7", "-")
    assert argv[0] + argv[-1] == ancestors[0] + ancestors[-1] == "[]"
    assert printable(parent).replace('"', '\\"') in ancestors or printable(parent) in ancestors


def test_names_that_look_alike_do_not() -> None:
    names = ["-", "", " ", "a b", "a  b", "a\u00a0b", "a\u200bb"]
    cells = Page(notebook.table([cast("Event", {"comm": name}) for name in [None, *names]])._repr_html_()).cells["td"]
    assert cells == ["-", '"-"', '""', '" "', "a b", "a  b", r"a\u00a0b", r"a\u200bb"]


def test_keys_and_rows() -> None:
    events: list[Event] = [{**RM, "pid": pid} for pid in range(30)]
    caption, rows = read_table(notebook.table(events, rows=2, keys=["pid", "argv", "new_path"])._repr_html_())
    assert caption == "30 events, of which the first 2 are shown"
    assert rows == [{"pid": str(pid), "argv": "[rm, /tmp/test.txt]", "new_path": "-"} for pid in range(2)]
    assert len(read_table(notebook.table(events)._repr_html_())[1]) == 20
    assert repr(notebook.table(events[7:9], keys=["comm", "pid"])) == "2 events\ncomm pid\nrm   7\nrm   8"
    assert notebook.table([])._repr_html_() == '<div class="tex2jax_ignore mathjax_ignore"><p>0 events</p></div>'
    assert repr(notebook.table([])) == "0 events"


def test_the_fact_stands_behind_the_claim() -> None:
    [row] = read_table(notebook.table([LINKED])._repr_html_())[1]
    assert row["path"] == "/home/me/link/x → /srv/data/x"
    some = cast("Event", {key: value for key, value in LINKED.items() if key not in {"size", "length"}})
    [row] = read_table(notebook.table([some])._repr_html_())[1]
    assert (row["path"], row["real_path"]) == ("/home/me/link/x", "/srv/data/x")


@pytest.mark.parametrize(
    ("ret", "errno", "result", "is_marked"),
    [
        (0, None, "ok", False),
        (3, None, "ok", False),
        (None, None, "?", False),
        (-2, "ENOENT", "ENOENT", True),
        (-600, None, "-600", True),
    ],
)
def test_a_failure_is_marked(ret: int | None, errno: str | None, result: str, is_marked: bool) -> None:
    events: list[Event] = [RM, {**RM, "ret": ret, "errno": errno}]
    page = Page(notebook.table(events)._repr_html_())
    assert [(text, FAILED in style) for text, style in zip(page.cells["td"], page.styles["td"], strict=True)][-2:] == [
        (result, is_marked),
        ("/tmp/test.txt", False),
    ]
    assert sum(FAILED in style for style in page.styles["td"]) == is_marked
    page = Page(notebook.table(events, keys=["pid", "errno"])._repr_html_())
    assert [FAILED in style for style in page.styles["td"]] == [False, False, False, is_marked]


def test_what_was_lost_is_marked() -> None:
    table = Table([RM], "watching", notes=["no filter", 'filter: path="/<b>"'], losses="7 events lost")
    page = Page(table._repr_html_())
    assert page.cells["p"] == ["watching", "no filter", 'filter: path="/<b>"', "7 events lost"]
    assert page.styles["p"] == ["", "", "", LOST]
    assert repr(table).splitlines()[:4] == page.cells["p"]


@pytest.mark.parametrize("style", [FAILED, LOST])
def test_marks_can_be_read(style: str) -> None:
    """By themselves, whatever page they are on: WCAG asks for 4.5."""
    background, ink = re.findall(r"#\w{6}", style)
    assert contrast(background, ink) >= 4.5


def test_of_many_keys_those_that_people_want() -> None:
    basic = cast("Event", {key: RM[key] for key in rawtp.BASIC_FIELDS})  # type: ignore[literal-required]
    [row] = read_table(notebook.table([basic])._repr_html_())[1]
    assert list(row) == ["time", "pid", "uid", "comm", "action", "syscall", "result", "filename"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"events": [RM], "rows": 0}, ValueError, "^rows must be at least 1, not 0$"),
        ({"events": [RM], "keys": ["pidd"]}, ValueError, "^unknown key 'pidd'; an event has ts_ns, "),
        ({"events": [RM], "keys": "pid"}, TypeError, "^keys must be an iterable of names, not a str$"),
        ({"events": ["rm"]}, TypeError, "^events must be dicts, as a tracer gives them, or a Batch$"),
        ({"events": "rm"}, TypeError, "^events must be dicts, "),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        notebook.table(**arguments)


@pytest.fixture
def shell(tmp_path: Path) -> Any:
    made: Any = InteractiveShell(  # type: ignore[no-untyped-call]
        config=Config({"HistoryManager": {"enabled": False}}), ipython_dir=str(tmp_path)
    )
    made.extension_manager.load_extension("rawtp")
    return made


def html_of(shell: Any, value: object) -> object:
    return shell.display_formatter.format(value)[0].get("text/html")


def test_the_extension_shows_lists_of_events(shell: Any) -> None:
    events = [RM, RM]
    assert html_of(shell, events) == notebook.table(events)._repr_html_()
    assert html_of(shell, [{"pid": 1, "comm": "<b>"}]) is not None
    others: list[object] = [[], [1], [{}], [RM, None], [{"pid": 1, "mine": 2}], RM, (RM,)]
    for other in others:
        assert html_of(shell, other) is None
    shell.extension_manager.unload_extension("rawtp")
    assert html_of(shell, events) is None


def test_nothing_of_it_is_imported_before() -> None:
    source = (
        "import sys, rawtp.notebook; print({'IPython', 'matplotlib', 'rich', 'numpy', 'polars'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")
    source = "import sys, rawtp; print(sorted(name for name in sys.modules if name.startswith('rawtp')))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("['rawtp', 'rawtp._core', 'rawtp._late', 'rawtp.syscalls']\n", "")


def test_a_table_of_nothing_known() -> None:
    assert repr(Table([], "none", ["pid"])) == "none\npid"


def test_the_module_is_an_attribute_of_the_package() -> None:
    source = "import rawtp; print(rawtp.notebook.__name__)"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("rawtp.notebook\n", "")
