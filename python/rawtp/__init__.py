"""Which process deleted my file?

A :class:`Tracer` watches the deletions of every process on this host, live, and yields each as a plain dict::

    import rawtp

    with rawtp.Tracer() as tracer:
        for event in tracer:
            print(event["pid"], event["comm"], event["filename"], event["errno"])

It needs Linux 5.10 or later with BTF, and CAP_BPF and CAP_PERFMON (root has both).
"""

import sys as _sys

if not _sys.platform.startswith("linux"):
    raise ImportError(f"rawtp attaches BPF programs to the Linux kernel; this is {_sys.platform}")

from rawtp import _core, _late, syscalls
from rawtp._core import (
    ALL_FIELDS,
    DELETE,
    FILE_CHANGES,
    LOSS,
    OPT_IN_FIELDS,
    RENAME,
    TRUNCATE,
    Batch,
    LoadError,
    RawtpError,
    RawTracepoint,
    Stats,
    Tracer,
    UnsupportedKernelError,
    __version__,
    escape,
)

_core._set_late(_late.find)

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    from rawtp import notebook as notebook
    from rawtp._check import check
    from rawtp._check.finding import Check, Finding
    from rawtp._core import HistoryBatch, HistoryScan, Recorder
    from rawtp._cost import Cost, CostFigure, CostRow, cost
    from rawtp._counts import CountRow, Counts, CountsResult, counts
    from rawtp._history import History
    from rawtp._run import RunResult, run
    from rawtp._tracepoints import Tracepoint, tracepoints
    from rawtp.event import Event, Hook

# 21, as many as a dict holds in 32 slots: with one more it takes twice the memory, and twice the time to make.
BASIC_FIELDS = (
    *("ts_ns", "duration_ns", "cpu", "seq", "lost", "pid", "tid", "ppid", "uid", "gid", "comm", "syscall", "abi"),
    *("via", "action", "dfd", "flags", "filename", "name_status", "ret", "errno"),
)
"""The keys that cost least: the call, its result, and the ids of who made it; no paths, no containers, no arguments."""

__all__ = [
    "ALL_FIELDS",
    "BASIC_FIELDS",
    "DELETE",
    "FILE_CHANGES",
    "LOSS",
    "OPT_IN_FIELDS",
    "RENAME",
    "TRUNCATE",
    "Batch",
    "Check",
    "Cost",
    "CostFigure",
    "CostRow",
    "CountRow",
    "Counts",
    "CountsResult",
    "Event",
    "Finding",
    "History",
    "HistoryBatch",
    "HistoryScan",
    "Hook",
    "LoadError",
    "RawTracepoint",
    "RawtpError",
    "Recorder",
    "RunResult",
    "Stats",
    "Tracepoint",
    "Tracer",
    "UnsupportedKernelError",
    "__version__",
    "check",
    "cost",
    "counts",
    "escape",
    "run",
    "syscalls",
    "tracepoints",
]

# Names that few programs use are imported when they are first asked for. Event and Hook need typing, whose import takes
# longer than that of the whole package.
_LATE = {
    "check": "rawtp._check",
    **dict.fromkeys(("Check", "Finding"), "rawtp._check.finding"),
    **dict.fromkeys(("Cost", "CostFigure", "CostRow", "cost"), "rawtp._cost"),
    **dict.fromkeys(("CountRow", "Counts", "CountsResult", "counts"), "rawtp._counts"),
    **dict.fromkeys(("Event", "Hook"), "rawtp.event"),
    **dict.fromkeys(("HistoryBatch", "HistoryScan", "Recorder"), "rawtp._core"),
    "History": "rawtp._history",
    **dict.fromkeys(("RunResult", "run"), "rawtp._run"),
    **dict.fromkeys(("Tracepoint", "tracepoints"), "rawtp._tracepoints"),
    "notebook": "rawtp.notebook",
    **dict.fromkeys(("load_ipython_extension", "unload_ipython_extension"), "rawtp.notebook"),  # what %load_ext calls
}

# Not for type checkers: with a __getattr__ they would accept any name. They read the imports above.
if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(_LATE[name])
        return globals().setdefault(name, getattr(module, name, module))

    def __dir__():
        return sorted({*globals(), *_LATE})
