"""``rawtp ship``: delivers what was recorded to S3, a collector, NATS, syslog or the journal."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from typing import TYPE_CHECKING

import rawtp
from rawtp.cli import archive, options
from rawtp.cli.errors import CANNOT_RUN, OK, CommandError
from rawtp.cli.parser import Parser
from rawtp.cli.stderr import message, reason, show

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rawtp.sinks.base import Receiver

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_KINDS = ("s3", "otlp", "nats", "syslog", "journald")

_EXAMPLES = """\
It delivers what rawtp record has recorded and goes on as more is recorded,
until Ctrl-C or SIGTERM. What a receiver has acknowledged is kept on the disk,
so that a restart goes on there. It needs no privilege but to read the
recorder's directory, and to write where its position is.

Secrets come from the environment or from --credentials: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL; OTEL_EXPORTER_OTLP_HEADERS;
NATS_CREDS, NATS_NKEY, NATS_TOKEN, NATS_USER, NATS_PASSWORD.

examples:
  sudo rawtp ship --s3 s3://logs/rawtp
      sealed files into a bucket, as they are
  sudo rawtp ship --otlp https://collector.example:4318
      events as OpenTelemetry's log records
  sudo rawtp ship --status
      how far each receiver is
  rawtp ship --install --nats tls://nats.example:4222
      a unit for systemd, on standard output
"""


def add_parser() -> Parser:
    """Make the parser of ``ship``, which is the first of the arguments."""
    parser = Parser(
        usage="%(prog)s ship [OPTION]... RECEIVER",
        description="Deliver what rawtp record has recorded to another host, or to this one's logs.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("command", choices=("ship",), help=argparse.SUPPRESS)
    archive.add_directory(parser)
    add_receivers(parser)
    parser.add_argument("--name", type=_name, help="the name of the position (default: the receiver's kind)")
    parser.add_argument(
        "--state",
        metavar="DIR",
        help="where the position is kept (default: $STATE_DIRECTORY, or sinks/ in the recorder's directory)",
    )
    parser.add_argument(
        "--credentials", metavar="FILE", help="a file of NAME=value lines for the environment, which others cannot read"
    )
    options.add_tls(parser)
    parser.add_argument(
        "--nats-format", choices=("json", "arrow"), default="json", help="a message an event, or one a batch"
    )
    parser.add_argument("--once", action="store_true", help="end when all that is there is acknowledged")
    parser.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)
    group = parser.add_argument_group("in place of shipping")
    group.add_argument("--status", action="store_true", help="say how far each receiver is; 1 when one takes nothing")
    group.add_argument("--json", action="store_true", help="with --status: one JSON object")
    group.add_argument("--install", action="store_true", help="print a unit for systemd with the other options")
    return parser


def add_receivers(parser: argparse.ArgumentParser) -> None:
    """Add an option for each kind of receiver."""
    group = parser.add_argument_group("receivers")
    group.add_argument("--s3", metavar="URL", help="s3://BUCKET/PREFIX: sealed files")
    group.add_argument("--otlp", metavar="URL", help="http://HOST:4318 or https://…: OpenTelemetry's logs")
    group.add_argument("--nats", metavar="URL", help="nats://HOST:4222/PREFIX or tls://…: JetStream")
    group.add_argument("--syslog", metavar="URL", help="tcp://HOST:514, tls://HOST:6514 or unix:///dev/log: RFC 5424")
    group.add_argument(
        "--journald",
        nargs="?",
        const="unix:///run/systemd/journal/socket",
        metavar="URL",
        help="systemd's journal (default: its socket here)",
    )


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name of letters, digits, - and _")
    return text


def run(arguments: Sequence[str]) -> int:
    """Ship until a signal ends it; the exit code: 0, 1 when it cannot go on, 2 for wrong usage."""
    parser = add_parser()
    args = parser.parse_args(arguments)
    if args.json and not args.status:
        parser.error("--json needs --status")
    state = args.state or os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or f"{args.directory}/sinks"
    if args.status:
        return _status(state, as_json=args.json)
    chosen = [(kind, getattr(args, kind)) for kind in _KINDS if getattr(args, kind)]
    if len(chosen) != 1:
        parser.error(f"one receiver, please: {', '.join(f'--{kind}' for kind in _KINDS)}. Run one process for each")
    receiver = _receiver(parser, args, *chosen[0])
    if args.install:
        return _install(parser, arguments)
    return _ship(args, receiver, state)


def _receiver(parser: argparse.ArgumentParser, args: argparse.Namespace, kind: str, url: str) -> Receiver:
    from rawtp._ship import credentials, receivers
    from rawtp.sinks import tls

    if args.client_key and not args.client_cert:
        parser.error("--client-key needs --client-cert")
    try:
        if args.credentials:
            credentials.load(args.credentials, os.environ)
        return receivers.make(
            kind, url, os.environ, files=tls.Files(args.ca, args.client_cert, args.client_key), form=args.nats_format
        )
    except ValueError as error:
        parser.error(reason(error))
    except (ImportError, OSError) as error:
        raise CommandError(reason(error)) from None


def _ship(args: argparse.Namespace, receiver: Receiver, state: str) -> int:
    from rawtp._feed.position import PositionFile
    from rawtp._ship.shipper import Shipper
    from rawtp._ship.stop import EndedError, Stop

    stop = Stop()
    stop.take_signals()
    if args.supervised:
        stop.end_with_stdin()
        # The recorder comes first.
        os.nice(10)
    name = args.name or receiver.name
    try:
        file = PositionFile(state, name)
    except BlockingIOError:
        raise CommandError(
            f"another process ships with the position {name} of {state}: choose another --name"
        ) from None
    try:
        shipper = Shipper(args.directory, receiver, file, stop, message)
        message(f"shipping {args.directory} to {receiver.target}")
        shipper.run(once=args.once)
    except FileNotFoundError as error:
        raise CommandError(f"nobody has recorded into {args.directory}: {reason(error)}") from None
    except (ValueError, rawtp.RawtpError) as error:
        raise CommandError(reason(error)) from None
    except EndedError:
        message(f"{receiver.target} did not answer in time")
    finally:
        file.close()
    return OK


def _status(state: str, *, as_json: bool) -> int:
    from rawtp._ship import status

    found = status.read(state)
    is_well = all(one["failing"] is None for one in found.values())
    text = json.dumps(found) if as_json else "\n".join(status.lines(found, time.time_ns()))
    return show(text + "\n") or (OK if is_well else CANNOT_RUN)


def _install(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> int:
    from rawtp._record.unit import quoted
    from rawtp._ship import unit

    words = [word for word in arguments[1:] if word != "--install"]
    command: list[Any] = [sys.executable, "-I", "-m", "rawtp", "ship", *words]
    try:
        text = unit.text([quoted(word, of_command=True) for word in command])
    except ValueError as error:
        parser.error(reason(error))
    return show(text)
