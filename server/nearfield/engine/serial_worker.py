"""The main thread of a worker whose library generates by itself: it loads the model, and advances
its jobs one at a time; see `serial`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil

from nearfield.config.paths import data_dir
from nearfield.engine import frames
from nearfield.engine.frames import Cancel, Command, Generate, LoadModel, Tokenize
from nearfield.engine.memory import check_memory, expected, weights
from nearfield.engine.pipe import Inbox, own_output, read_commands, send
from nearfield.engine.rates import Rates
from nearfield.engine.serial import Library, SerialScheduler
from nearfield.engine.typing_lock import FILE, LOOK_SECONDS, StepGate
from nearfield.errors import ModelLoadFailed, NearfieldError, NotReady

WARM_UP = "for key, value in sorted(items.items()):\n    total += value\n" * 4
"""Evaluated once after loading, for the first rates."""


def run(load: Callable[[LoadModel], Library], version: str, *, gpu: bool) -> None:
    """Work until the process ends. `load` raises `ModelLoadFailed`."""
    worker = _SerialWorker(own_output(), load)
    read_commands(worker.inbox.put)
    worker.run(frames.Started(version=version, build="", gpu=gpu))


class _SerialWorker:
    """A model and its jobs."""

    def __init__(self, out: int, load: Callable[[LoadModel], Library]) -> None:
        self.inbox = Inbox()
        self._out = out
        self._load_library = load
        # A step of such a library cannot be ended from outside.
        self._gate = StepGate(data_dir() / FILE)
        self._rates = Rates()
        self._library: Library | None = None
        self._scheduler: SerialScheduler | None = None

    def run(self, started: frames.Started) -> None:
        """Take commands and advance jobs, for ever."""
        self._send(started)
        wait: float | None = None
        while True:
            command = self.inbox.take(wait)
            if command is not None:
                self._handle(command)
            scheduler = self._scheduler
            if scheduler is None or scheduler.idle:
                self._gate.rest()
                wait = None
            elif command is not None:
                wait = 0.0  # all that has come first
            elif scheduler.must_wait():
                wait = LOOK_SECONDS
            else:
                scheduler.step()
                wait = 0.0

    def _send(self, event: frames.Event) -> None:
        send(self._out, event)

    def _handle(self, command: Command) -> None:
        library, scheduler = self._library, self._scheduler
        if isinstance(command, LoadModel):
            self._load(command)
        elif library is None or scheduler is None:
            if not isinstance(command, Cancel):
                error = NotReady("No model is loaded.")
                self._send(frames.JobFailed(command.id, "NotReady", error.message, error.hint))
        elif isinstance(command, Generate):
            scheduler.add(command)
        elif isinstance(command, Cancel):
            scheduler.cancel(command.id)
        elif isinstance(command, Tokenize):
            tokens = library.tokenize(frames.Variant([(command.text, False)]))
            self._send(frames.Tokenized(command.id, tokens))
        else:
            self._send(frames.StateTokens(command.id, 0))

    def _load(self, options: LoadModel) -> None:
        if self._scheduler is not None:
            self._scheduler.end_all()
        self._library = self._scheduler = None
        started = time.perf_counter()
        path = Path(options.path)
        try:
            check_memory(expected(path), options.memory_limit)
            library = self._load_library(options)
            self._warm_up(library)
            used = int(psutil.Process().memory_info().rss)
            check_memory(used, options.memory_limit)
        except NearfieldError as error:
            self._send(frames.LoadFailed(error.message, error.hint))
            return
        except OSError as error:
            message = f"The model {path.name} cannot be read: {error.strerror}."
            self._send(frames.LoadFailed(message, "Name its file or folder again."))
            return
        self._library = library
        self._scheduler = SerialScheduler(library, self._rates, self._send, self._gate)
        self._send(
            frames.ModelLoaded(
                name=path.stem,
                context_train=0,
                document_tokens=library.context,
                documents=1,
                layers=0,
                vocabulary=library.vocabulary,
                bytes=weights(path),
                fim=library.fim,
                chat_template=bool(library.chat_template),
                tools="tools" in library.chat_template,
                load_ms=round((time.perf_counter() - started) * 1000, 1),
                prefill_rate=self._rates.prefill,
                decode_rate=self._rates.decode,
                memory=used,
            )
        )

    def _warm_up(self, library: Library) -> None:
        """Read a prompt and write two tokens. Raises `ModelLoadFailed`."""
        self._rates = Rates()
        failed: list[frames.JobFailed] = []

        def note(event: frames.Event) -> None:
            if isinstance(event, frames.JobFailed):
                failed.append(event)

        scheduler = SerialScheduler(library, self._rates, note)
        variant = frames.Variant([(WARM_UP, False)])
        scheduler.add(Generate(0, "infill", 0, "", variants=[variant], max_tokens=2))
        while not scheduler.idle:
            scheduler.step()
        if failed:
            raise ModelLoadFailed(failed[0].message, failed[0].hint)
