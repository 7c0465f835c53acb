"""The shape of an event: the dict that a :class:`rawtp.Tracer` yields."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class _AllFields(TypedDict):
    """The keys of an event that are there by default."""

    ts_ns: int
    """Unix time of the call's entry, in nanoseconds (``CLOCK_REALTIME``); of its return, when the entry was not seen:
    the call began before the tracer, or seccomp refused it, which comes before the tracepoint."""
    duration_ns: int | None
    """Nanoseconds from the call's entry to its return; ``None`` when one of them was not seen."""
    cpu: int
    """The CPU that ran the call's entry; its return, when the entry was not seen."""
    seq: int
    """Position among this CPU's events of the same ``via``, from 1, without gaps; an event that is lost keeps its
    number. It is given at the call's entry. An event comes when its call has ended: those of one thread in their
    order, but one that took long can come after higher numbers of its CPU. With ``results=False`` it always rises."""
    lost: int
    """Events of the same ``via`` lost on this CPU just before this one; at 4,294,967,295 it counts no further."""
    pid: int
    """Process id (the kernel's thread group id) in the host's pid namespace."""
    tid: int
    """Thread id in the host's pid namespace."""
    ppid: int
    """Process id of the parent at the time of the call; 0 for init and the kernel's own."""
    uid: int
    """Real user id, in the host's user namespace."""
    gid: int
    """Real group id, in the host's user namespace."""
    comm: str
    """The thread's command name, at most 15 bytes (``prctl(2)``, ``PR_SET_NAME``)."""
    parent_comm: str
    """The command name of the parent process, that is of its first thread, as ``/proc/PID/comm`` and ``ancestors`` have
    it: not of the thread that made the child."""
    exe: str | None
    """The executable's path, as the process sees it and as ``/proc/PID/exe`` shows it at the time of the call.
    ``" (deleted)"`` stands behind the path of a file that was deleted or replaced since. It also stands behind one that
    never was in a directory: ``"/memfd:name (deleted)"`` (``memfd_create(2)``). A file's own name may end like that:
    here as in ``/proc`` nothing tells the two apart. After a rename of a directory above it the path can be the one
    before, until the next exec. ``None`` for a kernel thread, or where the path's beginning is not known."""
    argv: tuple[str, ...] | None
    """The arguments, as they are in the process's memory at the time of its first event since its last exec, up to
    1,023 bytes; ``None`` when that cannot be read."""
    argv_truncated: bool | None
    """True when there are more, or longer, arguments than ``argv`` has."""
    euid: int
    """Effective user id, in the host's user namespace."""
    fsuid: int
    """File-system user id, in the host's user namespace: the one that the kernel checks when it opens or deletes a
    file. It is ``euid``, unless a server sets it to act for a user (``setfsuid(2)``)."""
    fsgid: int
    """File-system group id, likewise."""
    auid: int | None
    """The user who logged in: audit's login uid, which survives sudo; ``None`` when nobody did (a service)."""
    session_id: int | None
    """Audit's login session; ``None`` when there is none."""
    start_ns: int
    """Unix time at which the process started, in nanoseconds: (``pid``, ``start_ns``) names a process for ever."""
    ns_pid: int
    """The process id in the innermost of the process's pid namespaces: what it sees itself, in a container."""
    pid_ns: int
    """The innermost of the process's pid namespaces (the inode number in ``/proc/PID/ns/pid``)."""
    mnt_ns: int
    """The mount namespace (the inode number in ``/proc/PID/ns/mnt``)."""
    cgroup_id: int
    """The cgroup v2 of the process: the inode number of its directory. 1, the root, on hosts with cgroup v1 only."""
    container_id: str | None
    """The container, by its cgroup's name, of version 1 (memory, pids, devices or cpu) where that is mounted, else of
    version 2: docker's, containerd's, podman's, CRI-O's, BuildKit's, ECS's id; Garden's handle; the name of an LXC or
    nspawn one; ``ALLOCATION.TASK`` of Nomad. The kernel reports each cgroup when it is made and when its last process
    leaves it, so that it can be gone when the event is read. ``None`` if it was gone and
    ``stats().lost_cgroups`` is not 0, or :attr:`Tracer.coverage` says that nothing is reported. It is a claim: whoever
    may make cgroups may name them as they like."""
    pod_id: str | None
    """The Kubernetes pod's uid, or podman's pod id; by the cgroup's name, too."""
    unit: str | None
    """systemd's innermost unit that is not a slice, ``"nginx.service"``; by the cgroup's name, too."""
    syscall: str | None
    """The system call's name: ``"unlinkat"``. With ``syscalls="all"`` also ``"syscall_0x3e7"``, for a number that no
    table has. ``None`` where there is no call (``via="kernel"``)."""
    abi: str
    """The table that the call came through: ``"x86_64"``, ``"i386"``, ``"x32"``, ``"aarch64"`` or ``"arm"``."""
    via: Literal["syscall", "io_uring", "kernel"]
    """The way on which the call reached the kernel. A request of io_uring's has the name of the system call that does
    the same (``io_uring_enter(2)``); its entry is its submission, its return its completion. ``tid`` is the thread that
    submitted it: with ``IORING_SETUP_SQPOLL`` one of the kernel's, whose ``comm`` is the process's here.
    ``"kernel"`` is no call at all: one of the kernel's own threads did it, such as a server of NFS (``comm`` is
    ``"nfsd"``) or SMB (``"kworker/…"``), for whoever asked it to. Such an event has no names as passed, only
    ``real_path``. Its ``ret`` is that of the function that does the work, and ``None`` for a truncation."""
    action: Literal["delete", "rmdir", "rename", "truncate", "punch", "zero", "collapse"] | None
    """The loss that was asked for; ``None`` for a call that makes nothing go. ``"delete"`` removes a name: that of a
    file, of a message queue, or of a btrfs subvolume with all that is in it. ``"rmdir"``: rmdir(2), and unlinkat(2)
    with ``AT_REMOVEDIR``. ``"rename"`` may delete what had the new name. ``"truncate"`` cuts a file off. The others
    take a range of a file's content (``range_start``, ``range_length``): ``"punch"`` makes a hole there, ``"zero"``
    writes zeros, ``"collapse"`` moves up what comes after it."""
    dfd: int | None
    """The descriptor as passed (``AT_FDCWD`` is -100): of the directory that a name is relative to, of the file
    itself, or of open_by_handle_at(2)'s mount. ``None`` for calls that have none, and for io_uring's ``FALLOCATE``
    before Linux 5.19, which keeps only the file."""
    flags: int | None
    """The flags as passed, of fallocate(2) the mode, of ioctl(2) the command; ``None`` for calls that have none, and
    for an openat2 whose ``struct open_how`` could not be read, which may then truncate or not.
    :func:`rawtp.syscalls.flag_names` decodes them."""
    range_start: int | None
    """The offset in the file at which the range begins that fallocate(2), or an ioctl(2) that does the same, was asked
    to take; negative ones, which the kernel refuses, as passed. ``None`` for other calls, and for an ioctl whose range
    could not be read or does not count from the file's beginning (``l_whence``)."""
    range_length: int | None
    """The length of that range in bytes, as passed; ``None`` where ``range_start`` is. A hole ends at the file's end,
    so less may be lost."""
    filename: str | None
    """The name as passed: a message queue's without its slash, as libc passes it. ``None`` when it could not be read
    (see ``name_status``), and for calls on a descriptor or a handle."""
    new_filename: str | None
    """A rename's new name as passed; ``None`` for other calls."""
    path: str | None
    """The path of ``filename`` when the call began: absolute, as the process sees it. What it is relative to was looked
    up in the kernel; the rest is lexical: ``.``, ``..`` and ``//`` are taken out, symbolic links in the passed name
    are not followed."""
    new_path: str | None
    """The path of ``new_filename``, in the same way."""
    path_kind: Literal["absolute", "cwd", "dirfd", "partial"] | None
    """The base of ``path``: the name was absolute; relative to the working directory; relative to a descriptor (or that
    one's own). ``"partial"``: not to be trusted as a whole. Its beginning is not known, and then it has no leading
    slash: it is longer than 4,096 bytes, in a mount that is attached nowhere (``umount -l``, ``open_tree(2)``), or
    directories above it were renamed each time that it was looked up. Or its end did not fit, or the directory itself
    is deleted, or it is the directory in which an io_uring request was submitted: the kernel resolves a relative name
    when the request runs. Of a rename, also when that is so of ``new_path`` alone. ``None``: no path, for a bad
    descriptor, an unreadable or empty name, a file without a name (a memfd), a handle (open_by_handle_at(2)), a btrfs
    subvolume by its number, a message queue (whose file system may be mounted anywhere or nowhere, and which no filter
    by path lets through), or a process that works outside its own root."""
    host_path: str | None
    """The path from the root of the process's mount namespace, where that differs: in a chroot. ``None`` also where it
    is not known, as of a root that is in a mount attached nowhere."""
    real_path: str | None
    """The path of the file that the kernel worked on: absolute on this host, through all symbolic links and mounts. A
    symbolic link as the last component is itself, but for a call that follows it, as a truncation does. Of an open it
    is what was opened. ``None`` where it is not known, where the call reached no file, and for a file that no mount of
    this host shows. With ``root`` it is absolute on the host whose root is mounted there."""
    new_real_path: str | None
    """The new path of a renamed file, in the same way; of an exchange, the path of the other file."""
    real_path_by: Literal["kernel", "lookup"] | None
    """``"kernel"``: from the directory entry that the call was about, or from the opened file. ``"lookup"``: looked up
    in user space when the event was read, which is right unless directories or links on the path were changed since
    the call."""
    dev: int | None
    """The file system of the file (``st_dev`` of stat(2)). Of btrfs it is the file system's own number, not that of a
    subvolume. Like the keys up to ``mtime_ns`` it tells of the file itself, before the call; ``None`` where the
    kernel's own functions cannot be watched (:attr:`Tracer.coverage`, ``"truth"``), but for files that the call has
    opened."""
    ino: int | None
    """The inode number. File systems use it again at once: with ``generation`` it is unique."""
    generation: int | None
    """The generation of the inode number (``FS_IOC_GETVERSION``); 0 on file systems that have none."""
    nlink: int | None
    """The number of hard links: 1 when this name was the last."""
    size: int | None
    """The size in bytes; ``None`` also for a file that was emptied when it was opened."""
    mode: int | None
    """Type and permissions, as ``st_mode`` of stat(2)."""
    file_type: str | None
    """The type in words: ``"file"``, ``"directory"``, ``"symlink"``, ``"fifo"``, ``"socket"``, ``"character device"``
    or ``"block device"``."""
    owner: int | None
    """The user id of the owner."""
    mtime_ns: int | None
    """The time of the last change of the content: Unix time in nanoseconds."""
    replaced: bool | None
    """Whether a rename replaced another file, whose content or last name is gone with it. ``None`` where that is not
    known, and for other calls."""
    replaced_ino: int | None
    """The inode number of the replaced file."""
    replaced_size: int | None
    """The size of the replaced file in bytes."""
    replaced_nlink: int | None
    """The number of hard links of the replaced file."""
    length: int | None
    """The size that a truncation asks for: what is beyond is lost. 0 for a file that is opened with ``O_TRUNC``."""
    exchange: bool
    """Whether a rename exchanges two files (``RENAME_EXCHANGE``): both names remain."""
    name_status: Literal["ok", "truncated", "fault"]
    """``"ok"``: the whole names; ``"truncated"``: the first 4,095 bytes of a longer one, which the kernel refuses with
    ENAMETOOLONG; ``"fault"``: a pointer could not be read."""
    ret: int | None
    """The value that the call returned: 0, or a negative errno; ``None`` when the return was not seen, as of a request
    with ``IOSQE_CQE_SKIP_SUCCESS``, or when there was none, as of a thread that seccomp killed."""
    errno: str | None
    """The errno's name, ``"ENOENT"``, when ``ret`` is negative; otherwise ``None``."""


# Two classes in place of NotRequired, which typing has from Python 3.11 on.
class Event(_AllFields, total=False):
    """One system call that makes a name or content go, or tried to, or a request of io_uring's that does.

    Every key that the tracer's ``fields`` name is there, by default :data:`rawtp.ALL_FIELDS`. ``None`` means *not
    known*, or that the call has none; it never stands for zero or for an empty name. ``str`` values made of the
    kernel's bytes use :func:`os.fsdecode`, so that they work in any ``os`` call.
    """

    ancestors: tuple[tuple[int, str, tuple[str, ...] | None], ...]
    """(process id, command name, arguments) of the process that forked this one, of the one that forked that, and so
    on, 16 at the most. A process that has ended stands there too, as it was when it forked, if it forked after the
    tracer began; of older ones it is the parent at the time of the call. The arguments are those that the process was
    executed with, up to 1,023 bytes, or that ``/proc`` had when the tracer began. They are ``None`` when they are not
    known: of a kernel's thread, when ``/proc`` does not show them to this user, when ``stats().lost_processes`` is not
    0, and behind a broker of another user's process. What processes run is kept of the last 16,384 forks and execs at
    the least, and of older processes for as long as they live.

    This key, and all below, is not among :data:`rawtp.ALL_FIELDS`: ask for it by name. With this one or ``parent_argv``
    the kernel reports every fork and exec of the host to the tracer."""
    parent_argv: tuple[str, ...] | None
    """The arguments of the parent, that is of ``ppid``; known as in ``ancestors``. Not among
    :data:`rawtp.ALL_FIELDS`."""
    cwd: str | None
    """The working directory when the call began, from the root of the process's mount namespace. ``None`` when it is
    deleted, when it is in a mount attached nowhere, and when it is longer than 4,096 bytes. Not among
    :data:`rawtp.ALL_FIELDS`."""
    user: str | None
    """The name of ``uid``, as the user database of this host has it when the event is read; ``None`` when it has none.
    The first event of a user waits for the answer (``getpwuid(3)``), which can take a directory service seconds;
    meanwhile no thread of this program runs. Up to 1,024 answers are kept for the life of the tracer. Not among
    :data:`rawtp.ALL_FIELDS`."""
    login: str | None
    """The name of ``auid``, in the same way: who logged in. Not among :data:`rawtp.ALL_FIELDS`."""
    freed: bool | None
    """Whether a file was freed in this very call, and its content with it: it lost its last link, and nothing else held
    it. ``False`` while the file is open or mapped anywhere; what ends that frees it, and is no event. ``None`` where it
    is not known: for a request of io_uring's, for a truncation, which frees content alone, and where
    :attr:`Tracer.coverage` says so. Not among :data:`rawtp.ALL_FIELDS`: ask for it by name. It costs a look at every
    inode that leaves the host's memory."""
    args: dict[str, Any] | None
    """The arguments of the call by the names of its man page. :func:`rawtp.syscalls.arguments` has them with their
    kinds. Names of flags and constants, paths, addresses (``"127.0.0.1:80"``, ``"[::1]:53"``, ``"@abstract"``),
    seconds; what the call fills in, such as the address of ``accept(2)``, is there as it was at the return. ``None`` in
    it is what could not be read, and what this call does not use. A path is as the process passed it. Of a program's
    environment nothing is read, and of buffers only what ``buffers=`` asks for. In batches it is a text of JSON, and
    :meth:`rawtp.Batch.table` has a column for each argument of a call. ``None`` for what is no call. Not among
    :data:`rawtp.ALL_FIELDS`: ask for it by name."""


class Hook(TypedDict):
    """The hook that sees a part of what a tracer covers: a value of :attr:`rawtp.Tracer.coverage`."""

    hook: str | None
    """The program's type, and the tracepoint or functions: ``"raw_tp/sys_enter"``, ``"fentry/security_path_*"``;
    ``None`` when nothing sees that part."""
    reason: str | None
    """The reason why nothing does, or why it is this hook; ``None`` where there is nothing to say."""
