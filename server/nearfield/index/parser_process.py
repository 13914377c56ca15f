"""Understanding texts in a process of its own: one that ends it costs that process alone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Self

import msgspec

from nearfield.index.interface import IndexUnusable
from nearfield.index.understand import LENGTH, ParseRequest, Understood

COMMAND = (sys.executable, "-m", "nearfield.index.understand")
ENDS_PARSER = "ends its parser"
"""Reason for leaving out a file that ended the process, by a crash or by taking too long."""

END_SECONDS = 0.2
"""Grace period for the process to end by itself; one that is deep in a grammar may not read the
message.
"""


class CannotStart(IndexUnusable):
    """The process does not come up at all."""


class ParserProcess:
    """Such a process: started when it is needed, and again after it has ended. One thread at a
    time; use it as a context manager, or `close` it."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._decoder = msgspec.msgpack.Decoder(Understood)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def understand(self, path: str, text: str) -> Understood:
        """Return the result of `understand.understand`, or the reason `ENDS_PARSER`. Raises
        `CannotStart`.
        """
        asked = msgspec.msgpack.encode(
            ParseRequest(
                os.fsencode(path), text.encode("utf-8", "replace")
            )  # a lone surrogate is no code
        )
        while True:
            running = self._process or self._start()
            answer = _exchange(running, asked)
            if answer is not None:
                return self._decoder.decode(answer)
            # It went because nothing had come for a while, just when this came: once more.
            if self._end() != 0:
                return Understood(reason=ENDS_PARSER)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        if _exchange(self._process, None) is None:
            raise CannotStart(
                f"The process that reads code ended with {self._end()} as it began.",
                "Reinstall Nearfield if this happens again.",
            )
        return self._process

    def _end(self) -> int:
        """End the process if it runs, and return its exit status."""
        process, self._process = self._process, None
        assert process is not None  # noqa: S101 - asked by those who have used it
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        try:
            return process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _exchange(process: subprocess.Popen[bytes], asked: bytes | None) -> bytes | None:
    """Say something, if there is anything to say, and hear the answer; None when it has ended."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    try:
        if asked is not None:
            process.stdin.write(LENGTH.pack(len(asked)) + asked)
            process.stdin.flush()
        return _frame(process.stdout)
    except OSError:
        return None


def _frame(stream: IO[bytes]) -> bytes | None:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = stream.read(length)
    return body if len(body) == length else None
