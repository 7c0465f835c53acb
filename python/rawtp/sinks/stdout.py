"""Standard output, which may be a terminal, a pipe or no file at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rawtp.sinks.writer import Patience, Writer

if TYPE_CHECKING:
    from typing import TextIO


class Standard:
    """Standard output."""

    continues = False

    def __init__(self, stream: TextIO, patience: Patience) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty()
        self.encoding = stream.encoding or "utf-8"
        self._fd: int | None = None
        self._writer: Writer | None = None
        try:
            self._fd = stream.fileno()
        except OSError:  # in a test or a notebook, standard output may be no file
            return
        self._writer = Writer(self._fd, "standard output", patience)

    def width(self) -> int:
        """The columns of the terminal now. Asked each time, it follows a change of size by itself."""
        try:
            return os.get_terminal_size(self._fd or 1).columns or 80
        except OSError:
            return 80

    def height(self) -> int:
        """The lines of the terminal now."""
        try:
            return max(os.get_terminal_size(self._fd or 1).lines, 8)
        except OSError:
            return 24

    def reopened(self, *, now: bool = False) -> bool:
        """Never open standard output anew."""
        return False

    def write(self, text: str, encoding: str | None = None) -> None:
        """Write all of it, in this encoding or in the stream's own."""
        if self._writer is None:
            self._stream.write(text)
            self._stream.flush()
        else:
            self._writer.write(text.encode(encoding or self.encoding, "rawtp.escape"))

    def write_bytes(self, data: bytes) -> None:
        """Write all of it: text in UTF-8."""
        if self._writer is None:
            self.write(data.decode())
        else:
            self._writer.write(data)
