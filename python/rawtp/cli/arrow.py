"""``rawtp history -o arrow`` and ``-o parquet``: columns on standard output, by pyarrow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rawtp.cli import archive
from rawtp.cli.errors import CANNOT_RUN, OK, CommandError
from rawtp.cli.stderr import message

if TYPE_CHECKING:
    import argparse
    from typing import Any, BinaryIO

    from rawtp.cli.query import Query


def write(asked: Query, args: argparse.Namespace, kind: str) -> int:
    """Write the events; the exit code: 1 where a damaged file was left out.

    Raises:
        CommandError: pyarrow is missing.
    """
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError:
        raise CommandError(f"-o {kind} needs pyarrow: pip install 'rawtp[arrow]'") from None
    scan = asked.scan(archive.columns(args.fields) if args.fields else None)
    reader = pyarrow.RecordBatchReader.from_stream(scan)
    # Parquet's writer asks where it is, which a pipe cannot tell.
    output = pyarrow.PythonFile(_Counted(sys.stdout.buffer), "w")
    if kind == "arrow":
        writer: Any = pyarrow.ipc.new_stream(output, reader.schema)
    else:
        writer = pyarrow.parquet.ParquetWriter(output, reader.schema, compression="zstd")
    with writer:
        for batch in reader:
            writer.write_batch(batch)
    sys.stdout.buffer.flush()
    for name in scan.damaged:
        message(f"{name} is damaged, and left out")
    return CANNOT_RUN if scan.damaged else OK


class _Counted:
    """A stream that knows how much was written to it."""

    closed = False

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._written = 0

    def write(self, data: Any) -> int:
        """Write all of it."""
        self._stream.write(data)
        size = memoryview(data).nbytes
        self._written += size
        return size

    def tell(self) -> int:
        """The bytes that were written."""
        return self._written

    def flush(self) -> None:
        """Flush."""
        self._stream.flush()

    def close(self) -> None:
        """Leave the stream open: it is the process's."""
