"""The chain of processes: whom it names, what fits, and names that cannot pretend."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawtp.formats.chain import ASCII_BY, chain
from rawtp.formats.escape import width

SHELL = (31002, "bash", ("-bash",))
SSHD = (30998, "sshd", ("sshd: me@pts/0",))
INIT = (1, "systemd", ("/sbin/init",))


@pytest.mark.parametrize(
    ("ancestors", "shown"),
    [
        ((), "rm"),
        ((SHELL, SSHD, INIT), "rm ← bash ← sshd"),
        ((SHELL, SHELL, SSHD, SSHD, SSHD), "rm ← bash ← sshd"),
        (((2, "rm", None), SHELL), "rm ← bash"),
        (((2, "sh", ("/bin/sh", "/etc/cron.daily/clean")), (3, "cron", ("cron",))), "rm ← clean ← cron"),
        (((2, "python3", ("python3.11", "./deploy.py", "-x")),), "rm ← deploy.py"),
        (((2, "python3", ("python3", "-m", "http.server")),), "rm ← python3"),
        (((2, "make", ("make", "clean")),), "rm ← make"),
        (((2, "sh", None),), "rm ← sh"),
        (((2, "a ← b", None),), 'rm ← "a ← b"'),
        (((2, "\x1b[2J", None),), r"rm ← \x1b[2J"),
    ],
)
def test_names(ancestors: tuple[tuple[int, str, tuple[str, ...] | None], ...], shown: str) -> None:
    assert chain("rm", ancestors, 60) == shown


def test_as_many_as_fit() -> None:
    assert {cells: chain("rm", (SHELL, SSHD), cells) for cells in (16, 15, 11, 10, 4, 3, 1)} == {
        16: "rm ← bash ← sshd",
        15: "rm ← bash …",
        11: "rm ← bash …",
        10: "rm ← bash",
        4: "rm …",
        3: "rm",
        1: "…",
    }
    assert chain("rm", (SHELL,), 60, ASCII_BY) == "rm <- bash"


NAMES = st.binary(max_size=15).map(os.fsdecode)


@given(
    NAMES, st.lists(st.tuples(st.integers(1, 9), NAMES, st.none() | st.lists(NAMES, max_size=3))), st.integers(1, 60)
)
def test_it_fits_and_prints(comm: str, ancestors: list[tuple[int, str, list[str] | None]], cells: int) -> None:
    text = chain(comm, ancestors, cells)
    assert width(text) <= cells
    assert text.isprintable()
