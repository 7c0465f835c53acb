"""What each other tool prints of the same actions: the lines that are about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benches.answers import ACTIONS, SHOWN_AS, WATCHERS, told

AT = Path("/var/tmp/rawtp-answers-x1")


@pytest.mark.parametrize(
    "line",
    [
        "rm(28963): D   {at}/real",
        "{at}/ MOVED_FROM new",
        "13314 rm tracepoint:syscalls:sys_enter_unlinkat {at}/link/a",
        'unlinkat(AT_FDCWD, "{at}/link/a", 0) = 0',
        "At 10:42:33 11/28/26 system, acting as root, successfully deleted {at}/link/a using /usr/bin/rm",
    ],
)
def test_a_line_about_an_action_is_shown(line: str) -> None:
    text = f"Attaching 5 probes...\n{line.format(at=AT)}\n12 rm /elsewhere\n{AT}/canary\n"
    assert [*told(text, AT)] == [line.format(at=SHOWN_AS)]


def test_perf_shows_no_path() -> None:
    call = "19184.219 ( 0.105 ms): rm/15798 unlinkat(dfd: CWD, pathname: 0xfe2f2bf0) = 0"
    assert [*told(f"{call}\n1.0 ( 0.1 ms): cat/1 openat(dfd: CWD, filename: 0x1, flags: RDONLY) = 3\n", AT)] == [call]


def test_the_last_words_of_one_that_does_not_run() -> None:
    assert [*told("first\nerror: no module\n", AT)] == ["(nothing of them; its last words: error: no module)"]
    assert [*told("", AT)] == ["(nothing of them; its last words: none)"]


def test_every_action_names_its_file() -> None:
    assert [command[-1] for command in (action.command(Path(SHOWN_AS)) for action in ACTIONS)] == [
        "/srv/x/link/a",
        "/srv/x/old",
        ": > /srv/x/emptied",
        "/srv/x/kept",
        "/srv/x/ring",
    ]
    assert len({watcher.name for watcher in WATCHERS}) == len(WATCHERS)
