"""The engine's child process: `python -m nearfield.engine.worker`.

Commands come as frames on standard input, events go as frames to standard output; see `frames` and
`pipe`.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from nearfield.config.paths import data_dir
from nearfield.engine import frames
from nearfield.engine.bindings import c, version
from nearfield.engine.frames import (
    Cancel,
    Command,
    Event,
    Generate,
    LoadModel,
    Restore,
    Save,
    Tokenize,
)
from nearfield.engine.job import tokenize
from nearfield.engine.lane import Abort, Lane
from nearfield.engine.llama import Model, Silence, check_file
from nearfield.engine.memory import COMPUTE_OVERHEAD, check_memory
from nearfield.engine.pipe import Inbox, own_output, read_commands, send
from nearfield.engine.rates import Rates
from nearfield.engine.scheduler import Scheduler
from nearfield.engine.typing_lock import FILE, LOOK_SECONDS, StepGate
from nearfield.errors import NearfieldError, NotReady

TOKENS_PER_DOCUMENT = 2048
"""Aimed-at size of one document's sequence; the completion lane holds as many as fit."""

CPU_CHUNK = 64
"""Prompt tokens a step. Half of it halves the speed (the kernels want 64 rows), and what is thrown
away when typing ends a step is at most this much."""

GPU_CHUNK = 512

WARM_UP_TOKENS = 32
"""Evaluated once after loading: pages the weights in and gives the first prefill rate."""

PROGRESS_STEPS = 20


class Worker:
    """The main thread's state: a model, its lanes and its jobs."""

    def __init__(self, out: int) -> None:
        self._out = out
        self._log = Silence()
        self._abort = Abort()
        self._gate = StepGate(data_dir() / FILE, self._abort.set)
        self._inbox = Inbox()
        self._rates = Rates()
        self._model: Model | None = None
        self._lanes: dict[str, Lane] = {}
        self._options: LoadModel | None = None
        self._reported = -1
        self.scheduler: Scheduler | None = None

    # --- the reader thread ---------------------------------------------------------------

    def arrived(self, command: Command) -> None:
        """Take a command, and end the running step where it is for that."""
        self._inbox.put(command)
        scheduler = self.scheduler
        if scheduler is None:
            return
        running = scheduler.running
        if (isinstance(command, Cancel) and running and running.job == command.id) or (
            isinstance(command, Generate) and scheduler.preempts(command.priority)
        ):
            self._abort.set()

    # --- the main thread -----------------------------------------------------------------

    def run(self) -> None:
        """Work until the process ends."""
        gpu = bool(c.llama_supports_gpu_offload())
        build = (c.llama_print_system_info() or b"").decode()
        self.send(frames.Started(version=version, build=build, gpu=gpu))
        threading.Thread(target=self._gate.watch, name="watcher", daemon=True).start()
        wait: float | None = 0.0
        while True:
            if self.scheduler is None or self.scheduler.idle:
                self._gate.rest()
                wait = None
            command = self._inbox.take(wait)
            wait = 0.0
            if command is not None:
                self._handle(command)
            elif self.scheduler is None:
                continue
            elif self.scheduler.must_wait():
                wait = LOOK_SECONDS
            else:
                self.scheduler.step()

    def send(self, event: Event) -> None:
        """Write one frame."""
        send(self._out, event)

    def _handle(self, command: Command) -> None:
        match command:
            case LoadModel():
                self._load(command)
            case Generate() | Tokenize() | Save() | Restore() if self._model is None:
                error = NotReady("No model is loaded.")
                self.send(frames.JobFailed(command.id, "NotReady", error.message, error.hint))
            case Generate() if self.scheduler is not None:
                self.scheduler.add(command)
            case Cancel() if self.scheduler is not None:
                self.scheduler.cancel(command.id)
            case Tokenize() if self._model is not None:
                self._tokenize(command, self._model)
            case Save() if self._model is not None:
                self._save(command, self._model)
            case Restore():
                self._restore(command)
            case _:
                pass  # A cancel that arrives while no model is loaded has nothing to end.

    def _tokenize(self, command: Tokenize, model: Model) -> None:
        if command.prompt is None:
            self.send(frames.Tokenized(command.id, model.tokenize(command.text)))
            return
        prompt = tokenize(model, command.prompt, 0)
        self.send(frames.Tokenized(command.id, prompt.tokens, prompt.owed))

    def _load(self, options: LoadModel) -> None:
        self._free()
        started = time.perf_counter()
        try:
            path = Path(options.path)
            check_memory(check_file(path) + COMPUTE_OVERHEAD, options.memory_limit)
            model = Model(path, options.gpu_layers, self._progress, self._log)
            self._model, self._options = model, options
            if options.adapter:
                model.adapt(Path(options.adapter), options.adapter_scale)
            cells = options.context_size + options.chat_context_size
            need = model.bytes + COMPUTE_OVERHEAD + cells * model.kv_bytes_per_token
            check_memory(need, options.memory_limit)
            lane = self._lane("infill")
            self._rates = Rates()
            self._warm_up(model, lane)
        except NearfieldError as error:
            self._free()
            self.send(frames.LoadFailed(error.message, error.hint))
            return
        template = model.meta("tokenizer.chat_template")
        self.scheduler = Scheduler(
            model, self._lane, self._rates, self._abort, self.send, self._gate
        )
        self.send(
            frames.ModelLoaded(
                name=model.name,
                context_train=model.context_train,
                document_tokens=lane.document_tokens,
                documents=len(lane.table.all),
                layers=model.layers,
                vocabulary=model.vocabulary,
                bytes=model.bytes,
                memory=need,
                fim=model.fim,
                chat_template=bool(template),
                tools="tools" in template,
                reuses_prefix=model.has_tails,
                load_ms=round((time.perf_counter() - started) * 1000, 1),
                prefill_rate=self._rates.prefill,
                decode_rate=self._rates.decode,
            )
        )

    def _progress(self, value: float) -> None:
        """llama.cpp reports every tensor; a person needs every twentieth part."""
        step = int(value * PROGRESS_STEPS)
        if step != self._reported:
            self._reported = step
            self.send(frames.ModelLoading(round(value, 2)))

    def _warm_up(self, model: Model, lane: Lane) -> None:
        tokens = model.tokenize(
            "for key, value in sorted(items.items()):\n    total += value\n" * 4
        )
        sequence = lane.table.all[0]
        # Built now, so that the first request need not.
        model.byte_index  # noqa: B018
        model.never("infill")
        for part in (tokens[:WARM_UP_TOKENS], tokens[WARM_UP_TOKENS : WARM_UP_TOKENS + 1]):
            started = time.perf_counter()
            lane.decode(sequence, part)
            spent = (time.perf_counter() - started) * 1000
            if len(part) > 1:
                self._rates.prefilled(len(part), spent)
            else:
                self._rates.decoded(spent)
        lane.clear()

    def _lane(self, name: str) -> Lane:
        """Return the lane of that name, made at its first use, so that a session without a chat
        does not pay for one.
        """
        lane = self._lanes.get(name)
        model, options = self._model, self._options
        if lane is not None or model is None or options is None:
            return self._lanes[name]
        infill = name == "infill"
        size = options.context_size if infill else options.chat_context_size
        chunk = GPU_CHUNK if options.gpu_layers and c.llama_supports_gpu_offload() else CPU_CHUNK
        lane = self._lanes[name] = Lane(
            model,
            context_size=size,
            sequences=max(1, size // TOKENS_PER_DOCUMENT) if infill else 1,
            chunk=chunk,
            threads=options.threads,
            abort=self._abort,
        )
        return lane

    def _save(self, command: Save, model: Model) -> None:
        lane = self._lane(command.lane)
        prompts = [tokenize(model, variant, i).tokens for i, variant in enumerate(command.variants)]
        # A state that cannot be cut holds the answer as well, and serves no other request.
        sequence = None
        if model.has_tails and command.lane == "chat":
            sequence = lane.table.of(command.document)
        elif model.has_tails:
            sequence = lane.table.holding(prompts, command.document)
        tokens = lane.save(sequence, command.path) if sequence else 0
        self.send(frames.StateTokens(command.id, tokens))

    def _restore(self, command: Restore) -> None:
        lane = self._lane(command.lane)
        sequence = lane.table.spare(command.document)
        tokens = lane.restore(sequence, command.path) if sequence else 0
        if sequence is not None:
            lane.table.give(sequence, command.document if tokens else "")
        self.send(frames.StateTokens(command.id, tokens))

    def _free(self) -> None:
        if self.scheduler is not None:
            self.scheduler.end_all()
            self.scheduler = None
        for lane in self._lanes.values():
            lane.close()
        self._lanes.clear()
        if self._model is not None:
            self._model.close()
            self._model = None


def main() -> None:
    """Set the streams up and work."""
    out = own_output()
    c.llama_backend_init()
    worker = Worker(out)
    read_commands(worker.arrived)
    worker.run()


if __name__ == "__main__":
    main()
