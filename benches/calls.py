"""What the traced process pays for a call."""

from __future__ import annotations

import time
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import rawtp
from benches.build import Programs, pinned_load
from benches.measure import Rounds, Row, differences, ratios
from benches.tracers import ALL, ALL_CLAIMS, BASIC, BASIC_ENTER, BASIC_LOSS, Asked, unread
from benches.witness import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from benches.scale import Scale

# What the kernel side does more for some keys. The keys of one group cost what one of them costs.
GROUPS = {"path": "paths", "euid": "identity, cgroup, namespaces", "exe": "exe", "argv": "argv"}


def cost(programs: Programs, call: str, calls: int, attach: Callable[[], AbstractContextManager[object]]) -> float:
    """Nanoseconds of one call while that is attached."""
    with pinned_load(programs, call, calls) as load, attach():
        # What attaching set going has ended by then.
        time.sleep(0.02)
        return load.run()


def _row(rounds: Rounds[float], theme: str, key: str, name: str, floor: str | None = None) -> Row:
    bases = {"bare": rounds["bare"]} if key != "bare" else {}
    if floor:
        bases["floor"] = rounds[floor]
    values = rounds[key]
    return Row(f"{theme}_{key}", theme, name, "ns", values, {to: ratios(values, base) for to, base in bases.items()})


def tax(programs: Programs, scale: Scale) -> Iterator[Row]:
    """A call that nobody asked about: what every other system call of the host pays."""
    cases: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "bare": nullcontext,
        "floor_enter": partial(programs.floor, "empty_enter"),
        "enter": partial(unread, BASIC_ENTER),
        "floor_pair": partial(programs.floor, "empty_enter", "empty_exit"),
        "pair": partial(unread, BASIC),
    }
    measure = {name: partial(cost, programs, "getppid", scale.calls, attach) for name, attach in cases.items()}
    # A few parts in a hundred are at stake, and a case is short.
    rounds = Rounds(undisturbed(measure), 3 * scale.rounds)
    yield _row(rounds, "tax", "bare", "getppid, nothing attached")
    yield _row(rounds, "tax", "floor_enter", "floor: an empty raw_tp/sys_enter")
    yield _row(rounds, "tax", "enter", "rawtp, enter only", "floor_enter")
    yield _row(rounds, "tax", "floor_pair", "floor: an empty pair with tp_btf/sys_exit")
    yield _row(rounds, "tax", "pair", "rawtp, enter and exit", "floor_pair")


# Calls of the load that are no event, whatever is watched. With rawtp.DELETE none of them is watched.
HARMLESS = {
    "getppid": "getppid, which is not watched either way",
    "open": "openat without O_TRUNC",
    "ioctl": "ioctl with a command that removes nothing",
}


def loss(programs: Programs, scale: Scale) -> Iterator[Row]:
    """What a call that the flags exempt pays for being watched: its time with all of rawtp.LOSS watched, less that of
    the same call with only rawtp.DELETE."""
    measure = {
        f"{call} {name}": partial(cost, programs, call, scale.calls, partial(unread, asked))
        for call in HARMLESS
        for name, asked in (("delete", BASIC), ("loss", BASIC_LOSS))
    }
    rounds = Rounds(undisturbed(measure), 3 * scale.rounds)
    for call, name in HARMLESS.items():
        added = differences(rounds[f"{call} loss"], rounds[f"{call} delete"])
        yield Row(f"loss_{call}", "loss", f"rawtp.LOSS over rawtp.DELETE: {name}", "ns", added)


def matched(programs: Programs, scale: Scale) -> Iterator[Row]:
    """A call that is asked about, of a name that is not there; a real deletion takes many times as long."""
    basic: dict[str, tuple[str, Asked]] = {
        "basic_enter": ("rawtp, basic fields, enter only", BASIC_ENTER),
        "basic_pair": ("rawtp, basic fields", BASIC),
        **{
            f"group_{key}": (f"rawtp, basic fields + {name}", {"fields": (*rawtp.BASIC_FIELDS, key), "results": True})
            for key, name in GROUPS.items()
        },
        "all_claims": ("rawtp, all fields but those of the file itself", ALL_CLAIMS),
        "all_pair": ("rawtp, all fields", ALL),
    }
    cases: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "bare": nullcontext,
        "floor": partial(programs.floor, "count"),
        **{key: partial(unread, asked) for key, (_, asked) in basic.items()},
    }
    measure = {name: partial(cost, programs, "unlinkat", scale.calls, attach) for name, attach in cases.items()}
    rounds = Rounds(undisturbed(measure), scale.rounds)
    yield _row(rounds, "matched", "bare", "unlinkat (ENOENT), nothing attached")
    yield _row(rounds, "matched", "floor", "floor: three fields to a C consumer that only counts")
    for key, (name, _) in basic.items():
        yield _row(rounds, "matched", key, name, "floor")
    every, claims = rounds["all_pair"], rounds["all_claims"]
    bases = {"floor": ratios(every, claims)}
    yield Row("matched_file", "matched", "all fields, over all but the file's", "ns", differences(every, claims), bases)
