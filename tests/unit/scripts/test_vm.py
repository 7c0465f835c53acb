"""What judges a machine's run, without a machine."""

from __future__ import annotations

import base64
import gzip
import io
import json
from pathlib import Path

import pytest

from scripts.vm.archive import Archive
from scripts.vm.kernels import KERNELS, chosen
from scripts.vm.matrix import matrix, runs
from scripts.vm.result import LAST_LINES, Result, last, read

CASE = '<testcase classname="tests.kernel.test_ways" name="test_one">{}</testcase>'


def said(cases: str, status: int = 0) -> str:
    report = base64.encodebytes(gzip.compress(f"<testsuites><testsuite>{cases}</testsuite></testsuites>".encode()))
    return f"noise\n=== rawtp junit\n{report.decode()}=== rawtp exit {status}\n[    1.0] reboot: Power down\n"


def test_a_run_that_passes(tmp_path: Path) -> None:
    result = read("5.10", "linux-image", said(CASE.format("")), 12.0, tmp_path / "kept.xml")
    assert (result.passed, result.status, result.tests, result.skipped, result.wrong) == (True, 0, 1, 0, ())
    assert (tmp_path / "kept.xml").read_text().count("<testcase ") == 1
    assert str(result) == "5.10          passed: 1 ran, 0 skipped, 12 s (linux-image)"


def test_the_matrix_is_of_those_that_told(tmp_path: Path) -> None:
    told = ["5.10.0-1", ["raw_tp/sys_enter", "tp_btf/sys_exit", None, None], False, "i386"]
    recorded = f"<properties><property name='features' value='{json.dumps(told)}'/></properties>"
    results = [
        read("5.10", "linux-image", said(recorded + CASE.format("")), 1.0, tmp_path / "kept.xml"),
        Result("6.1", absent="there is none"),
    ]
    assert matrix(results).splitlines()[2:] == [
        "| 5.10 | 5.10.0-1 | `raw_tp/sys_enter` | `tp_btf/sys_exit` | - | - | - | i386 |"
    ]


def test_how_the_tests_ended_and_why_some_were_skipped(tmp_path: Path) -> None:
    skip = "<skipped message='{}'/>".format
    cases = [*[""] * 1999, "<failure message='one'/>", *[skip("rare")], *[skip("often")] * 2]
    results = [
        read("5.10", "linux-image-5.10.0", said("".join(map(CASE.format, cases)), 1), 150.0, tmp_path / "kept.xml"),
        read("6.12", "linux-image-6.12", said(CASE.format("")), 29.0, tmp_path / "kept.xml"),
        Result("6.1", absent="there is none"),
    ]
    assert runs(results).splitlines() == [
        "| machine | release | passed | skipped | failed | minutes |",
        "| --- | --- | --- | --- | --- | --- |",
        "| 5.10 | 5.10.0 | 1,999 | 3 | 1 | 2 |",
        "| 6.12 | 6.12 | 1 | 0 | 0 | 0 |",
        "| 6.1 | NOT TESTED: there is none |  |  |  |  |",
        "",
        "Skipped:",
        "",
        "- 5.10: 2 × often; 1 × rare",
        "- 6.12: nothing is skipped",
    ]
    assert str(results[2]) == "6.1           NOT TESTED: there is none"


def test_what_was_said_last_is_the_failures_or_else_the_end() -> None:
    told = "line\n" * 999 + "=== FAILURES ===\nassert 1 == 2\n"
    assert last(told + said(CASE.format(""), 1)) == "= FAILURES ===\nassert 1 == 2\nnoise"
    panic = "".join(f"{number}\n" for number in range(999)) + "Kernel panic"
    assert last(panic).splitlines() == [*map(str, range(1000 - LAST_LINES, 999)), "Kernel panic"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (
            said(CASE.format("<failure message='assert 1 == 2'/>"), 1),
            "failure: kernel.test_ways.test_one: assert 1 == 2",
        ),
        (
            said(CASE.format("") + CASE.format("<skipped message='a new reason'/>")),
            "skipped, and not on the list of scripts/vm/skips.py: kernel.test_ways.test_one: a new reason",
        ),
        (said(CASE.format("")).replace("=== rawtp exit 0", ""), "the machine stopped before the tests had ended"),
        ("=== rawtp junit\n!\n=== rawtp exit 0\n", "no JUnit file: "),
    ],
)
def test_a_run_that_fails(tmp_path: Path, text: str, wrong: str) -> None:
    result = read("5.10", "linux-image", text, 1.0, tmp_path / "kept.xml")
    assert not result.passed
    assert [line[: len(wrong)] for line in result.wrong] == [wrong]


@pytest.mark.parametrize(("cases", "status"), [("", 0), (CASE.format(""), 1)])
def test_nothing_run_is_no_pass_and_neither_is_a_bad_status(tmp_path: Path, cases: str, status: int) -> None:
    result = read("5.10", "linux-image", said(cases, status), 1.0, tmp_path / "kept.xml")
    assert (result.passed, result.wrong) == (False, ())


def test_kernels_by_name() -> None:
    assert [kernel.arch for kernel in chosen(["6.12-arm64", "5.10"])] == ["arm64", "amd64"]
    assert chosen([]) == [*KERNELS]
    with pytest.raises(ValueError, match=r"^no kernel 4\.19 here; there are 5\.10, "):
        chosen(["4.19", "5.10"])


def test_an_archive_that_the_kernel_unpacks() -> None:
    archive = Archive()
    archive.file("a/b", b"12345", 0o755)
    archive.link("c", "a/b")
    to = io.BytesIO()
    archive.write(to)
    text = to.getvalue()
    assert len(text) % 512 == 0
    found = []
    at = 0
    while text[at : at + 6] == b"070701":
        fields = [int(text[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, label = fields[1], fields[6], fields[11]
        name = text[at + 110 : at + 109 + label].decode()
        start = at + 110 + label + -(110 + label) % 4
        found.append((name, oct(mode), text[start : start + size]))
        at = start + size + -size % 4
    assert found == [
        ("a", "0o40755", b""),
        ("a/b", "0o100755", b"12345"),
        ("c", "0o120777", b"a/b"),
        ("TRAILER!!!", "0o0", b""),
    ]
    assert text[at:] == b"\0" * (len(text) - at)
