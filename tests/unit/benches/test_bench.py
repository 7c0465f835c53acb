"""The benchmark's arithmetic and its tables."""

from __future__ import annotations

import json
import os
import platform
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import pytest

from benches import functions, report
from benches.__main__ import FUNCTIONS, NAMES, names_of, parser, scale_of
from benches.growth import Curve
from benches.measure import Rounds, Row, percentile, ratios, spread, straightness, verdict
from benches.peers import Peer, Run
from benches.scale import FULL, QUICK
from benches.speed import at_the_targets_speed
from benches.targets import TARGETS, Target
from benches.witness import FIRST_LOOKS, TRIES, Witness, look
from benches.xxh64 import xxh64

if TYPE_CHECKING:
    from pathlib import Path

TAX = Row("tax_enter", "tax", "rawtp, enter only", "ns", (104.0, 100.0, 108.0), {"floor": (1.04, 1.0, 1.02)})
ABSENT = Row("dict_all_batch", "dicts", "batch", "ns CPU", note="not in this version")


def test_spread_is_between_the_quartiles() -> None:
    assert spread([1, 2, 3, 4, 100]) == 2
    assert spread([7]) == 0


@pytest.mark.parametrize(("percent", "value"), [(1, 10), (50, 20), (51, 30), (99, 40), (100, 40)])
def test_percentile_is_a_measured_value(percent: float, value: float) -> None:
    assert percentile([40, 10, 30, 20], percent) == value


def test_ratios_go_round_by_round() -> None:
    assert ratios([20, 90], [10, 30]) == (2, 3)
    with pytest.raises(ValueError, match="argument 2"):
        ratios([20], [10, 30])


def test_rounds_are_interleaved_and_begin_with_another_case_each() -> None:
    order: list[str] = []

    def case(name: str) -> int:
        order.append(name)
        return len(order)

    rounds = Rounds({name: lambda name=name: case(name) for name in "abc"}, 3)  # type: ignore[misc]
    assert "".join(order) == "abc" + "bca" + "cab"
    assert rounds["a"] == (1, 6, 8)


def seen(*then: float) -> Witness:
    """A witness that sees 10 at first, and then these; its patience ends at once."""
    looks = iter([10.0] * FIRST_LOOKS + list(then))
    return Witness(lambda: next(looks), patience_s=0)


def test_what_was_measured_at_a_quiet_moment_is_kept() -> None:
    found = iter("abc")
    witness = seen(10, 12.9)
    assert witness.take(lambda: next(found)) == "a"
    assert str(witness) == "1 measurements, 0 repeated, 0 kept although disturbed"


@pytest.mark.parametrize("bad", [(13.1, 10), (10, 13.1)], ids=["before", "after"])
def test_what_was_disturbed_is_measured_again(bad: tuple[float, float]) -> None:
    found = iter("abc")
    # Disturbed before, the case runs all the same, and nobody need look again.
    witness = seen(*(bad if bad[0] == 10 else bad[:1]), 10, 11)
    assert witness.take(lambda: next(found)) == "b"
    assert (witness.measured, witness.repeated, witness.disturbed) == (1, 1, 0)


def test_what_stays_disturbed_is_kept_and_counted() -> None:
    found = iter("abcdef")
    witness = seen(*[20.0] * TRIES)
    assert witness.take(lambda: next(found)) == "abcdef"[TRIES - 1]
    assert (witness.measured, witness.repeated, witness.disturbed) == (1, TRIES - 1, 1)


def test_a_better_moment_moves_the_measure() -> None:
    found = iter("abc")
    witness = seen(10, 7, 10, 9, 9)
    assert [witness.take(lambda: next(found)) for _ in range(2)] == ["a", "c"]


def test_it_waits_for_a_quiet_moment() -> None:
    looks = iter([10.0] * FIRST_LOOKS + [20, 20, 10, 10])
    witness = Witness(lambda: next(looks), patience_s=60)
    assert witness.take(lambda: "a") == "a"
    assert (witness.measured, witness.repeated, witness.disturbed) == (1, 0, 0)


def test_looking_leaves_the_thread_where_it_may_run() -> None:
    allowed = os.sched_getaffinity(0)
    assert look() > 0
    assert os.sched_getaffinity(0) == allowed


def test_figures_of_a_row() -> None:
    assert (TAX.median, TAX.spread) == (104, 4)
    assert (TAX.ratio("floor"), TAX.ratio("bare")) == (1.02, None)
    assert (TAX.figure("median"), TAX.figure("most"), TAX.figure("floor")) == (104, 108, 1.02)
    assert ABSENT.figure("most") is None


@pytest.mark.parametrize(
    ("target", "word"),
    [
        (None, ""),
        (Target(1.02, "floor"), "met"),
        (Target(1.01, "floor"), "missed"),
        (Target(104), "met"),
        (Target(107, "most"), "missed"),
        (Target(9, "bare"), "not measured"),
    ],
)
def test_verdict(target: Target | None, word: str) -> None:
    assert verdict(TAX, target) == word


def test_a_slower_machine_says_what_the_figure_would_be() -> None:
    added = Row("counts_calls_added", "counts", "counted", "ns", (30.0, 20.0, 40.0), note="noisy")
    assert at_the_targets_speed(added, 2).note == "15.0 at the speed of the targets' machine: met; noisy"
    assert at_the_targets_speed(added, 1.5).note == "20.0 at the speed of the targets' machine: missed; noisy"
    # What is met here, a ratio, a size and what has no target stay as they are.
    for row in (
        replace(added, values=(15.0,)),
        TAX,
        replace(added, key="record_rss", unit="MB"),
        replace(added, key=""),
    ):
        assert at_the_targets_speed(row, 2) is row


def test_verdict_of_what_was_not_measured() -> None:
    assert verdict(ABSENT, Target(50)) == "not measured"


@pytest.mark.parametrize(
    ("ys", "worst"),
    [([3, 5, 7, 9], 1), ([4, 4, 4, 4], 1), ([2, 4, 8, 16], 1.444)],
)
def test_straightness(ys: list[float], worst: float) -> None:
    assert straightness([1, 2, 3, 4], ys) == pytest.approx(worst, abs=0.001)


def test_straightness_of_a_line_that_falls_below_nothing() -> None:
    assert straightness([0, 1, 10], [10, 1, 1000]) == float("inf")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0"),
        (0.0421, "0.042"),
        (0.1, "0.10"),
        (1.034, "1.03"),
        (9.996, "10.0"),
        (99.96, "100"),
        (1234567, "1,234,567"),
        (-3.14159, "-3.14"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert report.number(value) == text


def test_cells() -> None:
    assert report.cells(TAX) == ("rawtp, enter only", "104", "4.00", "ns", "", "1.02", "≤ 1.03 × floor", "met")
    last = "not measured; not in this version"
    assert report.cells(ABSENT) == ("batch", "", "", "ns CPU", "", "", "≤ 50.0", last)


PEERS = [
    Peer("rawtp_all", "rawtp", runs=[Run(1.0, 600.0, 60.0, 17.0)], slowdowns=[2.0]),
    Peer("other", "other", runs=[Run(0.25, 900.0, 90.0, 170.0), Run(0.75, 2100.0, 210.0, 170.0)], slowdowns=[3.0, 7.0]),
    Peer("gone", "gone", note="not installed"),
]


def test_cells_of_peers() -> None:
    assert [report.peer_cells(peer, PEERS) for peer in PEERS] == [
        ("rawtp", "100.0%", "2.00×", "1.00", "60.0", "17.0", ""),
        ("other", "50.0%", "5.00×", "2.50", "150", "170", ""),
        ("gone", "", "", "", "", "", "not installed"),
    ]


def test_tables_for_a_terminal_and_a_page() -> None:
    lines = [("figure", "ns", ""), ("a", "10", "met"), ("bcd|e", "9", "")]
    assert report.aligned(lines) == "figure  ns\na       10  met\nbcd|e    9"
    assert report.markdown(lines) == "| figure | ns |  |\n| --- | ---: | --- |\n| a | 10 | met |\n| bcd/e | 9 |  |"


def test_json_has_each_round_and_each_ratio() -> None:
    curve = Curve("depth", "path depth", "components", "ns", ((1, 10.0), (2, 20.0)))
    found = json.loads(json.dumps(report.as_json({"cpu": "2"}, [TAX, ABSENT], PEERS, [curve])))
    assert found["machine"] == {"cpu": "2"}
    assert found["rows"][0] == {
        "key": "tax_enter",
        "theme": "tax",
        "name": "rawtp, enter only",
        "unit": "ns",
        "values": [104, 100, 108],
        "median": 104,
        "spread": 4,
        "ratios": {"floor": 1.02},
        "target": {"limit": 1.03, "of": "floor"},
        "verdict": "met",
        "note": "",
    }
    assert (found["rows"][1]["median"], found["rows"][1]["note"]) == (None, "not in this version")
    assert found["peers"][1]["medians"]["slowdown"] == 5
    assert found["peers"][1]["to_rawtp"]["rss_mb"] == 10
    assert found["peers"][2]["medians"] is None
    assert found["growth"][0]["points"] == [[1, 10], [2, 20]]


def test_a_page_keeps_its_findings() -> None:
    before = report.page({"cpu": "2"}, [TAX], PEERS, "Because.\n\n## Not a part of its own")
    assert "| rawtp, enter only | 104 | 4.00 | ns |  | 1.02 | ≤ 1.03 × floor | met |" in before
    assert report.findings_of(before) == "Because.\n\n## Not a part of its own"
    assert report.page({"cpu": "2"}, [TAX], PEERS, report.findings_of(before)) == before
    assert report.findings_of("# Another page\n") == ""


def test_a_curve_is_a_row() -> None:
    straight = Curve("depth", "path depth", "components", "ns", ((1, 10.0), (2, 20.0), (100, 1000.0))).row()
    assert (straight.key, straight.note) == ("growth_depth", "1: 10; 2: 20; 100: 1,000")
    assert straight.median == pytest.approx(1)
    rising = Curve("processes", "processes", "processes", "ns", ((1, 10.0), (10, 18.0), (100, 15.0))).row()
    assert rising.values == (1.8,)
    assert {straight.key, rising.key} < TARGETS.keys()


def test_scale() -> None:
    assert scale_of(parser().parse_args([])) == FULL
    asked = parser().parse_args(["--quick", "--rounds", "1", "--calls", "1000"])
    assert scale_of(asked) == QUICK._replace(rounds=1, calls=1000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rounds", "0"], "argument --rounds: '0' is not a whole number from 1 up"),
        (["--rounds", "-1"], "argument --rounds: '-1' is not a whole number from 1 up"),
        (["--calls", "999"], "argument --calls: 999 calls are too few to time: 1,000 or more"),
    ],
)
def test_too_little(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(options)
    assert capsys.readouterr().err.endswith(f"{message}\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"abc", 0x44BC2CF5AD770999),
        # A line of a recorder's journal.
        (
            b'{"type":"through","through_ns":1795828519989040019,"closed":true,"session":1795828502991982190,"line":12',
            0xC184AE5C9B6C90B4,
        ),
    ],
)
def test_xxh64(text: bytes, value: int) -> None:
    assert xxh64(text) == value


def junit(directory: Path, properties: str) -> Path:
    path = directory / "newest.xml"
    path.write_text(f"<testsuites><testsuite><properties>{properties}</properties></testsuite></testsuites>")
    return path


def test_ratios_of_a_virtual_machine_say_so(tmp_path: Path) -> None:
    """Round by round, and beside the same call."""
    pairs = {*functions.SHOWN.values(), *((functions.BARE, call) for _, call in functions.SHOWN.values())}
    slower = {"openat": 2.0, "getppid": 3.0}
    times = [
        [tracer, call, [ns * (1 if tracer == functions.BARE else slower.get(call, 1)) for ns in (3.0, 4.0, 6.0)]]
        for tracer, call in sorted(pairs)
    ]
    written = escape(json.dumps(["7.3.4", times]), {'"': "&quot;"})
    found = functions.costs(junit(tmp_path, f'<property name="costs" value="{written}"/>'))
    rows = {row.key: row for row in functions.rows(found)}
    assert list(rows) == [f"functions_{key}" for key in functions.SHOWN]
    assert (rows["functions_vfs_openat"].values, rows["functions_vfs_getppid"].values) == ((2.0,) * 3, (3.0,) * 3)
    assert (rows["functions_freed"].name, rows["functions_freed"].values) == (
        "unlinkat of a file, basic fields, ino, size, freed",
        (1.0,) * 3,
    )
    assert {(row.unit, row.note) for row in rows.values()} == {
        ("× bare", "in a virtual machine: ratios only, Linux 7.3.4")
    }


def test_a_machine_that_recorded_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"newest\.xml has no costs"):
        functions.costs(junit(tmp_path, '<property name="features" value="[]"/>'))


def test_without_qemu_a_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _program: None)
    qemu = functions.MACHINES[platform.machine()][1]
    [row] = functions.functions()
    assert (row.values, row.note) == (
        (),
        f"there is no {qemu}; in a virtual machine: ratios only",
    )
    assert report.cells(row)[1:3] == ("", "")


def test_a_virtual_machine_only_when_it_is_asked_for() -> None:
    assert FUNCTIONS not in names_of(parser().parse_args([]))
    assert FUNCTIONS not in names_of(parser().parse_args(["--quick"]))
    assert names_of(parser().parse_args(["--write"])) == NAMES
    assert names_of(parser().parse_args(["--only", FUNCTIONS])) == [FUNCTIONS]
