"""An ONNX model of some kilobytes: a table of random weights says which tokens follow each one.

Its vocabulary is the bytes and the control tokens of Phi-3, and it only ever writes letters of
ASCII. It holds a cache of keys and values as real ones do, and takes nothing from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tests.tiny_gguf import byte_letters

CONTROL = ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>")
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>\n{{ message.content }}<|end|>\n"
    "{% endfor %}"
    "<|assistant|>\n"
)
HEAD, CONTEXT = 8, 512


def write(folder: Path) -> Path:
    """Write the model's folder."""
    words = [*byte_letters(), "in", *CONTROL]
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_graph(words), folder / "model.onnx")
    files = {"genai_config.json": _config(words), **_tokenizer(words)}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def _graph(words: list[str]) -> onnx.ModelProto:
    random = np.random.default_rng(7)
    table = np.full((len(words), len(words)), -30, np.float32)
    letters = [at for at, word in enumerate(words[:256]) if word.isascii() and word.isalpha()]
    table[:, letters] = random.normal(0, 1, (len(words), len(letters)))
    cells = np.zeros((len(words), HEAD), np.float32)
    constants = {"table": table, "cells": cells, "one": np.array([1], np.int64)}
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["logits"]),
        helper.make_node("Gather", ["cells", "input_ids"], ["rows"]),
        helper.make_node("Unsqueeze", ["rows", "one"], ["new"]),
        helper.make_node("Concat", ["past.0.key", "new"], ["present.0.key"], axis=2),
        helper.make_node("Concat", ["past.0.value", "new"], ["present.0.value"], axis=2),
    ]
    integer, real = TensorProto.INT64, TensorProto.FLOAT
    inputs = [
        helper.make_tensor_value_info("input_ids", integer, ["batch", "length"]),
        helper.make_tensor_value_info("attention_mask", integer, ["batch", "total"]),
        *(_cells(f"past.0.{one}", "held") for one in ("key", "value")),
    ]
    outputs = [
        helper.make_tensor_value_info("logits", real, ["batch", "length", len(words)]),
        *(_cells(f"present.0.{one}", "total") for one in ("key", "value")),
    ]
    given = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return model


def _cells(name: str, length: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, length, HEAD])


def _config(words: list[str]) -> dict[str, Any]:
    end = words.index("<|end|>")
    decoder = {
        "session_options": {"provider_options": []},
        "filename": "model.onnx",
        "head_size": HEAD,
        "hidden_size": HEAD,
        "num_attention_heads": 1,
        "num_hidden_layers": 1,
        "num_key_value_heads": 1,
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "past_key_names": "past.%d.key",
            "past_value_names": "past.%d.value",
        },
        "outputs": {
            "logits": "logits",
            "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
    }
    return {
        "model": {
            "type": "phi3",
            "context_length": CONTEXT,
            "vocab_size": len(words),
            "bos_token_id": end - 4,
            "eos_token_id": [end - 4, end],
            "pad_token_id": end - 4,
            "decoder": decoder,
        },
        "search": {"max_length": CONTEXT, "past_present_share_buffer": False},
    }


def _tokenizer(words: list[str]) -> dict[str, Any]:
    vocabulary = {word: at for at, word in enumerate(words) if word not in CONTROL}
    added = [
        {"id": words.index(word), "content": word, "special": True, "single_word": False,
         "lstrip": False, "rstrip": False, "normalized": False}
        for word in CONTROL
    ]  # fmt: skip
    whole = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "tokenizer.json": {
            "version": "1.0",
            "added_tokens": added,
            "pre_tokenizer": {**whole, "use_regex": True},
            "decoder": whole,
            "model": {"type": "BPE", "vocab": vocabulary, "merges": ["i n"]},
        },
        "tokenizer_config.json": {
            "tokenizer_class": "GPT2Tokenizer",
            "add_bos_token": False,
            "bos_token": "<|endoftext|>",
            "eos_token": "<|end|>",
            "chat_template": TEMPLATE,
        },
    }
