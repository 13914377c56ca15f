"""The child process that runs a model by ONNX Runtime GenAI.

`python -m nearfield.engine.onnx_worker` takes the engine's commands, see `frames`; jobs go one at a
time, see `serial`. A model is a folder with `genai_config.json`, which says the device that it was
made for. A prompt is read by steps of `CHUNK` tokens; what it shares with the one before is not
read again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.engine.control_pieces import ControlPieces
from nearfield.engine.frames import Generate, LoadModel, Variant
from nearfield.engine.kv_cache import common_prefix
from nearfield.engine.serial import RunningGeneration, Sampled
from nearfield.engine.serial_worker import run
from nearfield.errors import EngineError, ModelLoadFailed
from nearfield.files.lines import split_lines

# A compiled module without types.
_genai: Any = import_module("onnxruntime_genai")
_genai.disable_telemetry_events()

CHUNK = 64
"""Prompt tokens a step, as in the compiled engine."""


@contextlib.contextmanager
def _failing(what: type[EngineError], message: str, hint: str) -> Generator[None]:
    """Turn what the library raises into an `EngineError`, with its first line."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        said = split_lines(str(error).strip()) or ["no reason"]
        raise what(f"{message}: {said[0][:300]}", hint) from error


class OnnxModel:
    """A loaded model, as `serial.Library` wants it."""

    def __init__(self, options: LoadModel) -> None:
        """Raises `ModelLoadFailed`."""
        folder = Path(options.path)
        with _failing(
            ModelLoadFailed,
            f"ONNX Runtime could not load {folder.name}",
            "The folder may be incomplete, or made for a device that is not here: try the option"
            ' device = "CPU".',
        ):
            about = json.loads((folder / "genai_config.json").read_text("utf-8"))["model"]
            config = _genai.Config(str(folder))
            if options.device == "CPU":
                config.clear_providers()
            if options.threads:
                session = {"session_options": {"intra_op_num_threads": options.threads}}
                config.overlay(json.dumps({"model": {"decoder": session}}))
            self._model = _genai.Model(config)
            self._tokenizer = _genai.Tokenizer(self._model)
            self.context = min(options.context_size, int(about["context_length"]))
            self.vocabulary = int(about["vocab_size"])
            self._read_tokenizer(folder)
        self._plain: Any = None
        self._tokens: list[int] = []
        """The tokens that `_plain` has evaluated, for `_owner`."""
        self._owner = ""

    def _read_tokenizer(self, folder: Path) -> None:
        tokenizer = self._tokenizer
        added = _json(folder / "tokenizer.json").get("added_tokens", [])
        control = [(str(one["content"]), int(one["id"])) for one in added]
        begun, bos = self._raw("a"), int(tokenizer.bos_token_id)
        self._begin = [bos] if begun[:1] == [bos] else []
        self._pieces = ControlPieces(control, self._encode)
        self.fim = self._pieces.fim
        self.chat_template = _template(folder)
        ends = [int(token) for token in tokenizer.eos_token_ids]
        self.eos = self.text(ends[:1])
        self._chat_ends = frozenset(ends)
        self._infill_ends = self._chat_ends | frozenset(self._pieces.tokens.values())

    def _raw(self, text: str) -> list[int]:
        return [int(token) for token in self._tokenizer.encode(text)]

    def _encode(self, text: str) -> list[int]:
        return self._raw(text)[len(self._begin) :]

    def tokenize(self, variant: Variant) -> list[int]:
        """See `Library`."""
        return [*self._begin, *self._pieces.tokenize(variant)]

    def text(self, tokens: list[int]) -> str:
        """See `Library`."""
        return str(self._tokenizer.decode(np.array(tokens, np.int32))) if tokens else ""

    def ends(self, lane: str) -> frozenset[int]:
        """See `Library`."""
        return self._chat_ends if lane == "chat" else self._infill_ends

    def keep_apart(self, owner: str) -> None:
        """See `Library`."""
        if owner != self._owner:
            self._plain, self._tokens, self._owner = None, [], owner

    def held(self, tokens: list[int]) -> int:
        """See `Library`."""
        return common_prefix(self._tokens, tokens)

    def generate(self, tokens: list[int], spec: Generate, most: int) -> RunningGeneration:
        """See `Library`."""
        with _failing(EngineError, "ONNX Runtime could not begin", "Ask again."):
            if spec.schema and spec.call_marks is None:
                return _Guided(self._generator(spec.temperature, spec.schema), tokens)
            return _Sampling(self, tokens, spec.temperature)

    def rewound(self, tokens: list[int]) -> tuple[Any, int]:
        """Return the generator that holds the beginning of `tokens`, and of how many."""
        shared = min(self.held(tokens), len(tokens) - 1)
        if self._plain is None or not shared:
            self._plain, shared = self._generator(0.0), 0
        elif shared < len(self._tokens):
            self._plain.rewind_to(shared)
        self._tokens = tokens[:shared]
        return self._plain, shared

    def evaluate(self, tokens: list[int]) -> None:
        """Evaluate more tokens, and remember them. What fails leaves nothing to go on from."""
        plain, self._plain = self._plain, None
        plain.append_tokens(np.array(tokens, np.int32))
        self._plain = plain
        self._tokens += tokens

    def _generator(self, temperature: float, schema: str = "") -> Any:
        params = _genai.GeneratorParams(self._model)
        search: dict[str, Any] = {"max_length": self.context, "do_sample": temperature > 0}
        if temperature > 0:
            search["temperature"] = temperature
        params.set_search_options(**search)
        if schema:
            params.set_guidance("json_schema", schema)
        return _genai.Generator(self._model, params)


class _Sampling:
    """A generation whose tokens are chosen here, from the logits."""

    def __init__(self, model: OnnxModel, tokens: list[int], temperature: float) -> None:
        self._model = model
        self._generator, shared = model.rewound(tokens)
        self._todo = tokens[shared:]
        self._temperature = temperature
        self._random = np.random.default_rng()

    def step(self) -> list[Sampled] | None:
        """See `RunningGeneration`."""
        part, self._todo = self._todo[:CHUNK], self._todo[CHUNK:]
        with _failing(EngineError, "ONNX Runtime could not go on", "Ask again."):
            self._model.evaluate(part)
            if self._todo:
                return []
            logits = np.asarray(self._generator.get_logits(), np.float32).reshape(-1)
        token, sure = self._chosen(logits[-self._model.vocabulary :])
        self._todo = [token]
        return [Sampled(token, sure)]

    def _chosen(self, logits: npt.NDArray[np.float32]) -> tuple[int, float]:
        shifted = logits - logits.max()
        logs = shifted - np.log(np.exp(shifted).sum())
        token = int(logs.argmax())
        if self._temperature > 0:
            weights = np.exp(shifted.astype(np.float64) / self._temperature)
            token = int(self._random.choice(len(weights), p=weights / weights.sum()))
        return token, float(logs[token])

    def close(self) -> None:
        """See `RunningGeneration`."""


class _Guided:
    """A generation that the library holds to a schema, by a generator of its own."""

    def __init__(self, generator: Any, tokens: list[int]) -> None:
        self._generator = generator
        self._todo = tokens

    def step(self) -> list[Sampled] | None:
        """See `RunningGeneration`."""
        with _failing(EngineError, "ONNX Runtime could not go on", "Ask again."):
            if self._todo:
                part, self._todo = self._todo[:CHUNK], self._todo[CHUNK:]
                self._generator.append_tokens(np.array(part, np.int32))
                if self._todo:
                    return []
            if self._generator.is_done():
                return None
            self._generator.generate_next_token()
            return [Sampled(int(token)) for token in self._generator.get_next_tokens()]

    def close(self) -> None:
        """See `RunningGeneration`."""


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _template(folder: Path) -> str:
    """Return the chat template of a model's folder, "" for none."""
    own = folder / "chat_template.jinja"
    if own.is_file():
        return own.read_text("utf-8")
    said = _json(folder / "tokenizer_config.json").get("chat_template", "")
    return said if isinstance(said, str) else ""


if __name__ == "__main__":
    run(OnnxModel, str(_genai.__version__), gpu=bool(_genai.is_cuda_available()))
