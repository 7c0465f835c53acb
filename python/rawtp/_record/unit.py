"""The unit of systemd for ``rawtp record``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "rawtp-record.service"
DIRECTORY = "/var/lib/rawtp"
GROUP = "rawtp"

_TEXT = """\
# Records what makes names and content go, from early in the boot on. What it may do: load BPF programs, look at the
# paths of other processes, and write its own directory. Nothing else.
[Unit]
Description=Flight recorder of rawtp: who deleted which file
Documentation=man:bpf(2)
# Before whatever could delete anything, but for what mounts the file systems that it needs.
DefaultDependencies=no
After=systemd-remount-fs.service
RequiresMountsFor=@DIRECTORY@ @EXECUTABLE@
Before=sysinit.target shutdown.target
Conflicts=shutdown.target
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=@COMMAND@
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1s
# Wrong options do not get better.
RestartPreventExitStatus=2
# A deletion of its own comes back every 10 s, or systemd is not told that it lives. A kill loses nothing that was
# acknowledged.
WatchdogSec=60s
WatchdogSignal=SIGKILL
TimeoutStopSec=60s

# Its members may read the history.
Group=rawtp
UMask=0027
@PLACE@
# CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: to look up the real paths of other processes' files, through their roots.
CapabilityBoundingSet=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE CAP_DAC_READ_SEARCH
NoNewPrivileges=yes
# Kernels before 5.11 count BPF maps to it.
LimitMEMLOCK=infinity
MemoryMax=1G
TasksMax=64
OOMScoreAdjust=-500

# It must see the mounts of the host as they are, or real paths would be wrong: no PrivateTmp, ProtectHome or
# PrivateDevices. Of processes too: no ProtectProc, PrivateUsers or PrivatePIDs.
ProtectSystem=strict
@NETWORK@
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# setpriority: the sealing of files is at nice 19.
SystemCallFilter=bpf perf_event_open setpriority
SystemCallErrorNumber=EPERM

[Install]
WantedBy=sysinit.target
# groupadd --system rawtp, put this into /etc/systemd/system, and: systemctl enable --now rawtp-record
# `rawtp record --install --now` does the same, with the path of its own Python.
"""


_NO_NETWORK = """\
PrivateNetwork=yes
IPAddressDeny=any
RestrictAddressFamilies=AF_UNIX"""
_NETWORK = "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"


def text(
    executable: str,
    arguments: Sequence[str] = (),
    directory: str = DIRECTORY,
    *,
    needs_network: bool = False,
    writable: Sequence[str] = (),
) -> str:
    """The unit; ``arguments`` are those of ``rawtp record``. ``needs_network``: it calls servers, or is one;
    ``writable``: directories that it writes into besides its own."""
    command = [executable, "-I", "-m", "rawtp", "record", *arguments]
    is_default = directory == DIRECTORY
    place = "StateDirectory=rawtp\nStateDirectoryMode=0750" if is_default else f"ReadWritePaths={quoted(directory)}"
    if writable:
        place += "".join(f"\nReadWritePaths={quoted(path)}" for path in writable)
    values = {
        "DIRECTORY": quoted(directory),
        "EXECUTABLE": quoted(executable),
        "COMMAND": " ".join(quoted(word, of_command=True) for word in command),
        "PLACE": place,
        "NETWORK": _NETWORK if needs_network else _NO_NETWORK,
    }
    unit = _TEXT
    for name, value in values.items():
        unit = unit.replace(f"@{name}@", value)
    return unit


def quoted(word: str, *, of_command: bool = False) -> str:
    """A word as a unit file has it (systemd.syntax(7)).

    Raises:
        ValueError: it has a control character, which no unit file should have.
    """
    if not word.isprintable():
        raise ValueError(f"{word!r} cannot stand in a unit: it has a character that does not print")
    word = word.replace("%", "%%")
    if of_command:
        word = word.replace("$", "$$")
    if word and not set(word) & set(" \t\"'\\;#"):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
