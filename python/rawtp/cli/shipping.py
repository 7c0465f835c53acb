"""The receivers that ``rawtp record`` has shipped to, each by a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp.cli import options
from rawtp.cli.stderr import reason

if TYPE_CHECKING:
    import argparse


def add_receivers(parser: argparse.ArgumentParser) -> None:
    """Add an option for each kind of receiver."""
    group = parser.add_argument_group("shipping, each by a process of its own: see rawtp ship")
    group.add_argument("--ship", metavar="URL", help="s3://BUCKET/PREFIX: sealed files")
    group.add_argument("--otlp", metavar="URL", help="http://HOST:4318 or https://…: OpenTelemetry's logs")
    group.add_argument("--nats", metavar="URL", help="nats://HOST:4222/PREFIX or tls://…: JetStream")
    group.add_argument("--syslog", metavar="URL", help="tcp://HOST:514, tls://HOST:6514 or unix:///dev/log")
    group.add_argument("--journald", action="store_true", help="systemd's journal")
    options.add_tls(group)


def commands(parser: argparse.ArgumentParser, args: argparse.Namespace) -> list[list[str]]:
    """The command of each process that ships."""
    from rawtp._ship import credentials, receivers

    found: list[list[str]] = []
    is_encrypted = False
    for option, kind in (("ship", "s3"), ("otlp", "otlp"), ("nats", "nats"), ("syslog", "syslog")):
        if url := getattr(args, option):
            try:
                for one in url.split(",") if kind == "nats" else [url]:
                    credentials.check_url(one, receivers.SCHEMES[kind])
            except ValueError as error:
                parser.error(f"argument --{option}: {reason(error)}")
            words = _tls_words(args, with_client=kind != "s3") if url.startswith(receivers.ENCRYPTED) else []
            is_encrypted |= url.startswith(receivers.ENCRYPTED)
            found.append([*words, f"--{kind}", url])
    if _tls_words(args) and not is_encrypted:
        parser.error("--ca and --client-cert are for receivers by TLS")
    if args.journald:
        found.append(["--journald"])
    return [["ship", "--supervised", "--directory", args.directory, *words] for words in found]


def _tls_words(args: argparse.Namespace, *, with_client: bool = True) -> list[str]:
    """The options of TLS; ``with_client``: those of the client's certificate, too."""
    names = ("ca", "client_cert", "client_key") if with_client else ("ca",)
    return [word for name in names if (path := getattr(args, name)) for word in (f"--{name.replace('_', '-')}", path)]
