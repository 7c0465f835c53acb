"""Who can be told of an alert: a command, an HTTPS server, the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp._alert.notifiers.command import Command
from rawtp._alert.notifiers.journal import Journal
from rawtp._alert.notifiers.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rawtp._alert.notifiers.base import Notifier

KINDS: Mapping[str, type[Notifier]] = {"command": Command, "webhook": Webhook, "journald": Journal}
"""The values of ``type``."""
