"""The unit of systemd for ``rawtp ship``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "rawtp-ship.service"

_TEXT = """\
# Ships what rawtp-record.service records. It reads that directory and keeps its position in its own, as a user of its
# own who may do nothing else. Whatever becomes of it, the recorder goes on.
[Unit]
Description=Ships the recordings of rawtp
After=network-online.target rawtp-record.service
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=@COMMAND@
# NAME=value lines with the receiver's secrets, of mode 0600.
EnvironmentFile=-/etc/rawtp/ship.env
Restart=always
RestartSec=5s
# Wrong options do not get better.
RestartPreventExitStatus=2
TimeoutStopSec=15s

DynamicUser=yes
SupplementaryGroups=rawtp
StateDirectory=rawtp-ship
StateDirectoryMode=0750
# For --journald: a burst of deletions is no reason to drop any.
LogRateLimitIntervalSec=0
MemoryMax=512M
TasksMax=32
Nice=10
CapabilityBoundingSet=
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
# Put this into /etc/systemd/system, and: systemctl enable --now rawtp-ship
"""


def text(command: Sequence[str]) -> str:
    """The unit that runs a command, whose words are quoted already."""
    return _TEXT.replace("@COMMAND@", " ".join(command))
