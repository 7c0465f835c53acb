"""The pages, and what ``make docs`` makes of them and of the docstrings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rawtp
from helpers.pages import PAGES, ROOT, SHELL
from scripts.docs.__main__ import unexplained
from scripts.docs.interface import documented
from scripts.docs.links import broken
from scripts.docs.markdown import markdown

# Its table is what `make test-vm` prints.
MADE = {"docs/kernels.md"}


def prose(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", sorted(PAGES.keys() - MADE))
def test_lines_fit(page: str) -> None:
    assert [line for line in prose(PAGES[page]).splitlines() if len(line) > 100] == []


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 150


def test_the_readmes_table_reads_at_80_columns() -> None:
    table = PAGES["README.md"].partition("```text\n")[2].partition("```")[0]
    assert table.startswith("TIME ")
    assert [line for line in table.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("page", [page for page in PAGES if re.search("^::: ", PAGES[page], re.MULTILINE)])
def test_a_page_says_who_renders_its_docstrings(page: str) -> None:
    """GitHub shows the directives as they stand."""
    before = re.split("^::: ", PAGES[page], maxsplit=1, flags=re.MULTILINE)[0]
    assert "`make docs` renders" in before


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    assert sorted(re.findall(r"[\w/-]+\.md", navigation)) == sorted(
        page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")
    )


def test_every_extra_that_a_page_installs_is_there() -> None:
    manifest = (ROOT / "pyproject.toml").read_text()
    extras = manifest.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    named = set(re.findall(r"rawtp\[(\w+)\]", "".join(PAGES.values())))
    assert named == set(re.findall(r"^(\w+) = ", extras, re.MULTILINE))
    installs = [line for _, line in SHELL if "pip install" in line]
    assert all(re.fullmatch(r"\.venv/bin/pip install ('rawtp\[\w+\]'|rawtp)", line) for line in installs)
    assert len(installs) >= 5


def test_no_link_is_broken() -> None:
    assert broken() == []


def test_a_broken_link_is_told(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(
        "# A page\n\n## `Code` and more\n\n[a](#code-and-more) [b](#gone) [c](../README.md) [d](https://example.org)\n\n"
        "```text\n# no heading\n[e](code.md)\n```\n"
    )
    (tmp_path / "README.md").write_text(
        "[a](docs/page.md) [b](docs/page.md#a-page) [c](docs/gone.md) [d](docs/page.md#no-heading) ![e](gone.svg)\n"
    )
    assert broken(tmp_path) == [
        "README.md: no docs/gone.md",
        "README.md: no docs/page.md#no-heading",
        "README.md: no gone.svg",
        "docs/page.md: no #gone",
        "docs/page.md: no ../README.md",
    ]


def public_members(name: str) -> set[str]:
    thing = getattr(rawtp, name)
    return (
        {f"rawtp.{name}.{part}" for part in vars(thing) if not part.startswith("_")} if type(thing) is type else set()
    )


def test_the_sources_are_read_as_python_reads_them() -> None:
    """Names, members and docstrings are found, wherever they are imported from."""
    found = documented()
    assert {f"rawtp.{name}" for name in rawtp.__all__} <= found.keys()
    for name in rawtp.__all__:
        assert public_members(name) <= found.keys()
    assert {"rawtp.Tracer.get_many", "rawtp.Stats.missed", "rawtp.Event.path", "rawtp.Event.ancestors"} <= found.keys()
    assert {"rawtp.syscalls.number", "rawtp.notebook.chart", "rawtp.Check.ok", "rawtp.Hook.reason"} <= found.keys()
    assert [name for name in found if "._" in name and name != "rawtp.__version__"] == []
    assert (found["rawtp.escape"] or "").startswith("A pattern for ")


def test_every_public_name_has_a_docstring() -> None:
    assert [name for name, text in documented().items() if not text] == []


def test_a_name_that_is_not_explained_is_told(tmp_path: Path) -> None:
    package = tmp_path / "python" / "rawtp"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        'from rawtp.part import Thing, forgotten\n\n__all__ = ["Thing", "forgotten"]\n'
    )
    (package / "part.py").write_text(
        'class _Base:\n    size: int\n    """Bytes."""\n\n\nclass Thing(_Base):\n    """A thing."""\n\n'
        '    def use(self) -> None:\n        """Uses it."""\n\n    def bare(self) -> None: ...\n\n'
        '    def _hidden(self) -> None: ...\n\n\ndef forgotten() -> None:\n    """Forgotten on the page."""\n'
    )
    for module in ("syscalls", "notebook"):
        (package / f"{module}.py").write_text('"""Nothing public."""\n')
    site = tmp_path / "site"
    (site / "reference" / "python").mkdir(parents=True)
    names = ("rawtp.Thing", "rawtp.Thing.size", "rawtp.Thing.use", "rawtp.Thing.bare")
    (site / "reference" / "python" / "index.html").write_text("".join(f'<h3 id="{name}"></h3>' for name in names))
    assert unexplained(documented(tmp_path / "python"), site) == [
        "rawtp.Thing.bare has no docstring",
        "rawtp.forgotten is on no page of docs/reference",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "See :meth:`get` and :class:`rawtp.Batch`.",
            "See [`get`][rawtp.Tracer.get] and [`rawtp.Batch`][rawtp.Batch].",
        ),
        ("As :func:`os.fsdecode` does.", "As `os.fsdecode` does."),
        ("Of :meth:`Tracer.get`.", "Of [`Tracer.get`][rawtp.Tracer.get]."),
        ("So::\n\n    code", "So:\n\n    code"),
        ("Said. ::\n\n    code", "Said.\n\n    code"),
        ("::\n\n    code", "\n    code"),
        (
            "=====  ====\n``a``  one\n``b``, two\n``c``\n=====  ====",
            "\n| | |\n|---|---|\n| ``a`` | one |\n| ``b``, ``c`` | two |\n",
        ),
    ],
)
def test_docstrings_become_markdown(text: str, expected: str) -> None:
    assert markdown(text, "rawtp.Tracer", {"rawtp.Tracer.get", "rawtp.Batch"}) == expected
