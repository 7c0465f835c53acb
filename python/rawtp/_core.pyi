"""The extension module. Import its names from :mod:`rawtp`."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Final, Literal, final

from rawtp.event import Event, Hook

__all__ = [
    "ALL_FIELDS",
    "DELETE",
    "FILE_CHANGES",
    "LOSS",
    "OPT_IN_FIELDS",
    "RENAME",
    "TRUNCATE",
    "_NATIVE_ABI",
    "Batch",
    "CallCounter",
    "HistoryBatch",
    "HistoryFile",
    "HistoryReader",
    "HistoryScan",
    "LoadError",
    "RawTracepoint",
    "RawtpError",
    "Recorder",
    "Stats",
    "TextReader",
    "Tracer",
    "UnsupportedKernelError",
    "__version__",
    "_attempts",
    "_bucket_bounds",
    "_cost",
    "_count_columns",
    "_counts_bytes",
    "_host_path",
    "_list_maps",
    "_load",
    "_load_counts",
    "_load_raw_tracepoint",
    "_load_rejected",
    "_map_id",
    "_map_ids",
    "_meters",
    "_open_in",
    "_overlaps",
    "_set_late",
    "_stats",
    "_syscall_arguments",
    "_syscall_name",
    "_syscall_number",
    "_syscall_registers",
    "_tracepoints",
    "_verifier_reason",
    "escape",
]

_CountCells = tuple[
    str | None,
    str,
    int | None,
    str | None,
    int,
    int,
    tuple[tuple[str, int], ...],
    int | None,
    int | None,
    tuple[int, ...] | None,
]
_LoadedFds = tuple[int, list[tuple[str, str | None, str | None]], list[int], list[int], list[int]]

__version__: Final[str]
"""The version of rawtp: ``"0.2.0"``."""

DELETE: Final[tuple[str, ...]]
"""The system calls that delete a name: ``("unlink", "unlinkat", "rmdir")``."""
RENAME: Final[tuple[str, ...]]
"""Those that rename one, and so may delete what had the new name: ``("rename", "renameat", "renameat2")``."""
TRUNCATE: Final[tuple[str, ...]]
"""Those that cut a file off: truncate(2), ftruncate(2), creat(2); open(2), openat(2), openat2(2) and
open_by_handle_at(2) with ``O_TRUNC``. An open that cannot cut off anything is no event: one with ``O_PATH``,
``O_TMPFILE``, ``O_DIRECTORY``, or ``O_EXCL`` and ``O_CREAT``."""
LOSS: Final[tuple[str, ...]]
"""All calls that make names or content go: :data:`DELETE`, :data:`RENAME` and :data:`TRUNCATE`; fallocate(2) where it
punches a hole, writes zeros or takes out a range; ioctl(2) where it does that (``FS_IOC_UNRESVSP``,
``FS_IOC_ZERO_RANGE``) or destroys a btrfs subvolume (``BTRFS_IOC_SNAP_DESTROY``); mq_unlink(2). The command line
watches them by default."""
FILE_CHANGES: Final[tuple[str, ...]]
"""All of :data:`LOSS`, and the calls that change files in other ways than by writing: those that make names (mkdir(2),
mknod(2), link(2), symlink(2), and opens that make a file), that change what is written about a file (chmod(2),
chown(2), setxattr(2), utimensat(2)), and that change what paths lead to (mount(2), umount(2), pivot_root(2),
swapon(2)), with their relatives."""
ALL_FIELDS: Final[tuple[str, ...]]
"""Every key of an event, in its order, but those of :data:`OPT_IN_FIELDS`."""
OPT_IN_FIELDS: Final[tuple[str, ...]]
"""The keys that cost more than most people want to pay. Name them in ``fields`` to have them."""

_NATIVE_ABI: Final[str]

class RawtpError(Exception):
    """The base of rawtp's own errors.

    A PermissionError of rawtp's has these attributes, too. They are None where there is no advice.
    """

    reason: str | None
    """The message without the advice at its end."""
    hint: str | None
    """The advice."""
    command: str | None
    """The command that the advice names last."""

class LoadError(RawtpError):
    """The kernel refused a BPF program.

    ``verifier_log`` (str) is what the kernel's verifier printed; ``""`` when it was not the verifier that refused.
    """

    verifier_log: str
    """The verifier's log, ``""`` where it was not the verifier that refused."""

class UnsupportedKernelError(RawtpError):
    """The running kernel lacks something that rawtp cannot do without; the message names it."""

@final
class Batch:
    r"""Events as columns, by Arrow's PyCapsule interface: what :meth:`Tracer.batch` gives. ``len()`` is how many.

    Whatever knows Arrow reads it without a copy, as often as it likes, also when the tracer is closed::

        polars.DataFrame(batch)
        pandas.DataFrame.from_arrow(batch)  # pandas 3
        pyarrow.table(batch)
        duckdb.sql("select path, count(*) from batch group by path")

    The columns are the tracer's ``fields``, in the order of the dict, and of the same types whatever comes:

    ==========================================================  ====================================================
    ``ts_ns``                                                   timestamp in nanoseconds, UTC
    numbers                                                     int or uint of 32 or 64 bits, as in the kernel
    ``argv_truncated``                                          bool
    ``comm``, ``parent_comm``, ``exe``, ``container_id``,       dictionary of utf8 (polars: Categorical; pandas:
    ``pod_id``, ``unit``, ``syscall``, ``abi``, ``via``,        category)
    ``action``, ``path_kind``, ``name_status``, ``errno``
    ``filename``, ``path``, ``host_path``, ``new_…``            utf8
    ``argv``                                                    list of utf8
    ``args``                                                    utf8: JSON, of any call; :meth:`table` has types
    ==========================================================  ====================================================

    Null is ``None``. Names are bytes: where they are not valid UTF-8, each byte that is not stands as ``\xNN`` in the
    text. Of every column whose text is made of the kernel's bytes (``comm``, ``parent_comm``, ``exe``, ``argv``,
    ``filename``, ``path``, ...) there is a second one, ``path_bytes``: binary, the whole value's bytes where the text
    has such an escape, null where the text is all of it. ``args_bytes`` is a list of structures: the name of an
    argument, its bytes, and whether they are text (a list's, each with a NUL behind it) or a buffer's.
    """

    def __len__(self) -> int: ...
    def to_dicts(self) -> list[Event]:
        """The events as dicts: those that :meth:`Tracer.get_many` would have given."""
    def table(self, call: str) -> Batch:
        """The events of one system call, with a column for each of its arguments in place of ``args``.

        ::

            opened = tracer.batch().table("openat")
            duckdb.sql("select pathname, count(*) from opened where list_contains(flags, 'O_CREAT') group by 1")

        The arguments are those of :func:`rawtp.syscalls.arguments`, by their names there, behind the columns of the
        batch. One that is named like a column of the batch is ``arg_flags``, and so on. The columns are the same
        whatever the events are:

        ==================================================  ========================================================
        ``int``; ``address``, and what has no sign          int64; uint64
        ``text``, ``texts``                                 utf8, list of utf8; and ``NAME_bytes``, as above
        ``flags``                                           list of utf8; bits without a name come last, as ``0x…``
        ``word``                                            utf8: the name, or the number in decimal
        ``seconds``                                         float64; where a word can stand in its place
                                                            (``UTIME_NOW``), it is in ``NAME_word``
        ``ints``                                            list of int64
        ``bytes``                                           binary
        ``any``                                             utf8: a number in decimal, a name, names with ``|`` between
        parts of a structure: ``how.flags``, ``how.mode``   a structure ``how``
        ==================================================  ========================================================

        Null is what an event has ``None`` for. :meth:`to_dicts` gives the arguments as an event has them.

        Args:
            call: the name of a call that the tracer watches.

        Raises:
            ValueError: no call has that name, and the message has the nearest; or the tracer does not watch it; or
                ``"syscall"`` or ``"args"`` is not among its fields.
            TypeError: ``call`` is no str.
        """
    def _dicts(self, first: int, count: int) -> list[Event]:
        """So many of them, from that one on."""
    def _outcomes(self) -> tuple[int, int] | None:
        """How many of the events failed, and of how many the result is not known; ``None`` without ``ret``."""
    def _repr_html_(self) -> str:
        """The first events as a table, for notebooks."""
    def __arrow_c_schema__(self) -> object:
        """A capsule ``arrow_schema``."""
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """Capsules ``arrow_schema`` and ``arrow_array``. The columns are as they are, whatever schema is requested."""
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A capsule ``arrow_array_stream``, of one array. As for the schema that is requested, see above."""

@final
class Stats:
    """The ledger: what became of every call that a tracer's program matched. Immutable; all counts are since the
    tracer's creation. It can be compared, copied and pickled.

    At rest, whatever happened before::

        matched = filtered + lost_ring + lost_state + pending + buffered + delivered + discarded

    While calls come in, the counters of one ``Stats`` are read one after the other, and the two sides can differ by the
    calls of that moment.
    """

    @property
    def matched(self) -> int:
        """Calls that are events: of a watched name, in whatever table; an open only with ``O_TRUNC``."""
    @property
    def filtered(self) -> int:
        """Matched calls that ``pid`` left out, in the kernel."""
    @property
    def lost_ring(self) -> int:
        """Matched calls that found no room in the ring buffer."""
    @property
    def lost_state(self) -> int:
        """Matched calls that found no room in the kernel's tables of open calls; this version keeps none: always 0."""
    @property
    def pending(self) -> int:
        """Matched calls that were taken from the queue and whose return has not been seen yet."""
    @property
    def buffered(self) -> int:
        """Matched calls that wait in the ring or in the queue."""
    @property
    def delivered(self) -> int:
        """Matched calls that were handed out, as dicts or in batches."""
    @property
    def discarded(self) -> int:
        """Matched calls that nobody has taken since the tracer was closed. Iterating on takes them back from here."""
    @property
    def missed(self) -> int | None:
        """Times the kernel skipped one of this tracer's programs because a program was already running on that CPU
        (``bpf_prog_info.recursion_misses``), or a program gave way to another one that it had preempted; ``None``
        where the kernel does not count them."""
    @property
    def unpaired(self) -> int:
        """Returns of events that were delivered before, with ``ret=None``: when other returns had been lost, or more
        than 16 MiB of calls were open at once."""
    @property
    def lost_exits(self) -> int:
        """Returns that found no room, in the ring buffer or in the kernel's table of open requests: their events are
        delivered with ``ret=None``."""
    @property
    def name_faults(self) -> int:
        """Events decoded so far whose ``name_status`` is ``"fault"``."""
    @property
    def truncated(self) -> int:
        """Events decoded so far whose ``name_status`` is ``"truncated"``."""
    @property
    def tail_lost(self) -> int:
        """The part of ``lost_ring`` that came after the last event of its CPU. The sum of ``event["lost"]`` over all
        events and this is ``lost_ring``, unless one of them is 4,294,967,295, where they count no further."""
    @property
    def unfollowed(self) -> int:
        """Processes born to a followed one that the kernel's table had no room for: what they do is not reported."""
    @property
    def lost_cgroups(self) -> int:
        """Reports of a cgroup's path that found no room, in the ring or with a reader that takes none. An event whose
        cgroup is gone when it is read then has ``None`` for ``container_id``, ``pod_id`` and ``unit``."""
    @property
    def lost_processes(self) -> int:
        """Reports of a fork or an exec that found no room, and processes that were forgotten while they lived. From
        then on arguments in ``ancestors`` and ``parent_argv`` can be ``None``, and ``ancestors`` can lack processes
        that have ended. 0 when neither key is asked for."""
    @property
    def lost_truths(self) -> int:
        """Records of the kernel's own functions that found no room, in the ring or with open calls. Their events are
        delivered without what only those functions tell: see ``"truth"`` of :attr:`Tracer.coverage`."""
    @property
    def lost_mounts(self) -> int:
        """Mount namespaces whose mounts were not read because too many waited. Names of several components in them
        have no ``real_path``, and ``path=`` lets them through."""
    def as_dict(self) -> dict[str, int | None]:
        """The counters by name, in the order of the ledger."""
    def _repr_html_(self) -> str:
        """The same as a table, for notebooks."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Callable[[dict[str, int | None]], Stats], tuple[dict[str, int | None]]]: ...

@final
class Tracer:
    """Watches deletions from its creation until it is closed.

    Iterate it for events, or ask with :meth:`get`, :meth:`get_many` and :meth:`batch`. These give what had happened
    when they were called: every call that had ended by then, unless its event was lost. Where fewer events are queued
    than are asked for they have the ring emptied first, which takes a fraction of a millisecond.
    Events of one thread come in the order of its calls; per CPU, ``seq`` tells the order. Several threads may read one
    tracer: each event goes to one of them.
    Close it with ``with`` or :meth:`close`; do not rely on the garbage collector, which may never run.

    ::

        with rawtp.Tracer(pid=1234) as tracer:
            for event in tracer:
                print(event["filename"], event["errno"])

    Iteration waits for the next event. It ends when the tracer is closed and what was drained is read. It raises
    KeyboardInterrupt, or whatever a signal's handler raises while it waits; RuntimeError in a forked child, and when a
    finalizer reads from the tracer that is being read; and RawtpError when the drain thread gave up, which is a defect:
    the ring held what no program writes.

    In a child that was forked in the ``with``, the end of the block does nothing: the tracer is its parent's.

    On asyncio (uvloop too) and trio ``async for`` does the same. It waits for the tracer's descriptor, and in no
    thread::

        async for event in tracer:
            print(event["comm"], event["path"])

    A cancelled task loses no event: one is taken in the very step that hands it over. One task at a time reads a
    tracer, and a second one is refused with RuntimeError, as is a task where neither asyncio nor trio runs; tasks that
    share the work get it from the first, by a queue or a channel. As long as there are events a task does not wait, but
    after every 64 it lets the others run, and can be cancelled. :meth:`close` and the making of a tracer take some
    milliseconds, in which no task runs: with ``async with`` they would no less, so there is none. Use ``with``, or
    ``await asyncio.to_thread(tracer.close)``.

    Args:
        syscalls: names of the system calls to watch, out of :data:`rawtp.DELETE`, which is the default,
            :data:`rawtp.RENAME` and :data:`rawtp.TRUNCATE`, or :data:`rawtp.LOSS`, which has all of them and more;
            tuples, so that they can be added. :data:`rawtp.FILE_CHANGES` has what changes files in other ways, too:
            new names, permissions, owners, attributes, times, mounts. Any other call has its own name.
            ``"delete"``, ``"rename"``, ``"truncate"``, ``"loss"`` and ``"file_changes"`` stand for all
            of theirs, alone or among names, as do ``"file"``, ``"process"``, ``"network"`` and ``"memory"``, which are
            the groups of strace(1). ``"all"`` is every call, also those with numbers that no table has, which are
            named ``"syscall_0x3e7"``. It needs a filter by process (``pid``, ``uid``, ``comm`` or ``cgroup``) that some
            process does not pass: neither ``comm="*"`` nor the root cgroup. It leaves this process out, and cannot be
            asked of it alone. Calls of 32-bit programs are watched by the same names. A name that
            this machine lacks (aarch64 has neither ``unlink`` nor ``rmdir``) is passed over.
        results: whether to watch the calls' returns too. Without them ``ret``, ``errno`` and ``duration_ns`` are
            ``None``, a name whose page was not in memory at the entry stays unknown, and each event is delivered at its
            call's entry; it costs the traced process about two thirds (``make bench``).
        fields: the keys that are wanted, out of :data:`rawtp.ALL_FIELDS`, which is the default, and
            :data:`rawtp.OPT_IN_FIELDS`;
            the others are not in the dicts. Without those of paths no directory is looked up in the kernel:
            :data:`rawtp.BASIC_FIELDS` has none of them.
        pid: report the calls of this process (thread group) only, by its number in the host's pid namespace; or of
            several. This filter and the next ones take one value or up to 32, any of which will do; all filters that
            are given must hold. What is left out is in ``stats().filtered``, and never leaves the kernel except where
            it is said here.
        follow: those born to ``pid`` later, too, and to them in turn: up to 32,768 at a time, and
            ``stats().unfollowed`` counts who found no place.
        uid: of processes with one of these as their real, effective or file-system user id: of those that the user
            started, and of those that act for the user, such as a file server's.
        comm: of threads of this name, which a thread may change: ``"rm"``; ``"rm*"`` for all that begin so. The kernel
            keeps 15 bytes of a name.
        cgroup: of processes in this cgroup of version 2, or below it: its directory, its path as ``/proc/PID/cgroup``
            has it, or its id.
        path: of the file at this absolute path, and of what is below it. The path is this host's, below ``root``. It is
            followed through symbolic links and mounts, and it means the place where they end, so a file is found
            whatever name, link, bind mount or mount namespace led to it. The path need not exist yet, and its links are
            looked at again while the tracer runs. A rename passes by either name, and when it moves a directory above
            the path; a truncation also when it takes the content of a hard link of the very file. In a chroot or
            another mount namespace a name that only reads like the path does not pass. The kernel leaves out what
            surely is elsewhere, and the rest is decided when it is read. A call whose place is not known is let
            through, but one that failed only where its name reads like the path. A file without a name (a memfd,
            ``O_TMPFILE``) is not.
            ``*``, ``?`` and ``[a-z]`` match within a name and ``**`` any number of directories, and beside any of them
            ``{a,b}`` either name; a backslash takes their meaning away. They are compared with real paths. What is
            there under that very name is meant as it stands, such as ``"/x/[2024] photos"``; where others than root
            and this user can have put it there, as a glob as well. With a backslash anywhere it is a pattern in any
            case: :func:`rawtp.escape` makes one of a name. A glob costs each event at most a time in proportion to its
            path's length.
        exclude_self: all but this process.
        outcome: ``"ok"``, what did not fail; ``"failed"``; or ``"any"``. Looked at when an event is read, as only the
            call's end tells. A result that is not known is let through. Where events are left out when they are read,
            ``seq`` has gaps that are no loss.
        hook: by which hooks system calls are seen. ``"raw_tp"`` is the cheapest; but where the kernel can preempt
            such a program (Linux 7 on x86_64), it skips it for whatever else runs on that CPU meanwhile, and
            ``stats().missed`` is all that tells. ``"tracepoint"``, the classic ones of ``raw_syscalls``, is exact there
            too; it needs Linux 5.15 and tracefs, which need not be mounted. ``"auto"`` takes the cheapest that is
            exact. ``"vfs"`` hooks no system call, so that no other call of the host gets any slower, but the kernel's
            own functions that remove. It sees only what reaches a file: not what fails before that, as with
            ``ENOENT``, nor fallocate, ioctl and mq_unlink; :attr:`coverage` says so. ``ret`` is then what the function
            returned: 0 for an open that truncates.
        when: which opens, and calls of fallocate(2) and ioctl(2), are events. ``"loss"``: those that make names or
            content go. ``"change"``: those that change a file, so opens that make one, too, and every fallocate.
            ``"always"``: each. By default ``"always"`` with ``"all"`` and the groups of strace, ``"change"`` with all
            of :data:`rawtp.FILE_CHANGES`, otherwise ``"loss"``.
        exclude: names and groups of calls that are not to be watched, of those in ``syscalls``.
        buffers: how many bytes of what a call reads or writes are in ``args``, at most 4,096. By default none: it may
            be anybody's secret.
        ring_bytes: size of the kernel's ring buffer, in bytes: a power of two and a multiple of the page size. With
            ``results`` an eighth of it is kept for returns.
        queue_bytes: how much may wait in this process before records are left in the ring, in bytes: a positive
            multiple of 64 KiB. Only when both are full are events lost, and then they are counted.
        root: the directory at which the host's root is mounted in this process's mount namespace, such as ``"/host"``
            in a container. ``real_path`` and ``new_real_path`` are then the host's, without that directory, and so is
            ``path``: its links are followed below the directory. A file that only the container has, on no file system
            of the host's that is mounted there, has no real path. Names of users are those of the directory's
            ``/etc/passwd``. By default this process's own root.
        sudo: where this process lacks the privilege, have a helper load and attach under sudo(8). It hands the
            descriptors over and ends; the tracer lives as long as these. sudo may ask for a password where there is a
            terminal. A ``RuntimeWarning`` tells when others than root can replace what the helper runs.
        broker: the path of the socket of a broker, who loads and attaches (``rawtp broker``), and whose end
            is the tracer's: iteration ends after what was in the ring, and :attr:`coverage` says why. Not with
            ``sudo``.

    Raises:
        ValueError: an argument outside its rule; the message has the value and the rule.
        TypeError: an argument of the wrong type.
        PermissionError: CAP_BPF or CAP_PERFMON is missing; the message says which, and the command to run. Or sudo, or
            the broker, refuses; the message says why.
        UnsupportedKernelError: the kernel has no BTF. Both messages end with ``run: … -m rawtp check``, which says
            what this host allows, as does :func:`rawtp.check`.
        LoadError: the kernel's verifier rejected a program; ``verifier_log`` has its reasons.
        MemoryError: this process has too little memory, or address space (``RLIMIT_AS``), for the load, the queue or
            the thread.
        FileNotFoundError: there is no ``root``.
        NotADirectoryError: ``root`` is a file.
        OSError: descriptors, threads or the kernel's memory ran out; or nobody listens at ``broker``; or
            ``hook="vfs"`` is not possible here, and the message says why; or the load was interrupted again and again
            (``BlockingIOError``), by SIGSTOP, a debugger or a cgroup's freezer. No other signal interrupts it: the
            thread has them blocked until the programs are loaded, and handlers run after that.
        TimeoutError: the helper, or the broker, does not answer.
        RawtpError: it answers with what is no tracer, or is of another version.
    """

    def __new__(
        cls,
        syscalls: Iterable[str] | None = None,
        *,
        results: bool = True,
        fields: Iterable[str] | None = None,
        pid: int | Iterable[int] | None = None,
        follow: bool = False,
        uid: int | Iterable[int] | None = None,
        comm: str | Iterable[str] | None = None,
        cgroup: str | PathLike[str] | int | Iterable[str | PathLike[str] | int] | None = None,
        path: str | PathLike[str] | Iterable[str | PathLike[str]] | None = None,
        exclude_self: bool = False,
        outcome: Literal["any", "ok", "failed"] = "any",
        hook: Literal["auto", "raw_tp", "tracepoint", "vfs"] = "auto",
        when: Literal["loss", "change", "always"] | None = None,
        exclude: Iterable[str] | None = None,
        buffers: int = 0,
        ring_bytes: int = 4194304,
        queue_bytes: int = 67108864,
        root: str | PathLike[str] = "/",
        sudo: bool = False,
        broker: str | PathLike[str] | None = None,
        _from_exec: bool = False,
    ) -> Tracer: ...
    def __enter__(self) -> Tracer: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Closes the tracer; in a forked child, does nothing."""
    def __iter__(self) -> Tracer: ...
    def __next__(self) -> Event: ...
    def get(self, timeout: float | None = None) -> Event:
        """Gives the next event; waits for it where none had happened by the call.

        Args:
            timeout: seconds; ``None`` waits for ever, 0 does not wait for more than had happened.

        Raises:
            TimeoutError: none came in time.
            ValueError: the tracer is closed, or was closed meanwhile, and nothing is left; or the timeout is negative
                or not a number.
            KeyboardInterrupt: or whatever a signal's handler raises while waiting. No event is lost by it.
            RawtpError: as iteration, once, after what was drained.
        """
    def get_many(self, max_events: int = 4096, timeout: float | None = None) -> list[Event]:
        """Gives all events that had happened by the call, the oldest first, ``max_events`` at the most; waits for the
        first where there are none. What happens meanwhile may be among them.

        Of a closed tracer it gives what is left, as iteration does.

        Args:
            max_events: at least 1. A few thousand are fastest.
            timeout: seconds; ``None`` waits for ever, 0 does not wait for more than had happened.

        Returns:
            The events; ``[]`` when none came in time. As many as there is memory for: the others stay to be read.

        Raises:
            ValueError: as :meth:`get`, or ``max_events`` is below 1.
            KeyboardInterrupt: or whatever a signal's handler raises while waiting. No event is lost by it, but where
                there are more than the queue holds, or a filter has left some out: then those that were taken before
                are gone, and counted as discarded.
            MemoryError: for not even one of them.
            RawtpError: as :meth:`get`.
        """
    def __aiter__(self) -> Tracer: ...
    def __anext__(self) -> Coroutine[None, None, Event]: ...
    def aget(self, timeout: float | None = None) -> Coroutine[None, None, Event]:
        """:meth:`get`, for asyncio and trio; as for the rest see ``async for`` above.

        Args:
            timeout: seconds, by the clock of the event loop; ``None`` waits for ever, 0 lets the other tasks run until
                what had happened is there.

        Raises:
            TimeoutError: none came in time.
            ValueError: as :meth:`get`.
            RuntimeError: as ``async for``.
        """
    def aget_many(self, max_events: int = 4096, timeout: float | None = None) -> Coroutine[None, None, list[Event]]:
        """:meth:`get_many`, for asyncio and trio; as for the rest see ``async for`` above.

        Args:
            max_events: at least 1. No other task runs while they are made into dicts: some milliseconds for thousands.
            timeout: as in :meth:`aget`.

        Returns:
            The events; ``[]`` when none came in time.

        Raises:
            ValueError: as :meth:`get_many`.
            RuntimeError: as ``async for``.
        """
    def batch(self, max_rows: int = 65536, timeout: float | None = None) -> Batch:
        """Gives all events that had happened by the call as columns, the oldest first, ``max_rows`` at the most; waits
        for the first where there are none. What happens meanwhile may be among them.

        The fastest way to many events: no Python object is made for any. A batch also ends where its texts reach
        256 MiB, and before an event that there is no memory for, which stays to be read. Of a closed tracer it gives
        what is left; :meth:`to_arrow` does, too, and an empty batch after that.

        Args:
            max_rows: at least 1.
            timeout: seconds; ``None`` waits for ever, 0 does not wait for more than had happened.

        Returns:
            The events; an empty batch when none came in time.

        Raises:
            ValueError: as :meth:`get`, or ``max_rows`` is below 1.
            KeyboardInterrupt: or whatever a signal's handler raises while waiting, as :meth:`get_many`.
            MemoryError: for not even one event; or for the bytes of names that are no text, which are put together at
                the end: then the events are gone, and counted as discarded.
            RawtpError: as :meth:`get`.
        """
    def to_arrow(self, duration: float | None = None, max_rows: int = 1048576) -> Batch:
        """Takes all that happens within a time, as columns: :meth:`batch` takes what had happened.

        What had happened before counts as well, and the end comes sooner at a :meth:`close`. Of a closed tracer it is
        what is left. Memory has a bound: it returns as soon as there are ``max_rows``, or texts of 256 MiB, or no
        memory for more, and what comes later waits for the next call. As for an exception in the middle, Ctrl-C above
        all: what was taken by then is gone, and counted as discarded.

        Args:
            duration: seconds; ``None`` waits for the close, 0 takes what had happened.
            max_rows: at least 1. A row of all fields takes some 300 to 500 bytes, and the length of its texts.

        Returns:
            The events; an empty batch when none came.

        Raises:
            ValueError: the duration is negative or not a number, or ``max_rows`` is below 1.
            RuntimeError: in a forked child.
            MemoryError: as :meth:`batch`.
            RawtpError: as iteration, by the first call for which nothing is left.
        """
    @property
    def _filters(self) -> str:
        """The filters as ``repr`` shows them: ``'pid=1 path="/srv"'``."""
    def live(self, seconds: float | None = None, rows: int = 20) -> None:
        """Shows what comes as a table in a Jupyter notebook, drawn anew in its place.

        Above the table stand the number of events, how many of them failed, the rate since the start and that of the
        last two seconds, the losses, and the filters with the number of calls that they left out. A result that is a
        failure is marked. It takes what it shows, and all that went by before, which is counted apart and is not in the
        rate.

        It ends after ``seconds``, at a :meth:`close`, and when the kernel is interrupted (the square button, or I
        twice): the cell has ended well then, and the tracer goes on. What comes after its end is for the next to read.
        It keeps no more than the rows: it can run for days.

        Args:
            seconds: ``None`` has no end.
            rows: how many events are shown, the latest: 1 to 1000.

        Raises:
            RuntimeError: this is no notebook: a terminal has ``rawtp``. Or in a forked child.
            ValueError: the seconds are negative or not a number, or the rows out of their range.
        """
    def __arrow_c_schema__(self) -> object:
        """The schema of the batches: a capsule ``arrow_schema``."""
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The events from now on as a stream of batches: a capsule ``arrow_array_stream``.

        It ends when the tracer is closed and what was drained is read, so that ``polars.DataFrame(tracer)`` waits for a
        :meth:`close` in another thread; of a closed tracer it is the rest. Events are gathered for a tenth of a second.
        Ctrl-C ends it with the reader's own exception, whose text says KeyboardInterrupt.

        Raises:
            RuntimeError: in a forked child.
        """
    def stats(self) -> Stats:
        """The ledger now. Works on a closed tracer too, where it is final."""
    def close(self) -> None:
        """Detaches the programs and takes what is left out of the ring.

        May be called from any thread, and again. Whoever reads gets what was drained, and after that the end: iteration
        ends, and :meth:`get`, :meth:`get_many` and :meth:`batch` raise ValueError, also those that are waiting. What is
        left in the ring and finds no memory is counted as discarded.

        Raises:
            RuntimeError: in a forked child.
        """
    def _flush(self, max_events: int, hurry: bool) -> tuple[int, int | None]:
        """The position up to which the ring is written, and a descriptor that is readable once the queue has caught up
        with it; ``None`` when it has, or holds ``max_events``. ``hurry``: without gathering. For one caller at a time.
        """
    def _take(self, max_events: int, position: int) -> list[Event]:
        """Take what is queued, and what lay in the ring before ``position``. Raises ValueError as :meth:`get` does."""
    @property
    def coverage(self) -> dict[str, Hook]:
        """The parts of what this tracer sees, and what it does not: ``"syscalls"``, ``"syscall_results"``,
        ``"io_uring"``, ``"io_uring_results"``, ``"cgroup_changes"`` and ``"truth"``, each with its
        :class:`rawtp.Hook`. A part that this kernel does not let us see has ``hook=None`` and a ``reason``; the others
        work."""
    @property
    def closed(self) -> bool:
        """True when nothing new will come."""
    def fileno(self) -> int:
        """A descriptor for select(2), poll(2) and epoll(7): readable when there may be events, and once the tracer is
        closed. Only wait on it: read with ``get_many(timeout=0)``, which can still be ``[]`` when what came was the
        entry of a call that has not returned. While a task awaits the tracer on asyncio, the loop's ``add_reader`` for
        it is taken.

        Raises:
            ValueError: the tracer is closed.
        """

@final
class RawTracepoint:
    """Watches a raw tracepoint of the kernel, any of them, from its creation until it is closed.

    The kernel's own type information (BTF) says what the tracepoint passes, and where in the kernel's structures a
    field is. So there is nothing to compile, and no header to have::

        fields = ["p.pid", "p.real_parent.comm", "bprm.filename"]
        with rawtp.RawTracepoint("sched_process_exec", fields) as execs:
            for event in execs:
                print(event["p.real_parent.comm"], event["bprm.filename"])

    An event is a dict with ``ts_ns``, ``cpu``, ``seq``, ``lost``, ``pid``, ``tid`` and ``comm``, which mean what they
    mean in :class:`rawtp.Event`, and with each field under its own name; a field that is named like one of these seven
    is ``arg_pid``, and so on. ``pid``, ``tid`` and ``comm`` are those of the thread that ran into the tracepoint, which
    an interrupt can have done in the middle of anything.

    =======================================  ===========================================================================
    in the kernel                            in an event
    =======================================  ===========================================================================
    an integer, a bit-field                  int, with its sign
    ``bool``                                 bool
    an enumeration                           str: the name of the value, or its number where it has no name
    ``char *``, ``char[N]``                  str, up to the NUL and at most ``text_bytes``; as ``os.fsdecode`` makes one
    an array of other bytes                  bytes
    an array of integers                     tuple of int
    a structure that wraps a single value    that value: ``kuid_t``, ``atomic_t``
    an address                               int, with ``pointers=True``
    =======================================  ===========================================================================

    A value is ``None`` where it could not be read: an address on the way was NULL, or led nowhere.

    It is read like a :class:`Tracer`: by iteration, :meth:`get`, :meth:`get_many`, :meth:`batch` and the like, on
    asyncio and trio too, by one thread or by several; ``with`` or :meth:`close` ends it. The ledger of :meth:`stats` is
    exact. An event that happens while one is being written on the same CPU, in an interrupt, is skipped, and
    ``stats().missed`` counts it.

    Args:
        name: the tracepoint; :func:`rawtp.tracepoints` lists them.
        fields: paths that begin with an argument's name: ``"prev_state"``, ``"prev.comm"``, ``"p.real_parent.comm"``,
            ``"regs.di"``, ``"p.thread_info.flags"``, ``"sk.__sk_common.skc_v6_daddr"``, ``"map.bits[0]"``. A ``.`` goes
            to a member, also through a pointer. ``None`` is every argument that is a value by itself.
        pid: of this process (thread group) only, by its number in the host's pid namespace; or of up to 32. The others'
            are in ``stats().filtered``.
        pointers: whether addresses in the kernel are values. They say where the kernel is, which helps an attack.
        text_bytes: the most bytes of a text, with its NUL: 8 to 4096. The ring has room for as many in each event.
            ``stats().truncated`` counts the events with a text that fills it.
        ring_bytes: size of the kernel's ring buffer, in bytes: a power of two and a multiple of the page size.
        queue_bytes: how much may wait in this process before records are left in the ring, in bytes: a positive
            multiple of 64 KiB.
        sudo: where this process lacks the privilege, have a helper load and attach under sudo(8), as :class:`Tracer`
            does.
        broker: the path of the socket of a broker, who loads and attaches, as for :class:`Tracer`. The fields lead to
            most of the kernel's memory, so a broker does that only with ``--allow all --allow-raw-tracepoints``.

    Raises:
        ValueError: the kernel has no such tracepoint, argument or member, and the message has the nearest name; or a
            field is no value; or an argument is outside its rule.
        TypeError: an argument of the wrong type.
        PermissionError: CAP_BPF or CAP_PERFMON is missing; or sudo, or the broker, refuses.
        UnsupportedKernelError: the kernel has no BTF.
        LoadError: the kernel's verifier rejected the program; ``verifier_log`` has its reasons.
        MemoryError: this process has too little memory.
        OSError: descriptors, threads or the kernel's memory ran out.
    """

    def __new__(
        cls,
        name: str,
        fields: Iterable[str] | None = None,
        *,
        pid: int | Iterable[int] | None = None,
        pointers: bool = False,
        text_bytes: int = 256,
        ring_bytes: int = 4194304,
        queue_bytes: int = 67108864,
        sudo: bool = False,
        broker: str | PathLike[str] | None = None,
    ) -> RawTracepoint: ...
    def __enter__(self) -> RawTracepoint: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Closes it; in a forked child, does nothing."""
    def __iter__(self) -> RawTracepoint: ...
    def __next__(self) -> dict[str, Any]: ...
    def get(self, timeout: float | None = None) -> dict[str, Any]:
        """Gives the next event, as :meth:`Tracer.get` does, and raises the same.

        Args:
            timeout: seconds; ``None`` waits for ever, 0 does not wait for more than had happened.
        """
    def get_many(self, max_events: int = 4096, timeout: float | None = None) -> list[dict[str, Any]]:
        """Gives all events that had happened by the call, as :meth:`Tracer.get_many` does, and raises the same.

        Args:
            max_events: at least 1. A few thousand are fastest.
            timeout: seconds; ``None`` waits for ever, 0 does not wait for more than had happened.
        """
    def __aiter__(self) -> RawTracepoint: ...
    def __anext__(self) -> Coroutine[None, None, dict[str, Any]]: ...
    def aget(self, timeout: float | None = None) -> Coroutine[None, None, dict[str, Any]]:
        """:meth:`get`, for asyncio and trio, as :meth:`Tracer.aget`.

        Args:
            timeout: seconds, by the clock of the event loop.
        """
    def aget_many(
        self, max_events: int = 4096, timeout: float | None = None
    ) -> Coroutine[None, None, list[dict[str, Any]]]:
        """:meth:`get_many`, for asyncio and trio, as :meth:`Tracer.aget_many`.

        Args:
            max_events: at least 1.
            timeout: as in :meth:`aget`.
        """
    def batch(self, max_rows: int = 65536, timeout: float | None = None) -> Batch:
        """Gives all events that had happened by the call as columns, as :meth:`Tracer.batch` does, and raises the same.

        A number has a column of its own width and sign, an enumeration one of a dictionary's texts, bytes one of
        binary, an array of integers one of lists. A text has two, as in a tracer's batch.

        Args:
            max_rows: at least 1.
            timeout: seconds; ``None`` waits for ever, 0 does not wait for more than had happened.
        """
    def to_arrow(self, duration: float | None = None, max_rows: int = 1048576) -> Batch:
        """Takes all that happens within a time, as columns, as :meth:`Tracer.to_arrow` does, and raises the same.

        Args:
            duration: seconds; ``None`` waits for the close, 0 takes what had happened.
            max_rows: at least 1.
        """
    def __arrow_c_schema__(self) -> object:
        """The schema of the batches: a capsule ``arrow_schema``."""
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The events from now on as a stream of batches, as that of :class:`Tracer`."""
    def stats(self) -> Stats:
        """The ledger now. Works after the close too, where it is final. ``name_faults`` counts the events with a field
        that could not be read."""
    def close(self) -> None:
        """Detaches the program and takes what is left out of the ring, as :meth:`Tracer.close` does."""
    def _flush(self, max_events: int, hurry: bool) -> tuple[int, int | None]:
        """See ``Tracer._flush``."""
    def _take(self, max_events: int, position: int) -> list[dict[str, Any]]:
        """See ``Tracer._take``."""
    @property
    def name(self) -> str:
        """The tracepoint."""
    @property
    def fields(self) -> tuple[str, ...]:
        """The keys of the fields in each event, in their order, without the seven that every event has."""
    @property
    def coverage(self) -> dict[str, Hook]:
        """``"raw_tracepoint"`` with its :class:`rawtp.Hook`, whose ``reason`` says where the kernel skips events."""
    @property
    def closed(self) -> bool:
        """True when nothing new will come."""
    def fileno(self) -> int:
        """A descriptor for select(2), poll(2) and epoll(7), as that of :meth:`Tracer.fileno`.

        Raises:
            ValueError: it is closed.
        """

@final
class CallCounter:
    """Counts system calls in the kernel. :class:`rawtp.Counts` has its documentation."""

    def __new__(
        cls,
        syscalls: Iterable[str] | None = None,
        *,
        by_process: bool = False,
        latency: bool = False,
        pid: int | Iterable[int] | None = None,
        follow: bool = False,
        uid: int | Iterable[int] | None = None,
        comm: str | Iterable[str] | None = None,
        cgroup: int | str | PathLike[str] | Iterable[int | str | PathLike[str]] | None = None,
        exclude_self: bool = True,
        max_rows: int = 65536,
        sudo: bool = False,
        broker: str | PathLike[str] | None = None,
        _from_exec: bool = False,
    ) -> CallCounter: ...
    def read(self) -> tuple[float, int | None, int, str | None, list[_CountCells]]:
        """The seconds since the start; runs that the kernel skipped, if that is known; processes that are not followed;
        the reason why a broker has ended it, if one has; and the rows, as cells: syscall, abi, pid, comm, calls,
        errors, errnos, total_ns, max_ns, histogram.

        Raises:
            RuntimeError: in a forked child.
        """
    def close(self) -> None:
        """Stops counting. What was counted can still be read. May be called again."""
    @property
    def closed(self) -> bool:
        """Whether it is closed."""

@final
class Recorder:
    """Records the events of a tracer into a directory, until it or the tracer is closed.

    It takes over the reading of the tracer: from then on iteration, :meth:`Tracer.get` and the like raise RuntimeError.
    :meth:`Tracer.stats`, :attr:`Tracer.coverage` and :meth:`Tracer.close` work as before.

    Two threads work for it, and no Python object is made for any event. The writer reads the tracer at least every
    ``sync_s`` seconds, appends the events to a log and has the kernel write it to the disk (fdatasync(2)). From then on
    they are acknowledged: no kill and no crash of the machine loses them, and none of them appears twice. The sealer,
    at nice 19, turns each finished log into Parquet files and removes what is too old. The layout is in
    ``docs/reference/history-layout.md``.

    At its start it recovers what a recorder before it left in the directory: it seals logs, moves damaged files to
    ``quarantine/``, and writes down the gap in which nothing was watched.

    The directory is held open. Where it is moved, the recording goes on into it, and nothing is written to what takes
    its place, be it a symbolic link.

    When the disk is full or fails, events are kept in memory, up to ``memory_bytes``. What finds no room there is
    counted, and written down as a loss once that is possible. The recorder goes on trying.

    Args:
        tracer: an open tracer, made with ``fields`` that have ``"ts_ns"``, ``"cpu"``, ``"seq"``, ``"lost"`` and
            ``"via"``. What it watches, and the fields that it has, are what is recorded.
        directory: where to record. It is made, with mode 0750, when it does not exist; its parent must exist.
        session: a JSON object that is written into the journal at the start: who records what, for those who read it.
        sync_s: seconds until an event is acknowledged, at the latest: 0.01 to 60.
        segment_bytes: a log of this size, or of eight times as much before its compression, is finished and sealed:
            64 KiB to 1 GiB. While sealing the recorder takes about ten times as much memory.
        segment_s: a log that is this many seconds old is finished and sealed: 0.1 to 86,400.
        max_bytes: the bytes that sealed files may take in all. The oldest are removed first. ``None`` has no bound.
        max_age_s: sealed files whose events are all older than this are removed. ``None`` has no bound.
        memory_bytes: the bytes that may wait in memory while the log cannot be written, at least 1 MiB.
        redact_argv: whether to leave out the arguments of all processes: ``argv``, ``parent_argv`` and those in
            ``ancestors`` are ``None``.
        heartbeat: a path. Calls of this very process that name it are counted in :meth:`status`, and not recorded.

    Raises:
        BlockingIOError: another recorder records into the directory.
        OSError: the directory cannot be written.
        ValueError: an argument outside its rule, a tracer without the fields, or a closed one; ``session`` is no JSON
            object.
        TypeError: an argument of the wrong type.
        RuntimeError: another recorder or a reader has this tracer, or it belongs to the parent of a fork.
    """

    def __new__(
        cls,
        tracer: Tracer,
        directory: str | PathLike[str],
        *,
        session: str | bytes = "{}",
        sync_s: float = 1.0,
        segment_bytes: int = 16777216,
        segment_s: float = 3600.0,
        max_bytes: int | None = None,
        max_age_s: float | None = None,
        memory_bytes: int = 67108864,
        redact_argv: bool = False,
        heartbeat: str | bytes | PathLike[str] | None = None,
    ) -> Recorder: ...
    @property
    def recovered(self) -> dict[str, Any]:
        """What was found at the start:

        * ``first`` (bool): nobody has recorded here before.
        * ``logs`` (int): logs that are sealed now.
        * ``sealed_logs`` (int): logs that had been sealed already, and are removed.
        * ``torn_bytes`` (int): bytes at the end of logs that were never acknowledged, and are left out.
        * ``quarantined`` (list of str): damaged files, by their names in ``quarantine/``.
        * ``gap`` (tuple of two int, or None): the Unix times in ns between which nothing was watched.
        * ``journal_damaged_lines`` (int): lines of the journal that cannot be used.
        """
    def status(self) -> dict[str, Any]:
        """How the recording goes. Works after the close too. All counts are those of this recorder, unless they say
        "in the directory". Times are Unix times in ns.

        * ``running`` (bool), ``session`` (int): the number of this session, which is the time of its start.
        * ``events`` (int): read from the tracer. ``acknowledged`` (int): of them, in the log and on the disk.
          ``in_memory`` (int): of them, waiting. ``dropped`` (int): of them, lost because neither log nor memory had
          room.
        * ``last_ack_ns`` (int or None): when something was acknowledged last. ``last_event_ns`` (int or None): the time
          of the latest event. ``through_ns`` (int): all calls that had ended by then are recorded, or counted as lost.
        * ``heartbeats`` (int), ``last_heartbeat_ns`` (int or None): see ``heartbeat``.
        * ``lost`` (int): lost events. The journal has them as soon as it can be written. ``gaps`` (int): gaps written
          by this recorder.
        * ``wal_files``, ``wal_bytes`` (int): logs in the directory that are not sealed yet.
        * ``segments``, ``segment_bytes`` (int): sealed files in the directory.
        * ``sealed``, ``expired``, ``quarantined`` (int): files.
        * ``errors`` (int), ``last_error`` (str or None): failures to write, whether they have passed or not.
          ``failing`` (bool): the last attempt to write the log failed, and events wait in memory or the journal lacks
          the dropped ones. ``merged_lines`` (int): how many fewer lines the journal gets because it could not be
          written for so long that losses and gaps of one kind were merged. Their sums stay exact.
        * ``directory`` (str): ``"here"``, its name leads to the directory; ``"moved"``, the name leads elsewhere or
          nowhere, and the recording goes on into the directory; ``"removed"``, the directory is gone, or the lock or
          the journal in it, and nothing can be written any more. It is looked at every ``sync_s`` seconds.
        """
    def _open_directory(self) -> int:
        """A new descriptor of the directory that is recorded into, whatever has its name by now. The caller closes it.

        Raises:
            OSError: the process has no descriptor left.
            ValueError: the recorder is closed.
        """
    def _new_containers(self) -> list[tuple[str | None, str | None]]:
        """The containers whose first event came since the last call, and once a day all that have events: the ids of
        each and of its pod. At most 1,024; the others come with later events."""
    def _set_silent(self, since_ns: int) -> None:
        """Has the time since this Unix time in ns written down as a gap, up to the next heartbeat that comes back."""
    def sync(self, timeout: float | None = None) -> None:
        """Has everything that had happened by the call acknowledged. It waits until then.

        Raises:
            TimeoutError: it took more than ``timeout`` seconds.
            OSError: the log cannot be written now, and the events wait in memory; or losses cannot be written into the
                journal, and wait to be. ENOENT when the directory was removed, which does not pass. ENOMEM when there
                is no memory to read events: they wait in the queue, or are counted as discarded.
            ValueError: the recorder is closed.
        """
    def seal(self, timeout: float | None = None) -> None:
        """Finishes the log and seals it now. It waits until then. Raises as :meth:`sync`.

        Raises:
            OSError: besides, a log cannot be sealed now. It stays, nothing in it is lost, and it is tried again.
        """
    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the recorder has stopped: it or its tracer was closed. False after ``timeout`` seconds.

        Raises:
            RawtpError: the tracer's drain thread or the writer gave up, which is a defect. Raised once.
            KeyboardInterrupt: or whatever a signal's handler raises.
        """
    def close(self) -> None:
        """Closes the tracer, records what is left, seals the log and ends the threads. May be called again.

        What cannot be sealed or removed now is for the next recorder. Nothing that was acknowledged is lost.

        Raises:
            OSError: events in memory could not be written, and are counted as dropped; or losses could not be written
                into the journal.
            RuntimeError: in a forked child.
        """
    def __enter__(self) -> Recorder: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Closes the recorder; in a forked child, does nothing."""

@final
class HistoryBatch:
    """Recorded events as columns, by Arrow's PyCapsule interface. ``len()`` is how many.

    The columns are those of :class:`HistoryScan`.
    """

    def __len__(self) -> int: ...
    def to_dicts(self) -> list[dict[str, Any]]:
        """The events as dicts, with the keys and values of :class:`rawtp.Event` as far as the batch has their columns,
        and ``session`` and ``host``. A key that was not recorded is ``None``."""
    def _dicts(self, first: int, count: int) -> list[dict[str, Any]]:
        """So many of them, from that one on."""
    def _slice(self, first: int, count: int) -> HistoryBatch:
        """So many of them, from that one on, as columns."""
    def _metadata(self) -> dict[str, str]:
        """The metadata of the schema: ``rawtp:session``, ``rawtp:host``, ``rawtp:machine_id``, ``rawtp:boot_id`` and
        ``rawtp:schema_version``, where the batch is of one log or sealed file."""
    def __arrow_c_schema__(self) -> object:
        """A capsule ``arrow_schema``."""
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """Capsules ``arrow_schema`` and ``arrow_array``."""
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A capsule ``arrow_array_stream``, of one array."""

@final
class HistoryFile:
    """A sealed file whose content is as the journal says. See :meth:`HistoryReader._sealed`."""

    def read(self, first: int, count: int) -> HistoryBatch | None:
        """So many rows, from that one on, in the order of the file. ``None`` behind the last one.

        Raises:
            RawtpError: the file cannot be decoded.
            OSError: it cannot be read.
        """
    def content(self) -> bytes:
        """All bytes of the file.

        Raises:
            RawtpError: the checksum differs.
            OSError: it cannot be read.
        """

@final
class TextReader:
    """Reads a tracer's events as text, without a dict for each: the bytes that ``rawtp.formats`` makes of the same
    events.

    Args:
        tracer: the tracer, which must have been asked for the fields.
        format: ``"jsonl"``, with a line for each loss, or ``"csv"``, without the header.
        fields: the keys of a line, in this order.
        utc: with the time of day as ``time``, in UTC or in local time; ``None``: without.

    Raises:
        ValueError: no such format, the tracer does not have one of the fields, or there are none.
    """

    def __new__(
        cls,
        tracer: Tracer,
        format: Literal["jsonl", "csv"],  # noqa: A002 - the field's word
        fields: Iterable[str],
        utc: bool | None = None,
    ) -> TextReader: ...
    def read(self, max_events: int = 4096, timeout: float | None = None) -> tuple[bytes, int, int]:
        """Take up to ``max_events`` events, or about 256 KiB of text. Waits as :meth:`Tracer.get_many` does.

        Returns:
            The lines, the number of events, and the number of those that were lost before them.

        Raises:
            ValueError, RawtpError: as :meth:`Tracer.get_many`.
        """

@final
class HistoryScan:
    """The events that a :meth:`HistoryReader.scan` finds, read as they are asked for. An iterator of
    :class:`HistoryBatch`, and an Arrow stream, which takes what iteration has left.

    Iteration raises RawtpError for a damaged file, once, and goes on behind it. The stream leaves such files out;
    :attr:`damaged` names them.
    """

    def __iter__(self) -> HistoryScan: ...
    def __next__(self) -> HistoryBatch: ...
    @property
    def damaged(self) -> list[str]:
        """The files that could not be read so far, relative to the directory."""
    def __arrow_c_schema__(self) -> object:
        """A capsule ``arrow_schema``."""
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A capsule ``arrow_array_stream``."""

@final
class HistoryReader:
    """Reads what a :class:`Recorder` has recorded, also while it records. It takes no lock and writes nothing, so it
    needs no privilege but to read the files.

    Args:
        directory: the directory of a recorder.

    Raises:
        FileNotFoundError: it does not exist, or nobody has recorded there.
        PermissionError: this user may not read it.
        OSError: it cannot be read.
    """

    def __new__(cls, directory: str | PathLike[str]) -> HistoryReader: ...
    def scan(
        self,
        columns: Sequence[str] | None = None,
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        path: bytes | None = None,
        under: bytes | None = None,
        glob: bytes | None = None,
        pid: Sequence[int] | None = None,
        uid: Sequence[int] | None = None,
        comm: Sequence[str] | None = None,
        container: Sequence[str] | None = None,
        syscall: Sequence[str] | None = None,
        action: Sequence[str] | None = None,
        outcome: Literal["any", "ok", "failed"] = "any",
        limit: int | None = None,
        newest_first: bool = False,
    ) -> HistoryScan:
        """Finds events. All filters that are given must hold; of a list any value will do.

        The events of one file come by their time, the files one after the other: a call that took long can come after
        later ones of the file before.

        Args:
            columns: their names, in the order that is wanted; ``None`` is all. Those of an event's keys, with
                ``ts`` (timestamp in microseconds, UTC) before ``ts_ns`` (int64), ``KEY_bytes`` for text that is made of
                bytes, ``session`` and ``host``.
            since_ns: Unix time in ns of the earliest event.
            until_ns: Unix time in ns that all events are before.
            path: an absolute path. Events that have it as one of ``real_path``, ``new_real_path``, ``path`` and
                ``new_path``.
            under: a directory: the same for the paths below it, and itself.
            glob: a glob of absolute paths: the same for what it matches, and all below.
            pid: processes.
            uid: real, effective or file-system user ids.
            comm: names of threads; ``"rm*"`` is all that begin so.
            container: container ids, or beginnings of them.
            syscall: names of system calls.
            action: ``"delete"``, ``"rmdir"``, ``"rename"``, ``"truncate"`` and so on.
            outcome: ``"ok"``: what did not fail, or is not known to have; ``"failed"``: what did.
            limit: the number of events at which it ends.
            newest_first: begin with the latest.

        Raises:
            ValueError: an unknown column, a path that is not absolute, a limit below 1.
            OSError: the directory cannot be read.
        """
    def _journal(self, offset: int) -> tuple[list[str], int]:
        """The undamaged lines of the journal from an offset on, and the offset to go on at."""
    def _acknowledged(self, session: int) -> tuple[int, int] | None:
        """The number of a session's current log, and the bytes of it that are acknowledged."""
    def _first_batch(self, session: int, number: int) -> int | None:
        """The number of the first batch of a log. ``None`` when it is not there, or its beginning is not whole."""
    def _log(
        self,
        session: int,
        number: int,
        offset: int,
        first_batch: int,
        *,
        end: int | None = None,
        end_batch: int | None = None,
    ) -> tuple[HistoryBatch, int, int] | None:
        """The next batch of a log, its number, and the offset behind it: from ``offset`` and the batch ``first_batch``
        on, below the offset ``end`` and before the batch ``end_batch``. ``None`` when there is none yet.

        Raises:
            FileNotFoundError: the log is gone: it is sealed.
            RawtpError: its beginning is damaged.
            OSError: it cannot be read.
        """
    def _sealed(self, description: str) -> HistoryFile:
        """Opens a sealed file, which is described as in the journal.

        Raises:
            FileNotFoundError: retention has removed it.
            RawtpError: it is damaged.
            ValueError: not a description.
            OSError: it cannot be read.
        """
    def who(
        self,
        path: bytes,
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        limit: int | None = None,
        failed: bool = False,
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """Finds what happened to the name, or to the content behind it, the latest first; and says what is wrong with
        each damaged file, which is left out.

        The dicts are those of :meth:`HistoryBatch.to_dicts`, with two keys more. ``name`` (str) is the path that the
        event is here for. ``relation`` (str) says why:

        * ``"path"``: it was done to the path itself.
        * ``"above"``: a directory above the path was removed, renamed or replaced.
        * ``"before"``: the file came to this name by a rename; this happened to it under an earlier name.
        * ``"after"``: the file left this name by a rename; this happened to it under a later name.

        Args:
            path: absolute, without ``.``, ``..`` and double slashes.
            since_ns: as for :meth:`scan`.
            until_ns: as for :meth:`scan`.
            limit: the most events; ``None`` has no bound.
            failed: whether to give what failed as well.

        Raises:
            ValueError: the path is not absolute, or the limit below 1.
            OSError: the directory cannot be read.
        """
    def gaps(self, since_ns: int | None = None, until_ns: int | None = None) -> list[dict[str, Any]]:
        """The stretches of time in which nothing was watched, the earliest first: between the first session and now.

        * ``from_ns`` (int), ``to_ns`` (int or None): ``None`` when nothing is watched now.
        * ``reason`` (str): ``"closed"``: the recorder was closed before; ``"died"``: it ended without; ``"silent"``:
          its heartbeat did not come back; ``"damaged"``: what was recorded cannot be read; ``"stopped"``: nothing is
          recorded now.
        * ``session`` (int or None): the session after it.
        """
    def losses(self, since_ns: int | None = None, until_ns: int | None = None) -> list[dict[str, Any]]:
        """The losses, the earliest first.

        * ``from_ns``, ``to_ns`` (int): when. ``count`` (int): how many events.
        * ``kind`` (str): ``"ring"``: the kernel's ring buffer was full; ``"memory"``: the log could not be written for
          too long; ``"discarded"``: no memory to read them; ``"missed"``: the kernel skipped a program.
        * ``cpu`` (int or None), ``via`` (str or None): where, as far as that is known.
        * ``session`` (int).
        """
    def sessions(self) -> list[dict[str, Any]]:
        """The sessions, the earliest first: ``session`` (int), ``start_ns`` (int), ``through_ns`` (int): up to when it
        watched, as far as is known; ``closed`` (bool); ``host``, ``boot_id``, ``machine_id`` (str); ``info`` (str): the
        JSON object that the recorder was given."""
    def coverage(self) -> list[tuple[int, int]]:
        """The stretches of time that were watched, as Unix times in ns, the earliest first. Adjacent ones are one.
        Those whose events were removed because they were too old are not among them."""
    def is_recording(self) -> bool:
        """Whether a recorder records into the directory now."""
    def stats(self) -> dict[str, Any]:
        """``segments``, ``segment_bytes``, ``wal_files``, ``wal_bytes``, ``events`` (sealed), ``first_ns``,
        ``last_ns`` (int or None; of what is sealed), ``quarantined``, ``expired``, ``journal_lines``,
        ``journal_damaged_lines`` (int)."""
    def verify(self) -> list[str]:
        """Reads everything, and names the damaged files, relative to the directory. Takes a second for about 1 GB.

        Raises:
            OSError: the directory cannot be read.
        """

def escape(path: str | PathLike[str]) -> str:
    r"""A pattern for ``Tracer(path=...)`` that means this very path, whatever is in its name.

    ::

        >>> rawtp.escape("/x/[2024] photos")
        '/x/\[2024] photos'

    Raises:
        TypeError: the path is neither a str nor an os.PathLike.
    """

def _open_in(root: str, path: str, flags: int) -> int:
    """Open a path below a directory that stays its root, whatever links it has (openat2(2)), with flags of open(2).

    Raises:
        OSError: as open() does.
    """

def _host_path(root: str, path: str) -> str | None:
    """The host's path of a path of this process's mount namespace, without symbolic links; None where it has none.

    The last components need not exist. ``root`` is as for :class:`Tracer`.

    Raises:
        ValueError, OSError: as :class:`Tracer` does for ``root``.
    """

def _set_late(find: Callable[[str], Callable[..., Any]]) -> None:
    """Hands in the functions of Python that the extension calls, by name."""

def _stats(counters: dict[str, int | None]) -> Stats:
    """A ledger out of the counters of another, for pickle. Raises ValueError for those of another version."""

def _syscall_number(name: str, abi: str) -> int | None: ...
def _syscall_arguments(name: str, abi: str) -> list[tuple[str, str]] | None: ...
def _syscall_registers(name: str, abi: str) -> int | None: ...
def _syscall_name(number: int, abi: str) -> str | None: ...
def _count_columns(rows: list[_CountCells]) -> Batch: ...
def _bucket_bounds() -> tuple[int | None, ...]: ...
def _tracepoints() -> list[tuple[str, str | None, dict[str, str]]]: ...
def _load(
    *,
    syscalls: Iterable[str],
    are_all: bool,
    when: str,
    buffers: int,
    results: bool,
    fields: Iterable[str],
    pid: Iterable[int] | None,
    follow: bool,
    from_exec: bool,
    uid: Iterable[int] | None,
    comm: Iterable[str] | None,
    cgroup: Iterable[int] | None,
    path: Iterable[str] | None,
    hook: str,
    ring_bytes: int,
    without: int | None,
    owner: int | None,
    tell_cgroups: bool,
) -> _LoadedFds:
    """Loads and attaches for another process, as :class:`Tracer` does for its own; ``are_all``: numbers that no table
    has are watched, too; ``from_exec``: ``pid`` is the launcher of a command, whose calls before it executes that are
    left out; ``without``: the other process's pid, to leave it out; ``owner``: the user whose calls alone are seen, if
    there is one; ``tell_cgroups``: whether it may learn which cgroups come and go, whoever they belong to. Gives how
    many slots the counters have; the coverage; and descriptors, which are the caller's to close: ring, counters and
    live configuration; links; programs."""

def _load_counts(
    *,
    syscalls: Iterable[str],
    are_all: bool,
    latency: bool,
    pid: Iterable[int] | None,
    follow: bool,
    from_exec: bool,
    uid: Iterable[int] | None,
    comm: Iterable[str] | None,
    cgroup: Iterable[int] | None,
    without: int | None,
    owner: int | None,
) -> _LoadedFds:
    """Does the same for :class:`CallCounter`: the possible CPUs; no coverage; and descriptors: the counts of calls, of
    errors, and of times if they are measured; links; programs."""

def _load_raw_tracepoint(
    *,
    name: str,
    fields: Iterable[str] | None,
    pid: Iterable[int] | None,
    pointers: bool,
    text_bytes: int,
    ring_bytes: int,
) -> _LoadedFds:
    """Does the same for :class:`RawTracepoint`."""

def _counts_bytes(latency: bool) -> int:
    """A bound on the kernel's memory that :class:`CallCounter` takes without ``by_process``, in bytes."""

def _load_rejected() -> None:
    """Loads the guide's program that the verifier refuses. Always raises: :class:`LoadError` where BPF works."""

def _overlaps() -> bool:
    """Tell whether this kernel has CVE-2024-41009, by which the reader of a ring can reach memory of others."""

def _meters(programs: list[int]) -> tuple[list[int], int]:
    """The kernel's text about each program, opened, for a broker to hand out: ``recursion_misses`` in it tells how
    often the program was skipped. And a descriptor that ends it: once that is closed, the texts cannot be read any
    more, and never tell of another program."""

def _list_maps() -> int:
    """The descriptor of a program that lists the BPF maps of the host: for :func:`_map_ids`. Raises what
    :class:`Tracer` raises."""

def _map_ids(iterator: int) -> list[int]:
    """The ids of all BPF maps that are in use by anybody."""

def _map_id(descriptor: int) -> int:
    """The id of a BPF map."""

def _attempts(ring_bytes: int) -> list[tuple[str, int]]:
    """The steps to a tracer, ``"bpf"``, ``"ring_buffer"``, ``"raw_tp_load"`` and, when that went well,
    ``"raw_tp_attach"``; and the ``errno`` of each, 0 of one that went well. See :func:`rawtp.check`."""

def _verifier_reason(log: str) -> str | None:
    """The line of a verifier's log that says why."""

def _cost(
    seconds: float, make: Callable[[], Tracer]
) -> tuple[
    int,
    list[tuple[str, tuple[float, float, float] | None, tuple[float, float, float] | None, int, int, str | None]],
    list[str],
]:
    """The rounds; the rows: key, ns, spread and ratio of the call that does not match, the same of the one that does,
    records, lost, reason; and what else hooks system calls. See :func:`rawtp.cost`."""
