"""Calls about sockets, the kernel, and seldom ones, with known arguments: each event has exactly those."""

from __future__ import annotations

import socket
import struct
from errno import EBADF, EFAULT, EINVAL, ENOENT, ESRCH
from typing import TYPE_CHECKING

import pytest

from helpers.plans import ANY, Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

FIRST = 3
"""The first descriptor that the program opens."""


# One call is one line, or two: with one argument a line nobody could see the calls.
# fmt: off


def test_sockets(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p = plan
    inet = p.put(struct.pack("<H", socket.AF_INET) + struct.pack(">H", 9) + bytes([127, 0, 0, 1]) + bytes(8))
    length = p.put(struct.pack("<I", 16))
    out = p.put(bytes(128))
    listener = FIRST
    p.call("socket", 2, 0o2000001, 0, ret=listener, domain="AF_INET", type=("SOCK_STREAM", "SOCK_CLOEXEC"),
           protocol="IPPROTO_IP")
    p.call("socket", 16, 0o2000003, 15, ret=listener + 1, domain="AF_NETLINK", type=("SOCK_RAW", "SOCK_CLOEXEC"),
           protocol="NETLINK_KOBJECT_UEVENT")
    p.call("socket", 99, 9, 7, error=97, domain=99, type=("0x9",), protocol=7)
    any_port = p.put(struct.pack("<H", socket.AF_INET) + bytes([0, 0, 127, 0, 0, 1]) + bytes(8))
    p.call("bind", listener, any_port, 16, ret=0, sockfd=listener, addr="127.0.0.1:0", addrlen=16)
    p.call("listen", listener, 5, ret=0, sockfd=listener, backlog=5)
    p.call("getsockname", listener, out, length, ret=0, sockfd=listener, addr=ANY, addrlen=16)
    p.call("getpeername", listener, out, length, error=107, sockfd=listener, addr=None, addrlen=None)
    p.call("connect", listener + 1, inet, 16, error=EINVAL, sockfd=listener + 1, addr="127.0.0.1:9", addrlen=16)
    p.call("connect", -1, inet, 5, error=EBADF, sockfd=-1, addr="inet:5 bytes", addrlen=5)
    p.call("accept4", -1, out, length, 0o4000, error=EBADF, sockfd=-1, addr=None, addrlen=None,
           flags=("SOCK_NONBLOCK",))
    one = p.put(struct.pack("<i", 1))
    p.call("setsockopt", listener, 1, 2, one, 4, ret=0, sockfd=listener, level="SOL_SOCKET", optname="SO_REUSEADDR",
           optval=None, optlen=4)
    p.call("setsockopt", listener, 6, 1, one, 4, ret=0, sockfd=listener, level="SOL_TCP", optname="TCP_NODELAY",
           optval=None, optlen=4)
    four = p.put(struct.pack("<i", 4))
    p.call("getsockopt", listener, 1, 3, out, four, ret=0, sockfd=listener, level="SOL_SOCKET", optname="SO_TYPE",
           optval=None, optlen=4)
    p.call("getsockopt", listener, 77, 3, out, four, error=ANY, sockfd=listener, level=77, optname=3, optval=None,
           optlen=None)
    secret = p.put(b"secret")
    p.call("sendto", -1, secret, 6, 0x4040, inet, 16, error=EBADF, sockfd=-1, buf=None, len=6,
           flags=("MSG_DONTWAIT", "MSG_NOSIGNAL"), dest_addr="127.0.0.1:9", addrlen=16)
    p.call("recvfrom", listener, out, 6, 0x40, out, length, error=107, sockfd=listener, buf=None, len=6,
           flags=("MSG_DONTWAIT",), src_addr=None, addrlen=None)
    p.call("sendmsg", -1, 8, 0, error=EBADF, sockfd=-1, msg=8, flags=())
    p.call("recvmsg", -1, 8, 1, error=EBADF, sockfd=-1, msg=8, flags=("MSG_OOB",))
    p.call("sendmmsg", -1, 8, 3, 0, error=EBADF, sockfd=-1, msgvec=8, vlen=3, flags=())
    p.call("recvmmsg", -1, 8, 3, 0, p.longs(2, 0), error=EBADF, sockfd=-1, msgvec=8, vlen=3, flags=(), timeout=2.0)
    p.call("shutdown", listener + 1, 2, ret=ANY, sockfd=listener + 1, how="SHUT_RDWR")
    pair = p.put(bytes(8))
    p.call("socketpair", 1, 2, 0, pair, ret=0, domain="AF_UNIX", type=("SOCK_DGRAM",), protocol=0,
           sv=(listener + 2, listener + 3))
    p.call("socketpair", 1, 2, 0, 8, error=EFAULT, domain="AF_UNIX", type=("SOCK_DGRAM",), protocol=0, sv=None)
    p.call("socketcall", 3, 8, error=EFAULT, call="SYS_CONNECT", args=8)
    p.check(program, tmp_path)


def test_the_kernel(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p = plan
    p.call("bpf", 12345, 8, 9, error=ANY, cmd=12345, attr=8, size=9)
    p.call("bpf", 5, 8, 9, error=ANY, cmd="BPF_PROG_LOAD", attr=8, size=9)
    attr = p.put(struct.pack("<IIQ", 1, 64, 3) + bytes(112))
    p.call("perf_event_open", attr, -1, -1, -1, 0x80, error=ANY, attr__type="PERF_TYPE_SOFTWARE", attr__config=3,
           pid=-1, cpu=-1, group_fd=-1, flags=ANY)
    p.call("keyctl", 9, 1, 2, 3, 4, ret=ANY, operation="KEYCTL_UNLINK", arg2=1, arg3=2, arg4=3, arg5=4)
    p.call("add_key", p.text("notype"), p.text("name"), p.put(b"hidden"), 6, -3, error=ANY, type="notype",
           description="name", payload=None, plen=6, keyring="KEY_SPEC_SESSION_KEYRING")
    p.call("request_key", p.text("notype"), p.text("name"), 0, 7, error=ANY, type="notype", description="name",
           callout_info=None, dest_keyring=7)
    p.call("init_module", 8, 0, p.text("x=1"), error=ANY, module_image=8, len=0, param_values="x=1")
    p.call("finit_module", -1, p.text("x=1"), 1, error=ANY, fd=-1, param_values="x=1",
           flags=("MODULE_INIT_IGNORE_MODVERSIONS",))
    p.call("delete_module", p.text("rawtp_none"), 0o4000, error=ANY, name="rawtp_none", flags=("O_NONBLOCK",))
    p.call("getrandom", 8, 0, 1, ret=0, buf=None, buflen=0, flags=("GRND_NONBLOCK",))
    p.call("getcpu", p.put(bytes(4)), 0, 0, ret=0, cpu=ANY, node=None, tcache=0)
    p.call("sethostname", 8, -1, error=EINVAL, name=None, len=-1)
    p.call("syslog", 10, 0, 0, ret=ANY, type="SYSLOG_ACTION_SIZE_BUFFER", bufp=0, len=0)
    p.call("reboot", 1, 2, 0x1234567, 0, error=EINVAL, magic=1, magic2=2, cmd="LINUX_REBOOT_CMD_RESTART", arg=0)
    p.call("uname", 8, error=EFAULT, buf=8)
    p.call("sysinfo", 8, error=EFAULT, info=8)
    p.call("landlock_create_ruleset", 0, 0, 1, error=ANY, attr=0, size=0, flags=("LANDLOCK_CREATE_RULESET_VERSION",))
    p.call("ipc", 23, 0, -1, 0o600, 8, 9, error=ANY, call="SHMGET", first=0, second=0xFFFFFFFF, third=0o600, ptr=8,
           fifth=9)
    p.check(program, tmp_path)


def test_seldom_made(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, gone = plan, plan.text("gone/x")
    wide = p.put(struct.pack("<4Q", 1, 500_000_000, 2, 0))
    out = p.put(bytes(64))
    mask = p.put(struct.pack("<Q", 2))
    p.call("accept", -1, out, out, error=EBADF, sockfd=-1, addr=None, addrlen=None)
    p.call("arch_prctl", 0x9999, 8, error=EINVAL, code=0x9999, addr=8)
    p.call("arch_prctl", 0x1001, -1, error=ANY, code="ARCH_SET_GS", addr=ANY)
    p.call("capset", 8, 9, error=EFAULT, hdrp=8, datap=9)
    p.call("clock_adjtime64", 0, 8, error=EFAULT, clk_id="CLOCK_REALTIME", buf=8)
    p.call("clock_getres_time64", 99, out, error=EINVAL, clockid=99, res=None)
    p.call("clock_settime64", 1, wide, error=EINVAL, clockid="CLOCK_MONOTONIC", tp=1.5)
    p.call("eventfd", 7, ret=ANY, initval=7)
    p.call("fcntl64", -1, 3, 0, error=EBADF, fd=-1, cmd="F_GETFL", arg=None)
    p.call("fstatfs64", -1, 84, 8, error=EBADF, fd=-1, size=84, buf=8)
    p.call("statfs64", gone, 84, 8, error=ENOENT, path="gone/x", size=84, buf=8)
    p.call("futex_waitv", 8, 0, 0, wide, 1, error=EINVAL, waiters=8, nr_futexes=0, flags=0, timeout=1.5,
           clockid="CLOCK_MONOTONIC")
    p.call("get_mempolicy", out, 0, 0, 0, 8, error=ANY, mode=None, nodemask=0, maxnode=0, addr=0, flags=("0x8",))
    p.call("get_robust_list", 0x3FFF_FFF0, 8, 8, error=ESRCH, pid=0x3FFFFFF0, head_ptr=8, len_ptr=8)
    p.call("getdents", -1, 8, 9, error=EBADF, fd=-1, dirp=8, count=9)
    p.call("inotify_init", ret=ANY)
    p.call("io_setup", 0, 8, error=ANY, nr_events=0, ctx_idp=8)
    p.call("io_submit", 8, -1, 9, error=ANY, ctx_id=8, nr=-1, iocbpp=9)
    p.call("io_cancel", 8, 9, 10, error=ANY, ctx_id=8, iocb=9, result=10)
    p.call("io_getevents", 8, -1, 1, 9, p.longs(1, 0), error=ANY, ctx_id=8, min_nr=-1, nr=1, events=9, timeout=1.0)
    p.call("ioperm", 70_000, 1, -1, error=EINVAL, **{"from": 70_000}, num=1, turn_on=-1)
    p.call("iopl", 9, error=EINVAL, level=9)
    p.call("landlock_add_rule", -1, 1, 8, 1, error=ANY, ruleset_fd=-1, rule_type="LANDLOCK_RULE_PATH_BENEATH",
           rule_attr=8, flags=1)
    p.call("landlock_restrict_self", -1, 0, error=ANY, ruleset_fd=-1, flags=0)
    p.call("lchown32", gone, 1, 2, error=ENOENT, pathname="gone/x", owner=1, group=2)
    p.call("memfd_secret", 1, error=ANY, flags=("0x1",))
    p.call("migrate_pages", 0x3FFF_FFF0, 0, 0, 0, error=ANY, pid=0x3FFFFFF0, maxnode=0, old_nodes=0, new_nodes=0)
    p.call("move_pages", 0x3FFF_FFF0, 1, 8, 9, 10, 2, error=ANY, pid=0x3FFFFFF0, count=1, pages=8, nodes=9, status=10,
           flags=("MPOL_MF_MOVE",))
    p.call("mlock", 8, 0, ret=ANY, addr=8, len=0)
    p.call("munlockall", ret=0)
    p.call("mseal", 1, 2, 3, error=ANY, addr=1, len=2, flags=3)
    p.call("remap_file_pages", 1, 2, 1, 3, 0, error=EINVAL, addr=1, size=2, prot=("PROT_READ",), pgoff=3, flags=())
    p.call("process_madvise", -1, 8, 1, 20, 0, error=ANY, pidfd=-1, iovec=8, vlen=1, advice="MADV_COLD", flags=0)
    p.call("process_mrelease", -1, 0, error=ANY, pidfd=-1, flags=0)
    p.call("process_vm_writev", 1, 8, 0, 8, 0, 1, error=EINVAL, pid=1, local_iov=8, liovcnt=0, remote_iov=8, riovcnt=0,
           flags=1)
    p.call("mq_notify", -1, 0, error=ANY, mqdes=-1, sevp=0)
    p.call("mq_getsetattr", -1, 0, 0, error=ANY, mqdes=-1, newattr=0, oldattr=0)
    p.call("mq_timedsend_time64", -1, 8, 5, 3, wide, error=ANY, mqdes=-1, msg_ptr=None, msg_len=5, msg_prio=3,
           abs_timeout=1.5)
    p.call("mq_timedreceive_time64", -1, 8, 5, 0, wide, error=ANY, mqdes=-1, msg_ptr=None, msg_len=5, msg_prio=None,
           abs_timeout=1.5)
    p.call("nice", 0, ret=ANY, inc=0)
    p.call("ppoll_time64", 0, 0, p.put(struct.pack("<2Q", 0, 1000)), mask, 8, ret=0, fds=0, nfds=0, tmo_p=1e-6,
           sigmask=("SIGINT",), sigsetsize=8)
    p.call("pselect6_time64", -1, 1, 2, 3, p.put(struct.pack("<2Q", 1, 500_000_000)), 0, error=EINVAL, nfds=-1,
           readfds=1, writefds=2, exceptfds=3, timeout=1.5, sigmask=0)
    p.call("preadv2", -1, 1, 2, 5, 0, 1, error=EBADF, fd=-1, iov=1, iovcnt=2, offset=5, flags=("RWF_HIPRI",))
    p.call("pwritev", -1, 1, 2, 5, 0, error=EBADF, fd=-1, iov=1, iovcnt=2, offset=5)
    p.call("recvmmsg_time64", -1, 8, 3, 0, wide, error=EBADF, sockfd=-1, msgvec=8, vlen=3, flags=(), timeout=1.5)
    p.call("restart_syscall", error=4)
    p.call("rseq", 8, 1, 2, 3, error=EINVAL, rseq=8, rseq_len=1, flags=2, sig=3)
    p.call("rt_sigsuspend", mask, 1, error=EINVAL, mask=("SIGINT",), sigsetsize=1)
    p.call("sched_getattr", -1, 8, 1, 0, error=EINVAL, pid=-1, attr=8, size=1, flags=0)
    p.call("sched_setattr", -1, 8, 0, error=EINVAL, pid=-1, attr=8, flags=0)
    p.call("sched_rr_get_interval", -1, out, error=EINVAL, pid=-1, tp=None)
    p.call("sched_rr_get_interval_time64", -1, out, error=EINVAL, pid=-1, tp=None)
    p.call("semtimedop_time64", -1, 8, 1, wide, error=ANY, semid=-1, sops=8, nsops=1, timeout=1.5)
    p.call("sendfile64", -1, -1, p.put(struct.pack("<q", -7)), 5, error=EBADF, out_fd=-1, in_fd=-1, offset=-7, count=5)
    p.call("set_tid_address", 8, ret=ANY, tidptr=8)
    p.call("setdomainname", 8, -1, error=EINVAL, name=None, len=-1)
    p.call("setsid", ret=ANY)
    p.call("signalfd", -1, mask, 8, ret=ANY, fd=-1, mask=("SIGINT",), sizemask=8)
    p.call("time", 8, error=ANY, tloc=8)
    p.call("timer_gettime64", -1, out, error=EINVAL, timerid=-1, curr_value__it_interval=None,
           curr_value__it_value=None)
    p.call("timer_settime64", -1, 0, wide, 0, error=EINVAL, timerid=-1, flags=(), new_value__it_interval=1.5,
           new_value__it_value=2.0, old_value__it_interval=None, old_value__it_value=None)
    if p.is_compat:
        p.call("select", 8, error=EFAULT, arg=8)
    p.check(program, tmp_path)
