"""The child process that does the work, and its end whatever happens here."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable

import msgspec

from nearfield import errors
from nearfield.engine.client import SPIN_COUNT
from nearfield.engine.optimise_frames import (
    WRITE_FAILED,
    Compared,
    Event,
    Job,
    Progressed,
    Refused,
)
from nearfield.errors import EngineDied, EngineError

COMMAND = (sys.executable, "-m", "nearfield.engine.optimise")


class WriteFailed(EngineError):
    """The variant could not be written."""


class _Ended(Exception):
    """Its output ended before it said how it came out."""


def run(job: Job, progress: Callable[[Progressed], None]) -> Compared:
    """Do the job in a process of its own, which is killed when this is left in any way.

    Raises `WriteFailed`, `EngineDied`, or what the process says.
    """
    # A session of its own: Ctrl-C is for the command, which then ends the process.
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env={"GOMP_SPINCOUNT": SPIN_COUNT, **os.environ},
            start_new_session=True,
        )
        try:
            return _listened(process, job, progress)
        except _Ended:
            complaints.seek(0)
            last = complaints.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise EngineDied(
                f"The process that optimises the model died. {last}".strip(),
                "It may have been short of memory: close other programs and run it again.",
            ) from None
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()


def _listened(
    process: subprocess.Popen[bytes], job: Job, progress: Callable[[Progressed], None]
) -> Compared:
    if process.stdin is None or process.stdout is None:
        raise EngineError("The process that optimises has no streams.")
    try:
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        raise _Ended from None
    decoder = msgspec.json.Decoder(Event)
    for line in process.stdout:
        event: Event = decoder.decode(line)
        match event:
            case Progressed():
                progress(event)
            case Compared():
                # All files are closed only once it has ended.
                process.wait()
                return event
            case Refused():
                kind = getattr(errors, event.kind, EngineError)
                if event.kind == WRITE_FAILED:
                    kind = WriteFailed
                raise kind(event.message, event.hint)
    raise _Ended
