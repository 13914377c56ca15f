"""The model: loading, the vocabulary, and tokens to bytes and back.

Everything that is fixed once a GGUF file is loaded. Runs in the worker only.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np

from nearfield.engine.bindings import c
from nearfield.engine.token_healing import ByteIndex, Ids
from nearfield.errors import ModelLoadFailed

GGUF_MAGIC = b"GGUF"


MAX_PIECE_BYTES = 4096
"""The longest token of a vocabulary, with room: runs of 1,024 blanks are known."""

FIM_TEXTS = (
    ("<[fim-prefix]>", "[PREFIX]"),
    ("<[fim-suffix]>", "[SUFFIX]"),
    ("<[fim-middle]>", "[MIDDLE]"),
    ("<repo_name>",),
    ("<file_sep>", "<|file_separator|>", "<|filename|>"),
)
"""Tokens for the prefix, suffix, middle, repository and file that llama.cpp does not know as such:
Seed-Coder's, Codestral's, StarCoder2's, CodeGemma's, Granite 4's."""

CONTROL_LIKE = re.compile(r"<.*>|[^\w\s]\S*[^\w\s]")
"""The text of a token that a vocabulary calls user-defined and that is a control token for all
that: in brackets, or between other signs. Runs of white space and single characters are none."""


class Silence:
    """Sends llama.cpp's log nowhere, but keeps its last lines for an error message.

    The reference to the callback must live as long as the library may call it: a collected one
    is a segmentation fault.
    """

    KEPT = 12

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._callback = c.llama_log_callback(self._log)
        c.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _log(self, _level: int, text: bytes, _data: object) -> None:
        line = text.decode("utf-8", "replace").strip()
        if line and line != ".":
            self.lines = [*self.lines[-self.KEPT :], line]


def check_file(path: Path) -> int:
    """Return the size in bytes of a GGUF file. Raises `ModelLoadFailed` when it is not one."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        size = path.stat().st_size
    except OSError as error:
        raise ModelLoadFailed(
            f"The model file {path.name} cannot be read: {error.strerror}.",
            "Run `nearfield models list` to see which models are there.",
        ) from error
    if magic != GGUF_MAGIC:
        raise ModelLoadFailed(
            f"{path.name} is not a GGUF model.",
            "Run `nearfield models pull NAME` to fetch one, or give the path of a .gguf file.",
        )
    return size


class Model:
    """A loaded GGUF model. `close()` frees it."""

    def __init__(
        self, path: Path, gpu_layers: int, progress: Callable[[float], None], log: Silence
    ) -> None:
        size = check_file(path)
        params = c.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        self._on_progress = c.llama_progress_callback(self._progress)
        self._report = progress
        params.progress_callback = self._on_progress
        log.lines = []
        self._log = log  # llama.cpp calls it as long as it lives
        self.ptr = c.llama_model_load_from_file(str(path).encode(), params)
        if not self.ptr:
            raise ModelLoadFailed(
                f"llama.cpp could not load {path.name}: {_reason(log.lines)}",
                "The file may be damaged or cut short: `nearfield models pull` fetches it again.",
            )
        self.bytes = size
        self._adapter: object | None = None
        self._adapter_scale = 1.0
        self.vocab = c.llama_model_get_vocab(self.ptr)
        self.vocabulary = int(c.llama_vocab_n_tokens(self.vocab))
        self.layers = int(c.llama_model_n_layer(self.ptr))
        self.context_train = int(c.llama_model_n_ctx_train(self.ptr))
        self.embedding = int(c.llama_model_n_embd(self.ptr))
        self.add_bos = bool(c.llama_vocab_get_add_bos(self.vocab))
        self.has_tails = not (
            c.llama_model_is_recurrent(self.ptr) or c.llama_model_is_hybrid(self.ptr)
        )
        """Whether the cache is a row of cells, whose last ones can be taken off again."""
        self._never: dict[str, Ids] = {}
        self._sentences = c.llama_vocab_type(self.vocab) == c.LLAMA_VOCAB_TYPE_SPM
        self.eos = int(c.llama_vocab_eos(self.vocab))
        self.name = self.meta("general.name") or path.stem

    def _progress(self, value: float, _data: object) -> bool:
        self._report(value)
        return True

    def adapt(self, path: Path, scale: float) -> None:
        """Load a LoRA adapter for every lane that is made from now on. Raises `ModelLoadFailed`."""
        check_file(path)
        self._log.lines = []
        self._adapter = c.llama_adapter_lora_init(self.ptr, str(path).encode())
        if not self._adapter:
            raise ModelLoadFailed(
                f"The adapter {path.name} does not fit {self.name}: {_reason(self._log.lines)}",
                "Register one that was trained on this model: `nearfield models add --lora`.",
            )
        self._adapter_scale = scale

    def apply_adapter(self, context: object) -> None:
        """Let the adapter, if there is one, change what a context computes. It is freed with the
        model. Raises `ModelLoadFailed`."""
        if self._adapter is None:
            return
        adapters = (c.llama_adapter_lora_p_ctypes * 1)(self._adapter)
        scales = (ctypes.c_float * 1)(self._adapter_scale)
        if c.llama_set_adapters_lora(context, adapters, 1, scales):
            raise ModelLoadFailed(f"llama.cpp could not apply the adapter of {self.name}.")

    def close(self) -> None:
        """Free the weights. Every lane over them must be closed before."""
        if self.ptr:
            c.llama_model_free(self.ptr)
            self.ptr = None

    def meta(self, key: str) -> str:
        """Return a metadata value of the file, "" if it has none."""
        size = 1 << 16
        buffer = ctypes.create_string_buffer(size)
        length = c.llama_model_meta_val_str(self.ptr, key.encode(), buffer, size)
        return buffer.value.decode("utf-8", "replace") if length >= 0 else ""

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of a token in the KV cache (f16 keys and values)."""
        heads = max(1, int(c.llama_model_n_head(self.ptr)))
        width = self.embedding // heads * int(c.llama_model_n_head_kv(self.ptr))
        return self.layers * width * 2 * 2

    # --- tokens -------------------------------------------------------------------------

    def tokenize(self, text: str, special: bool = False) -> list[int]:
        """Return the tokens of `text`. Control tokens are recognised only when `special`.

        llama.cpp recognises a user-defined token, such as "<tool_call>", in any text. Where it did,
        the text is tokenized in two parts, so that a document cannot contain one.

        A SentencePiece vocabulary takes every text for the beginning of a sentence and puts a
        space before it. A prompt's pieces follow one another, so a line break, which joins with
        nothing, goes first and is taken off again.
        """
        if special or not text:
            return self._tokens(text, special)
        tokens = self._plain(text)
        if self.forgeable.keys().isdisjoint(tokens):
            return tokens
        begin, parts = 0, list[str]()
        while found := self._forged.search(text, begin):
            parts.append(text[begin : found.start() + 1])
            begin = found.start() + 1
        return [token for part in (*parts, text[begin:]) for token in self._plain(part)]

    def _plain(self, text: str) -> list[int]:
        if not self._sentences:
            return self._tokens(text, special=False)
        lead = self._tokens("\n", special=False)
        whole = self._tokens("\n" + text, special=False)
        return whole[len(lead) :] if whole[: len(lead)] == lead else whole

    def _tokens(self, text: str, special: bool) -> list[int]:
        raw = text.encode("utf-8", "replace")
        size = len(raw) + 8
        buffer = (c.llama_token * size)()
        count = c.llama_tokenize(self.vocab, raw, len(raw), buffer, size, False, special)
        if count < 0:
            size = -count
            buffer = (c.llama_token * size)()
            count = c.llama_tokenize(self.vocab, raw, len(raw), buffer, size, False, special)
        return buffer[:count]

    @cached_property
    def _attributes(self) -> list[int]:
        return [int(c.llama_vocab_get_attr(self.vocab, t)) for t in range(self.vocabulary)]

    @cached_property
    def forgeable(self) -> dict[int, str]:
        """The user-defined tokens that look like control tokens, and their texts."""
        kind = c.LLAMA_TOKEN_ATTR_USER_DEFINED
        own = [token for token, attribute in enumerate(self._attributes) if attribute & kind]
        texts = ((token, self.control_text(token)) for token in own)
        return {token: text for token, text in texts if CONTROL_LIKE.fullmatch(text)}

    @cached_property
    def _forged(self) -> re.Pattern[str]:
        texts = sorted(self.forgeable.values(), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, texts)))

    @cached_property
    def bos(self) -> list[int]:
        """The tokens that every prompt must begin with."""
        token = int(c.llama_vocab_bos(self.vocab))
        return [token] if self.add_bos and token >= 0 else []

    @cached_property
    def pieces(self) -> list[bytes]:
        """The bytes of every token; b"" for control tokens."""
        buffer = ctypes.create_string_buffer(MAX_PIECE_BYTES)
        found: list[bytes] = []
        for token in range(self.vocabulary):
            length = c.llama_token_to_piece(self.vocab, token, buffer, MAX_PIECE_BYTES, 0, False)
            found.append(buffer.raw[:length] if length > 0 else b"")
        return found

    @cached_property
    def byte_index(self) -> ByteIndex:
        """Tokens by the bytes that they begin with, for healing."""
        return ByteIndex(self.pieces)

    def ends(self, lane: str) -> frozenset[int]:
        """Return the tokens that end a generation: in a chat the model's own and those for
        infilling; elsewhere any control token, since each begins something else (another file, a
        turn, another hole), by whatever name a family has for it."""
        return self._chat_ends if lane == "chat" else self._infill_ends

    @cached_property
    def _chat_ends(self) -> frozenset[int]:
        own = [t for t in range(self.vocabulary) if c.llama_vocab_is_eog(self.vocab, t)]
        padding = c.llama_vocab_fim_pad(self.vocab)
        return frozenset(t for t in [padding, *self._fim, *own] if t >= 0)

    @cached_property
    def _infill_ends(self) -> frozenset[int]:
        control, unused = c.LLAMA_TOKEN_ATTR_CONTROL, c.LLAMA_TOKEN_ATTR_UNUSED
        return self._chat_ends | {
            token
            for token, attribute in enumerate(self._attributes)
            if attribute & control and not attribute & unused
        }

    def never(self, lane: str) -> Ids:
        """Return the tokens with no bytes that do not end a generation: they may not be
        sampled."""
        if lane not in self._never:
            ends = self.ends(lane)
            found = (t for t, piece in enumerate(self.pieces) if not piece and t not in ends)
            self._never[lane] = np.fromiter(found, dtype=np.int64)
        return self._never[lane]

    def control_text(self, token: int) -> str:
        """Return the text of a control token, "" for no token."""
        if token < 0:
            return ""
        return (c.llama_vocab_get_text(self.vocab, token) or b"").decode("utf-8", "replace")

    @cached_property
    def _fim(self) -> list[int]:
        """The prefix, suffix, middle, repository and file-separator tokens, -1 for none."""
        known = (
            c.llama_vocab_fim_pre(self.vocab),
            c.llama_vocab_fim_suf(self.vocab),
            c.llama_vocab_fim_mid(self.vocab),
            c.llama_vocab_fim_rep(self.vocab),
            c.llama_vocab_fim_sep(self.vocab),
        )
        found = [int(token) for token in known]
        for i, texts in enumerate(FIM_TEXTS):
            for text in texts:
                tokens = self._tokens(text, special=True)
                if found[i] < 0 and len(tokens) == 1 and self.control_text(tokens[0]) == text:
                    found[i] = tokens[0]
        return found

    @property
    def fim(self) -> list[str]:
        """The texts of the prefix, suffix, middle, repository and file-separator tokens."""
        return [self.control_text(token) for token in self._fim]


def _reason(lines: list[str]) -> str:
    """Return the line of llama.cpp's log that says most about why a load failed."""
    telling = [line for line in lines if "error" in line.lower() or "fail" in line.lower()]
    text = (telling or lines or ["no reason given"])[0]
    return text.split("error loading model: ")[-1].rstrip(".") + "."
