"""Calls about processes, users and memory, with known arguments: each event has exactly those."""

from __future__ import annotations

import os
import signal
import struct
from errno import EBADF, ECHILD, EFAULT, EINVAL, ENOENT, ESRCH
from typing import TYPE_CHECKING

import pytest

from helpers.plans import ANY, Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

AT_FDCWD = -100


# One call is one line, or two: with one argument a line nobody could see the calls.
# fmt: off


def test_processes(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, status = plan, plan.put(bytes(16))
    last = ("child_tid", "tls") if p.abi == "x86_64" else ("tls", "child_tid")
    p.call("clone", signal.SIGCHLD, 0, 0, 0, 0, child=True, ret=ANY, flags=("SIGCHLD",), stack=0, parent_tid=0,
           **dict.fromkeys(last, 0))
    p.call("wait4", -1, status, 0, 0, ret=ANY, pid=-1, wstatus=0, options=(), rusage=0)
    args = p.put(struct.pack("<8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0))
    p.call("clone3", args, 64, child=True, ret=ANY, cl_args__flags=(), cl_args__exit_signal="SIGCHLD", size=64)
    p.call("waitid", 0, 0, p.put(bytes(128)), 4, 0, ret=0, idtype="P_ALL", id=0, infop__si_code="CLD_EXITED",
           infop__si_pid=ANY, infop__si_uid=os.getuid(), infop__si_status=0, options=("WEXITED",), rusage=0)
    p.call("clone3", 8, 64, error=EFAULT, cl_args__flags=None, cl_args__exit_signal=None, size=64)
    p.call("fork", child=True, ret=ANY)
    p.call("waitpid", -1, status, 2, ret=ANY, pid=-1, wstatus=0, options=("WUNTRACED",))
    if not p.is_compat:
        p.call("vfork", child=True, ret=ANY)
    p.call("wait4", 1, status, 1, 0, error=ECHILD, pid=1, wstatus=None, options=("WNOHANG",), rusage=0)
    path = p.text("gone/x")
    argv = p.longs(p.text("one"), p.text(b"two \xff"), p.text(""), 0)
    p.call("execve", path, argv, p.longs(p.text("SECRET=1"), 0), error=ENOENT, pathname="gone/x",
           argv=("one", "two \udcff", ""), envp=ANY)
    p.call("execveat", AT_FDCWD, path, argv, 0, 0x1000, error=ENOENT, dirfd=-100, pathname="gone/x",
           argv=("one", "two \udcff", ""), envp=0, flags=("AT_EMPTY_PATH",))
    p.call("execve", path, 0, 0, error=ENOENT, pathname="gone/x", argv=None, envp=0)
    missing = 0x3FFF_FFF0
    p.call("kill", missing, 9, error=ESRCH, pid=missing, sig="SIGKILL")
    p.call("kill", missing, 0, error=ESRCH, pid=missing, sig=0)
    p.call("tkill", missing, 15, error=ESRCH, tid=missing, sig="SIGTERM")
    p.call("tgkill", missing, missing, 34, error=ESRCH, tgid=missing, tid=missing, sig=34)
    p.call("rt_sigqueueinfo", missing, 10, 8, error=EFAULT, tgid=missing, sig="SIGUSR1", info=8)
    p.call("rt_tgsigqueueinfo", missing, 1, 10, 8, error=EFAULT, tgid=missing, tid=1, sig="SIGUSR1", info=8)
    p.call("pidfd_open", missing, 0, error=ANY, pid=missing, flags=())
    p.call("pidfd_send_signal", -1, 1, 0, 0, error=EBADF, pidfd=-1, sig="SIGHUP", info=0, flags=())
    p.call("pidfd_getfd", -1, 7, 0, error=EBADF, pidfd=-1, targetfd=7, flags=0)
    mask = p.put(struct.pack("<Q", 1 << 11))
    old = p.put(b"\xff" * 8)
    p.call("rt_sigprocmask", 0, mask, old, 8, ret=0, how="SIG_BLOCK", set=("SIGUSR2",), oldset=(), sigsetsize=8)
    p.call("rt_sigprocmask", 1, mask, 0, 8, ret=0, how="SIG_UNBLOCK", set=("SIGUSR2",), oldset=None, sigsetsize=8)
    p.call("rt_sigaction", 9, 8, 0, 8, error=EFAULT, signum="SIGKILL", act=8, oldact=0, sigsetsize=8)
    p.call("rt_sigtimedwait", mask, 0, p.longs(0, 1000), 8, error=11, set=("SIGUSR2",), info=0, timeout=1e-6,
           sigsetsize=8)
    p.call("rt_sigtimedwait_time64", mask, 0, p.put(struct.pack("<2Q", 0, 1000)), 8, error=11, set=("SIGUSR2",),
           info=0, timeout=1e-6, sigsetsize=8)
    p.call("rt_sigpending", 8, 8, error=EFAULT, set=8, sigsetsize=8)
    p.call("sigaltstack", 8, 0, error=EFAULT, ss=8, old_ss=0)
    for call in ("getpid", "getppid", "gettid", "getpgrp", "sched_yield"):
        p.call(call, ret=ANY)
    p.call("getpgid", missing, error=ESRCH, pid=missing)
    p.call("getsid", missing, error=ESRCH, pid=missing)
    p.call("setpgid", missing, 5, error=ANY, pid=missing, pgid=5)
    p.call("getpriority", 0, 0, ret=ANY, which="PRIO_PROCESS", who=0)
    p.call("setpriority", 7, 1, -5, error=EINVAL, which=7, who=1, prio=-5)
    p.call("sched_getscheduler", 0, ret=0, pid=0)
    p.call("sched_setscheduler", 0, 0x4000_0001, p.put(struct.pack("<i", -3)), error=EINVAL, pid=0,
           policy=("SCHED_FIFO", "SCHED_RESET_ON_FORK"), param__sched_priority=-3)
    p.call("sched_getparam", 0, status, ret=0, pid=0, param__sched_priority=0)
    p.call("sched_setparam", 0, p.put(struct.pack("<i", 77)), error=EINVAL, pid=0, param__sched_priority=77)
    p.call("sched_get_priority_max", 1, ret=99, policy=("SCHED_FIFO",))
    p.call("sched_get_priority_min", 0, ret=0, policy=("SCHED_OTHER",))
    p.call("sched_getaffinity", missing, 8, 8, error=ESRCH, pid=missing, cpusetsize=8, mask=8)
    p.call("sched_setaffinity", missing, 8, p.put(bytes(8)), error=ESRCH, pid=missing, cpusetsize=8, mask=ANY)
    p.call("prctl", 36, 2, 3, 4, 5, ret=ANY, option="PR_SET_CHILD_SUBREAPER", arg2=2, arg3=3, arg4=4, arg5=5)
    p.call("prctl", 99999, 0, 0, 0, 0, error=EINVAL, option=99999, arg2=0, arg3=0, arg4=0, arg5=0)
    limits = p.put(struct.pack("<2Q", 100, (1 << 64) - 1))
    old_limits = p.put(bytes(16))
    p.call("prlimit64", missing, 7, limits, old_limits, error=ESRCH, pid=missing, resource="RLIMIT_NOFILE",
           new_limit__rlim_cur=100, new_limit__rlim_max=-1, old_limit__rlim_cur=None, old_limit__rlim_max=None)
    p.call("setrlimit", 4, p.longs(0, 0), ret=0, resource="RLIMIT_CORE", rlim__rlim_cur=0, rlim__rlim_max=0)
    p.call("getrlimit" if not p.is_compat else "ugetrlimit", 4, old_limits, ret=0, resource="RLIMIT_CORE",
           rlim__rlim_cur=0, rlim__rlim_max=0)
    p.call("getrusage", 5, 8, error=EINVAL, who=5, usage__ru_utime=None, usage__ru_stime=None)
    p.call("getrusage", -1, p.put(bytes(144)), ret=0, who="RUSAGE_CHILDREN", usage__ru_utime=ANY, usage__ru_stime=ANY)
    p.call("ptrace", 16, missing, 1, 2, error=ANY, request="PTRACE_ATTACH", pid=missing, addr=1, data=2)
    p.call("unshare", 0x0002_0001, error=EINVAL, flags=("CLONE_NEWNS", "0x1"))
    p.call("setns", -1, 0x4000_0000, error=EBADF, fd=-1, nstype=("CLONE_NEWNET",))
    p.call("kcmp", missing, missing, 0, 1, 2, error=ANY, pid1=missing, pid2=missing, type="KCMP_FILE", idx1=1, idx2=2)
    p.call("personality", 0xFFFF_FFFF, ret=ANY, persona=0xFFFFFFFF)
    p.call("seccomp", 3, 0, 8, error=EFAULT, operation="SECCOMP_GET_NOTIF_SIZES", flags=(), args=8)
    p.call("ioprio_get", 1, missing, error=ESRCH, which="IOPRIO_WHO_PROCESS", who=missing)
    p.call("ioprio_set", 9, 1, 2, error=EINVAL, which=9, who=1, ioprio=2)
    p.call("capget", 8, 0, error=EFAULT, hdrp=8, datap=0)
    p.call("set_robust_list", 8, 1, error=EINVAL, head=8, len=1)
    p.call("process_vm_readv", missing, 8, 0, 8, 0, 1, error=EINVAL, pid=missing, local_iov=8, liovcnt=0, remote_iov=8,
           riovcnt=0, flags=1)
    p.check(program, tmp_path)


def test_users_and_groups(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, ids = plan, [plan.put(bytes(4)) for _ in range(3)]
    suffixes = ("", "32") if p.is_compat else ("",)
    for suffix in suffixes:
        for call in ("getuid", "getgid", "geteuid", "getegid"):
            p.call(call + suffix, ret=0)
        p.call("setreuid" + suffix, -1, -1, ret=0, ruid=-1, euid=-1)
        p.call("setregid" + suffix, -1, -1, ret=0, rgid=-1, egid=-1)
        p.call("setresuid" + suffix, -1, 0, -1, ret=0, ruid=-1, euid=0, suid=-1)
        p.call("setresgid" + suffix, -1, 0, -1, ret=0, rgid=-1, egid=0, sgid=-1)
        p.call("getresuid" + suffix, *ids, ret=0, ruid=0, euid=0, suid=0)
        p.call("getresgid" + suffix, *ids, ret=0, rgid=0, egid=0, sgid=0)
        p.call("setuid" + suffix, -1, error=EINVAL, uid=-1)
        p.call("setgid" + suffix, -1, error=EINVAL, gid=-1)
        p.call("setfsuid" + suffix, -1, ret=0, fsuid=-1)
        p.call("setfsgid" + suffix, -1, ret=0, fsgid=-1)
        p.call("setgroups" + suffix, 70_000, 8, error=EINVAL, size=70_000, list=8)
        p.call("getgroups" + suffix, -1, 8, error=EINVAL, size=-1, list=8)
    p.check(program, tmp_path)


def test_memory(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, bad = plan, 0x1001
    prot = ("PROT_READ", "PROT_WRITE")
    if p.is_compat:
        p.call("mmap2", 0, 0, 3, 0x22, -1, 7, error=EINVAL, addr=0, length=0, prot=prot,
               flags=("MAP_PRIVATE", "MAP_ANONYMOUS"), fd=-1, pgoffset=7)
        p.call("mmap", 8, error=EFAULT, arg=8)
    else:
        p.call("mmap", 0, 0, 3, 0x22, -1, -1, error=EINVAL, addr=0, length=0, prot=prot,
               flags=("MAP_PRIVATE", "MAP_ANONYMOUS"), fd=-1, offset=-1)
    p.call("munmap", bad, 5, error=EINVAL, addr=bad, length=5)
    p.call("mprotect", bad, 5, 1, error=EINVAL, addr=bad, len=5, prot=("PROT_READ",))
    p.call("mremap", bad, 5, 6, 3, 9, error=EINVAL, old_address=bad, old_size=5, new_size=6,
           flags=("MREMAP_MAYMOVE", "MREMAP_FIXED"), new_address=9)
    p.call("madvise", bad, 5, 4, error=EINVAL, addr=bad, length=5, advice="MADV_DONTNEED")
    p.call("msync", bad, 5, 5, error=EINVAL, addr=bad, length=5, flags=("MS_ASYNC", "MS_SYNC"))
    p.call("mincore", bad, 5, 8, error=EINVAL, addr=bad, length=5, vec=8)
    p.call("mlock2", bad, 5, 8, error=EINVAL, addr=bad, len=5, flags=("0x8",))
    p.call("munlock", bad, 0, ret=ANY, addr=bad, len=0)
    p.call("mlockall", 8, error=EINVAL, flags=("0x8",))
    p.call("brk", 0, ret=ANY, addr=0)
    p.call("pkey_mprotect", bad, 5, 4, -1, error=EINVAL, addr=bad, len=5, prot=("PROT_EXEC",), pkey=-1)
    p.call("pkey_alloc", 1, 2, error=EINVAL, flags=1, access_rights="PKEY_DISABLE_WRITE")
    p.call("pkey_free", 99, error=EINVAL, pkey=99)
    p.call("membarrier", 0, 0, 0, ret=ANY, cmd="MEMBARRIER_CMD_QUERY", flags=0, cpu_id=0)
    p.call("mbind", bad, 5, 99, 0, 0, 0, error=ANY, addr=bad, len=5, mode=("0x63",), nodemask=0, maxnode=0, flags=())
    p.call("set_mempolicy", 2, 0, 0, error=ANY, mode=("MPOL_BIND",), nodemask=0, maxnode=0)
    p.call("userfaultfd", 5, error=ANY, flags=ANY)
    p.call("shmget", 0, 0, 0o3000 | 0o600, error=ANY, key=0, size=0, shmflg=("IPC_CREAT", "IPC_EXCL", "0x180"))
    p.call("shmat", -1, 8, 0o10000, error=EINVAL, shmid=-1, shmaddr=8, shmflg=("SHM_RDONLY",))
    p.call("shmdt", bad, error=EINVAL, shmaddr=bad)
    p.call("shmctl", -1, 0, 0, error=EINVAL, shmid=-1, cmd=("IPC_RMID",), buf=0)
    p.call("semget", 0, -1, 0o1000, error=EINVAL, key=0, nsems=-1, semflg=("IPC_CREAT",))
    p.call("semctl", -1, 1, 16, 7, error=EINVAL, semid=-1, semnum=1, cmd=("SETVAL",), arg=7)
    p.call("semop", -1, 8, 1, error=ANY, semid=-1, sops=8, nsops=1)
    p.call("semtimedop", -1, 8, 1, p.longs(1, 0), error=ANY, semid=-1, sops=8, nsops=1, timeout=1.0)
    p.call("msgget", 0x7A31_0001, 0, error=ENOENT, key=0x7A310001, msgflg=())
    p.call("msgsnd", -1, 8, 5, 0o4000, error=ANY, msqid=-1, msgp=8, msgsz=5, msgflg=("IPC_NOWAIT",))
    p.call("msgrcv", -1, 8, 5, -7, 0o4000, error=ANY, msqid=-1, msgp=8, msgsz=5, msgtyp=-7, msgflg=("IPC_NOWAIT",))
    p.call("msgctl", -1, 2, 8, error=ANY, msqid=-1, cmd=("IPC_STAT",), buf=8)
    name = p.text("rawtp-none")
    p.call("mq_open", name, 0, 0, 0, error=ANY, name="rawtp-none", oflag=("O_RDONLY",), mode=None, attr=0)
    p.call("mq_unlink", name, error=ANY, name="rawtp-none")
    p.call("mq_timedsend", -1, 8, 5, 3, p.longs(1, 500_000_000), error=ANY, mqdes=-1, msg_ptr=None, msg_len=5,
           msg_prio=3, abs_timeout=1.5)
    p.call("mq_timedreceive", -1, 8, 5, 0, p.longs(1, 500_000_000), error=ANY, mqdes=-1, msg_ptr=None, msg_len=5,
           msg_prio=None, abs_timeout=1.5)
    p.check(program, tmp_path)


def test_an_exit_does_not_return(program: Callable[[str], Path], tmp_path: Path) -> None:
    p = Plan()
    p.call("exit_group", 0x1_0000_0007, status=7)
    events = p.run(program, tmp_path, status=7)
    assert [(event["args"], event["ret"]) for event in events] == [({"status": 7}, None)]
