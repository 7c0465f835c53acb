"""``rawtp counts``: how many system calls there are, how many fail and how long they take, counted in the kernel."""

from __future__ import annotations

import argparse
import math
import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import rawtp
from rawtp.cli import archive, options, stderr, types
from rawtp.cli.errors import OK, CommandError, refusal
from rawtp.cli.parser import Parser
from rawtp.cli.stderr import reason, with_warnings
from rawtp.cli.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rawtp.cli.command import Command
    from rawtp.sinks.stdout import Standard

_FORMATS = ("table", "jsonl", "csv", "arrow")
_KEYS = ("syscall", "abi", "pid", "comm", "calls", "errors", "errnos", "total_ns", "max_ns", "buckets")

_EXAMPLES = """\
No event is sent: the kernel counts, and the counts are read at the end, or every --interval.

examples:
  sudo rawtp counts -d 10
      the calls of this host in ten seconds
  sudo rawtp counts --latency -- make
      of a command and its descendants, with the time that they took
  sudo rawtp counts --by process -u www-data --interval 2
      who calls what, every two seconds, until Ctrl-C
  sudo rawtp counts -s openat,read --latency -d 1m -o jsonl
      for a program to read, with histograms
"""


def add_parser() -> Parser:
    """Make the parser of ``counts``, which is the first of the arguments."""
    parser = Parser(
        usage="%(prog)s counts [OPTION]... [-- COMMAND [ARG]...]",
        description="Count system calls in the kernel: calls, errors, and with --latency the times they take.",
        epilog=_EXAMPLES,
        command="rawtp counts -- make",
    )
    parser.add_argument("command", choices=("counts",), help=argparse.SUPPRESS)
    parser.add_argument(
        "-s",
        "--syscalls",
        type=types.names,
        action="extend",
        metavar="NAMES",
        help="which calls, with commas between: names, or groups such as loss (default: all)",
    )
    parser.add_argument(
        "--by", choices=("syscall", "process"), default="syscall", help="a row a call, or a row a process and call"
    )
    parser.add_argument("--latency", action="store_true", help="measure how long calls take, too")
    parser.add_argument(
        "-d", "--duration", type=types.seconds, metavar="TIME", help="end after this: seconds, or such as 2m or 1h30m"
    )
    parser.add_argument(
        "--interval", type=types.seconds, metavar="TIME", help="show what was counted in each such time"
    )
    parser.add_argument("--rows", type=types.positive, metavar="N", help="at most so many rows of the table")
    parser.add_argument(
        "--max-rows",
        type=types.positive,
        default=65_536,
        metavar="N",
        help="room for so many rows of processes; what finds none is shown as that of (others) (default: %(default)s)",
    )
    options.add_process_filters(parser)
    parser.add_argument(
        "--broker", metavar="PATH", help="without root: by the broker that listens there; not with --by process"
    )
    parser.add_argument(
        "--as-root", action="store_true", help="under sudo, run the command as root, not as the user who called"
    )
    parser.add_argument(
        "-o",
        "--output",
        choices=_FORMATS,
        metavar="FORMAT",
        help="table, for people; or, for programs, jsonl, csv or arrow (an IPC stream)"
        " (default: table on a terminal, jsonl otherwise)",
    )
    return parser


def run(arguments: Sequence[str]) -> int:
    """Count; the exit code: 0, 1 when it cannot be counted, 2 for wrong usage, or that of the command."""
    parser = add_parser()
    at = arguments.index("--") if "--" in arguments else len(arguments)
    args = parser.parse_args(arguments[:at])
    words = list(arguments[at + 1 :])
    if at < len(arguments) and not any(words[:1]):
        parser.error("no command after --")
    filters: Any = options.filters(parser, args, is_run=bool(words))
    output = archive.standard_output()
    kind = args.output or ("table" if output.is_terminal else "jsonl")
    if kind == "arrow" and output.is_terminal:
        parser.error("argument -o/--output: arrow is not for a terminal")
    if args.rows and kind != "table":
        parser.error(f"argument --rows: not with -o {kind}, which has all rows")
    show = _writer(kind, output, args)
    asked = {"by": args.by, "latency": args.latency, "max_rows": args.max_rows, "broker": args.broker, **filters}
    if args.syscalls:
        asked["syscalls"] = args.syscalls
    stop = Stop()
    stop.take_signals()
    stderr.heed(stop.patience)

    def count(command: Command | None = None) -> int:
        return _count(parser, args, asked, stop, show, arguments, command)

    if not words:
        return count()
    from rawtp.cli.command import run

    return run(words, count, as_root=args.as_root)


class _Ending:
    """Ends the wait, from a signal's handler or from a thread.

    The interpreter writes into the pipe itself when a signal comes, so one that comes just before the wait ends it,
    too. The pipe stays open to the end of the process, because a thread may close this late.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._read, select.POLLIN)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def close(self) -> None:
        """End the wait."""
        with suppress(BlockingIOError):  # full, which ends it as well
            os.write(self._write, b"\0")

    def wait(self, seconds: float) -> None:
        """Wait for a signal, the end, or so long."""
        if self._poll.poll(math.ceil(1000 * min(max(seconds, 0.0), 3600.0))):
            os.read(self._read, 4096)


def _count(
    parser: Parser,
    args: argparse.Namespace,
    asked: dict[str, Any],
    stop: Stop,
    show: Callable[[rawtp.CountsResult, int], None],
    arguments: Sequence[str],
    command: Command | None,
) -> int:
    stop.command = command

    def counts() -> rawtp.Counts:
        return rawtp.Counts(**asked) if command is None else rawtp.Counts._of(command, asked)

    try:
        counting = with_warnings(counts)
    except (rawtp.RawtpError, OSError) as error:
        raise refusal(error, arguments) from None
    except ValueError as error:
        parser.error(reason(error))
    options.tell_absent(args.pid or ())
    ending = _Ending()
    with counting:
        stop.attend(ending, sys.stdout)
        if command is not None and not stop.asked:
            command.start()
        with archive.writing():
            _watch(counting, ending, args, stop, show)
    if command is not None and command.is_released:
        return command.finish()
    return OK


def _watch(
    counting: rawtp.Counts,
    ending: _Ending,
    args: argparse.Namespace,
    stop: Stop,
    show: Callable[[rawtp.CountsResult, int], None],
) -> None:
    end_s = time.monotonic() + (args.duration or math.inf)
    next_s = time.monotonic() + (args.interval or math.inf)
    earlier: rawtp.CountsResult | None = None
    number = 1
    while not stop.asked:
        now_s = time.monotonic()
        if now_s >= end_s:
            break
        if now_s < next_s:
            ending.wait(min(end_s, next_s) - now_s)
            continue
        next_s += args.interval
        earlier = _show(counting, earlier, show, number)
        number += 1
    counting.close()
    if not stop.reader_gone:
        _show(counting, earlier, show, number)


def _show(
    counting: rawtp.Counts,
    earlier: rawtp.CountsResult | None,
    show: Callable[[rawtp.CountsResult, int], None],
    number: int,
) -> rawtp.CountsResult:
    found = counting.read()
    show(found if earlier is None else found - earlier, number)
    return found


def _writer(kind: str, output: Standard, args: argparse.Namespace) -> Callable[[rawtp.CountsResult, int], None]:
    """What writes a result; with ``--interval``, one after the other, each with its number."""
    if kind == "table":
        return lambda found, number: output.write(found.describe(args.rows) + "\n" + ("\n" if args.interval else ""))
    if kind == "jsonl":
        return lambda found, number: output.write(_lines(found, number), "utf-8")
    if kind == "csv":
        return lambda found, number: output.write(_records(found, number), "utf-8")
    return _arrow_writer()


def _values(row: rawtp.CountRow) -> dict[str, object]:
    return {key: getattr(row, key) for key in _KEYS}


def _lines(found: rawtp.CountsResult, number: int) -> str:
    from rawtp.formats.jsonl import document

    rows = []
    for row in found.rows:
        values = {"interval": number, **_values(row), "histogram": row.buckets and row.histogram}
        values["errnos"] = dict(row.errnos)
        del values["buckets"]
        rows.append(document("count", values))
    end = {
        "interval": number,
        "seconds": found.seconds,
        "calls": found.calls,
        "errors": found.errors,
        "others": found.others,
        "missed": found.missed,
        "unfollowed": found.unfollowed,
        "ended": found.ended,
    }
    return "".join([*rows, document("counts", end)])


def _records(found: rawtp.CountsResult, number: int) -> str:
    from rawtp.formats.csv import Csv

    keys = ("interval", *_KEYS)
    fmt = Csv(keys)
    rows = (fmt.record({"interval": number, **_values(row), "errnos": _errnos(row)}) for row in found.rows)
    return (fmt.header() if number == 1 else "") + "".join(rows)


def _errnos(row: rawtp.CountRow) -> str:
    return " ".join(f"{name}={count}" for name, count in row.errnos)


def _arrow_writer() -> Callable[[rawtp.CountsResult, int], None]:
    try:
        import pyarrow  # type: ignore[import-untyped]
    except ImportError:
        raise CommandError("-o arrow needs pyarrow: pip install 'rawtp[arrow]'") from None
    writers: list[Any] = []

    def write(found: rawtp.CountsResult, number: int) -> None:
        table = pyarrow.table(found)
        table = table.append_column("interval", pyarrow.array([number] * len(table), pyarrow.uint32()))
        if not writers:
            writers.append(pyarrow.ipc.new_stream(sys.stdout.buffer, table.schema))
        writers[0].write_table(table)
        sys.stdout.buffer.flush()

    return write
