"""The child process that runs a model by OpenVINO: `python -m nearfield.engine.openvino_worker`.

It takes the engine's commands, see `frames`; jobs go one at a time, see `serial`. A model is a GGUF
file that OpenVINO reads (`catalog/openvino.py` looks before) or a folder in OpenVINO's own form.

On a CPU and a GPU the pipeline with continuous batching runs it: by steps of at most `CHUNK` tokens
of the prompt, between which a job can be ended, and with a cache of the prompts before. An NPU has
none of that: there the plain pipeline reads a prompt from its beginning, and cannot be ended before
the first token.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
from collections.abc import Generator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.engine.control_pieces import ControlPieces
from nearfield.engine.frames import Generate, LoadModel, Variant
from nearfield.engine.kv_cache import common_prefix
from nearfield.engine.serial import RunningGeneration, Sampled
from nearfield.engine.serial_worker import run
from nearfield.errors import EngineError, ModelLoadFailed
from nearfield.files.lines import split_lines

# OpenVINO imports a library that reports to Google Analytics, though not from what is used here.
# Without it a stub of its own takes that place.
sys.modules["openvino_telemetry"] = None  # pyright: ignore[reportArgumentType]
# Compiled modules without types.
_ov: Any = import_module("openvino")
_genai: Any = import_module("openvino_genai")

CHUNK = 64
"""Prompt tokens a step, as in the compiled engine: what a more urgent job waits for at most."""
BLOCK = 32
"""Tokens of a block of the KV cache on a CPU; whole blocks are kept."""
REMEMBERED = 16
"""Sequences that are looked through for the beginning of a prompt."""
TOKENIZER_LIMIT = 8192
"""OpenVINO's tokenizers of GGUF files cut longer texts without a word."""


def devices() -> dict[str, str]:
    """Return the devices that OpenVINO finds on this machine, with their full names."""
    core = _ov.Core()
    return {name: _full_name(core, name) for name in core.available_devices}


def _full_name(core: Any, device: str) -> str:
    try:
        return str(core.get_property(device, "FULL_DEVICE_NAME"))
    except RuntimeError:
        return ""


def chosen(wish: str, found: list[str]) -> str:
    """Return the device to use: the first GPU for "AUTO", else the CPU; an NPU only by name. Raises
    `ModelLoadFailed` for one that there is not."""
    if wish in ("", "AUTO"):
        return next((name for name in found if name.split(".")[0] == "GPU"), "CPU")
    if wish not in found and not any(name.startswith(f"{wish}.") for name in found):
        raise ModelLoadFailed(
            f"OpenVINO finds no device {wish} on this machine.",
            f"It finds: {', '.join(found)}. Set the option device, or install the driver.",
        )
    return wish


@contextlib.contextmanager
def _failing(what: type[EngineError], message: str, hint: str) -> Generator[None]:
    """Turn what the library raises into an `EngineError`, with the last line of its words."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError) as error:
        said = [line for line in split_lines(str(error)) if line.strip()]
        raise what(f"{message}: {said[-1].strip()[:300] if said else 'no reason'}", hint) from error


class OpenVinoModel:
    """A loaded model, as `serial.Library` wants it."""

    def __init__(self, options: LoadModel) -> None:
        """Raises `ModelLoadFailed`."""
        path = Path(options.path)
        core = _ov.Core()
        device = chosen(options.device.upper(), list(core.available_devices))
        self.context = options.context_size
        self._stateful = device.split(".")[0] == "NPU"
        with _failing(
            ModelLoadFailed,
            f"OpenVINO could not load {path.name} on {device}",
            "The file may be damaged, or of a kind that it does not read; docs/providers.md says"
            " which it reads.",
        ):
            self._open = partial(self._opened, path, device, options)
            self._pipeline = self._open()
            self._tokenizer = self._pipeline.get_tokenizer()
            self._read_vocabulary()
        self._evaluated: list[list[int]] = []
        self._keeps_prompts = not self._stateful

    def _opened(
        self, path: Path, device: str, options: LoadModel, *, keeps_prompts: bool = True
    ) -> Any:
        settings: dict[str, Any] = {}
        if device == "CPU" and options.threads:
            settings["INFERENCE_NUM_THREADS"] = options.threads
        if device == "CPU" and (options.threads or os.cpu_count()) == 1:
            # Its kernels for AMX, which compute with bf16, divide by zero on one thread (2026.4.1).
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        if self._stateful:
            settings |= {"MAX_PROMPT_LEN": options.context_size}
            return _genai.LLMPipeline(str(path), device, **settings)
        scheduling = _genai.SchedulerConfig()
        scheduling.num_kv_blocks = -(-options.context_size // BLOCK) + 1
        scheduling.max_num_batched_tokens = CHUNK
        scheduling.max_num_seqs = 1
        scheduling.dynamic_split_fuse = True
        scheduling.enable_prefix_caching = keeps_prompts
        return _genai.ContinuousBatchingPipeline(str(path), scheduling, device, settings)

    def _read_vocabulary(self) -> None:
        tokenizer = self._tokenizer
        words = tokenizer.get_vocab()
        self.vocabulary = len(words)
        self._pieces = ControlPieces(
            ((_text(word), int(token)) for word, token in words.items()), self._encode
        )
        self.fim = self._pieces.fim
        self.chat_template = str(tokenizer.chat_template or "")
        self.eos = str(tokenizer.get_eos_token())
        begin = int(tokenizer.get_bos_token_id())
        begun = tokenizer.encode("a").input_ids.data.tolist()[0]
        self._begin = [begin] if begun[:1] == [begin] else []
        own = {int(tokenizer.get_eos_token_id())}
        self._chat_ends = frozenset(
            own | {token for text, token in self._pieces.tokens.items() if _is_end(text)}
        )
        self._infill_ends = self._chat_ends | frozenset(self._pieces.tokens.values())

    def _encode(self, text: str) -> list[int]:
        tokens = self._tokenizer.encode(text, add_special_tokens=False).input_ids.data.tolist()[0]
        if len(tokens) < TOKENIZER_LIMIT or len(text) < 2:
            return [int(token) for token in tokens]
        middle = text.find("\n", len(text) // 2) + 1 or len(text) // 2
        middle = middle if middle < len(text) else len(text) // 2
        return [*self._encode(text[:middle]), *self._encode(text[middle:])]

    def tokenize(self, variant: Variant) -> list[int]:
        """See `Library`."""
        return [*self._begin, *self._pieces.tokenize(variant)]

    def text(self, tokens: list[int]) -> str:
        """See `Library`."""
        return str(self._tokenizer.decode(tokens)) if tokens else ""

    def ends(self, lane: str) -> frozenset[int]:
        """See `Library`. In a chat the model's own; elsewhere any control token begins something
        else."""
        return self._chat_ends if lane == "chat" else self._infill_ends

    def keep_apart(self, owner: str) -> None:
        """See `Library`. OpenVINO finds by the tokens alone what it has evaluated, and forgets
        nothing: from the first owner on it keeps nothing."""
        if not owner or not self._keeps_prompts:
            return
        with _failing(EngineError, "OpenVINO could not begin", "Ask again."):
            self._pipeline = None  # two of them may not fit into memory
            self._pipeline = self._open(keeps_prompts=False)
        self._keeps_prompts, self._evaluated = False, []

    def held(self, tokens: list[int]) -> int:
        """See `Library`: whole blocks of what was evaluated before. OpenVINO does not say what it
        still has; the oldest may be gone."""
        longest = max((common_prefix(other, tokens) for other in self._evaluated), default=0)
        return longest // BLOCK * BLOCK

    def generate(self, tokens: list[int], spec: Generate, most: int) -> RunningGeneration:
        """See `Library`."""
        config = _genai.GenerationConfig()
        config.max_new_tokens = most
        config.do_sample = spec.temperature > 0
        if spec.temperature > 0:
            config.temperature = spec.temperature
        config.logprobs = 0 if self._stateful else 1
        config.stop_token_ids = set(self.ends(spec.lane))
        config.include_stop_str_in_output = True
        if spec.schema and spec.call_marks is None:
            config.structured_output_config = _genai.StructuredOutputConfig(json_schema=spec.schema)
        ids = _ov.Tensor(np.array([tokens], dtype=np.int64))
        if self._stateful:
            return _Streamed(self._pipeline, ids, config)
        with _failing(EngineError, "OpenVINO could not begin", "Ask again."):
            return _Stepped(self, self._pipeline, tokens, ids, config)

    def note(self, tokens: list[int]) -> None:
        """Remember what the pipeline has evaluated, where it does."""
        if self._keeps_prompts:
            self._evaluated = [*self._evaluated[1 - REMEMBERED :], tokens]


class _Stepped:
    """A generation of the pipeline with continuous batching. `model` remembers what it read."""

    def __init__(
        self, model: OpenVinoModel, pipeline: Any, tokens: list[int], ids: Any, config: Any
    ) -> None:
        self._model = model
        self._pipeline = pipeline
        self._tokens = tokens
        self._handle = pipeline.add_request(0, ids, config)
        self._ended = False
        self._said: list[int] = []

    def step(self) -> list[Sampled] | None:
        """See `RunningGeneration`."""
        if self._ended:
            return None
        with _failing(EngineError, "OpenVINO could not go on", "Ask again."):
            self._pipeline.step()
            found = self._read()
            self._ended = not self._pipeline.has_non_finished_requests()
        if not found and self._ended:
            return None
        self._said += [one.token for one in found]
        return found

    def _read(self) -> list[Sampled]:
        found: list[Sampled] = []
        while self._handle.can_read():
            for output in self._handle.read().values():
                sure = [float(value) for value in output.generated_log_probs]
                tokens = [int(token) for token in output.generated_ids]
                sure += [0.0] * (len(tokens) - len(sure))
                found += [Sampled(*pair) for pair in zip(tokens, sure, strict=False)]
        return found

    def close(self) -> None:
        """See `RunningGeneration`."""
        if self._said:
            self._model.note([*self._tokens, *self._said[:-1]])
            self._said = []
        if not self._ended:
            self._ended = True
            self._handle.stop()
            while self._pipeline.has_non_finished_requests():
                self._pipeline.step()


class _Streamed:
    """A generation of the plain pipeline, in a thread of its own."""

    def __init__(self, pipeline: Any, ids: Any, config: Any) -> None:
        self._found: queue.SimpleQueue[Sampled | EngineError | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=self._generate, args=(pipeline, ids, config), name="generation", daemon=True
        )
        self._thread.start()

    def step(self) -> list[Sampled] | None:
        """See `RunningGeneration`. Waits for the next token."""
        found = self._found.get()
        if isinstance(found, EngineError):
            raise found
        return None if found is None else [found]

    def close(self) -> None:
        """See `RunningGeneration`."""
        self._closed.set()
        self._thread.join()

    def _generate(self, pipeline: Any, ids: Any, config: Any) -> None:
        try:
            with _failing(EngineError, "OpenVINO could not go on", "Ask again."):
                pipeline.generate(ids, config, _streamer(self._token))
            self._found.put(None)
        except EngineError as error:
            self._found.put(error)

    def _token(self, token: int) -> Any:
        self._found.put(Sampled(token))
        status = _genai.StreamingStatus
        return status.CANCEL if self._closed.is_set() else status.RUNNING


def _streamer(take: Any) -> Any:
    """Return a streamer that gives each token to `take`."""

    class Streamer(_genai.StreamerBase):  # type: ignore[misc]
        def write(self, token: int | list[int]) -> Any:
            tokens = token if isinstance(token, list) else [token]
            return [take(int(one)) for one in tokens][-1]

        def end(self) -> None:
            pass

    return Streamer()


def _text(word: bytes | str) -> str:
    return word if isinstance(word, str) else word.decode("utf-8", "replace")


def _is_end(text: str) -> bool:
    """Return whether a control token ends an answer, by the names that models have for that."""
    return any(word in text for word in ("end", "eot", "eos", "EOT", "</s>", "fim", "file_sep"))


def main(arguments: list[str]) -> None:
    """Work, or with `--devices` print the devices as JSON."""
    found = devices()
    if arguments == ["--devices"]:
        os.write(1, json.dumps(found).encode())
        return
    gpu = any(name.startswith(("GPU", "NPU")) for name in found)
    run(OpenVinoModel, str(_genai.get_version()), gpu=gpu)


if __name__ == "__main__":
    main(sys.argv[1:])
