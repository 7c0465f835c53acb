"""The metrics that ``--metrics`` asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp.cli.errors import CommandError
from rawtp.cli.stderr import message, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    import rawtp
    from rawtp._metrics.exposition import Family
    from rawtp._metrics.publisher import Publisher, Target


def publish(
    where: Target, tracer: rawtp.Tracer, alerts: Callable[[], Mapping[str, Any] | None], *, quiet: bool
) -> Publisher:
    """Publish the metrics of a watch, from now on."""
    from rawtp._metrics import families
    from rawtp._metrics.publisher import Publisher

    def collect() -> list[Family]:
        found = [*families.build(), *families.ledger(tracer.stats().as_dict())]
        counts = alerts()
        return found if counts is None else found + families.alerts(counts)

    try:
        publisher = Publisher(where, collect)
    except OSError as error:
        raise CommandError(f"cannot publish metrics: {reason(error)}") from None
    if not quiet:
        tell(where, publisher.place)
    publisher.start()
    return publisher


def tell(where: Target, place: str) -> None:
    """Say where the metrics are, and who can read them."""
    message(f"metrics: {place}{'' if where.is_loopback else ', which other hosts can read'}")
