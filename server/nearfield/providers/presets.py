"""The particulars of each server that speaks OpenAI's protocol.

A preset only fills in what the user has not set. Addresses, paths and variables are those of each
project's own documentation; where a server's port is chosen at run time, base_url has to be set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Infill = Literal["none", "suffix", "template"]


@dataclass(frozen=True, slots=True)
class Preset:
    """A kind of server.

    `infill` says how it fills in: "suffix" sends prefix and suffix apart, "template" a raw prompt
    in the model family's own control tokens. Paths may hold `{model}` (Azure's deployment).
    `thinking_off` says how a reasoning model is kept from thinking: by a variable of its chat
    template, or by OpenAI's `reasoning_effort`. `passes_on` marks servers that usually pass
    requests on, so that their loopback address does not count as local. `salts` marks servers that
    keep what they have evaluated apart by a request's `cache_salt`.
    """

    name: str
    base_url: str = ""
    key_env: tuple[str, ...] = ()
    key_required: bool = False
    key_header: str = ""
    infill: Infill = "template"
    chat_path: str = "/chat/completions"
    infill_path: str = "/completions"
    models_path: str = "/models"
    query: dict[str, str] = field(default_factory=dict[str, str])
    max_tokens_field: str = "max_tokens"
    stream_usage: bool = True
    logprobs: bool = False
    passes_on: bool = False
    salts: bool = False
    thinking_off: Literal["", "template", "effort"] = ""


_PRESETS = (
    Preset("", infill="template"),
    Preset("lmstudio", "http://127.0.0.1:1234/v1"),
    # vLLM refuses `suffix`; its counts come with `stream_options`.
    Preset(
        "vllm",
        "http://127.0.0.1:8000/v1",
        ("VLLM_API_KEY",),
        logprobs=True,
        salts=True,
        thinking_off="template",
    ),
    Preset(
        "sglang", "http://127.0.0.1:30000/v1", logprobs=True, salts=True, thinking_off="template"
    ),
    # A gateway to other services, mostly clouds.
    Preset(
        "litellm",
        "http://127.0.0.1:4000/v1",
        ("LITELLM_API_KEY", "LITELLM_MASTER_KEY"),
        infill="suffix",
        passes_on=True,
    ),
    # AMD Lemonade, the server used by Gaia.
    Preset("lemonade", "http://127.0.0.1:13305/api/v1", ("LEMONADE_API_KEY",)),
    # Foundry Local takes a free port; `foundry service status` prints the address. ONNX Runtime
    # GenAI has no FIM form for Phi-3.
    Preset("foundry_local", infill="none", stream_usage=False),
    # OpenVINO Model Server, which also reaches the NPU.
    Preset("openvino", "http://127.0.0.1:8000/v3", infill="template"),
    Preset(
        "openai",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        key_required=True,
        infill="none",
        max_tokens_field="max_completion_tokens",
        thinking_off="effort",
    ),
    Preset(
        "azure",
        key_env=("AZURE_OPENAI_API_KEY",),
        key_required=True,
        key_header="api-key",
        infill="none",
        chat_path="/openai/deployments/{model}/chat/completions",
        infill_path="/openai/deployments/{model}/completions",
        models_path="/openai/models",
        query={"api-version": "2024-10-21"},
        max_tokens_field="max_completion_tokens",
        thinking_off="effort",
    ),
    Preset(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        key_required=True,
        infill="none",
    ),
    # Codestral fills in at its own endpoint, which answers as chat does.
    Preset(
        "mistral",
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY",),
        key_required=True,
        infill="suffix",
        infill_path="/fim/completions",
        stream_usage=False,
    ),
    # FIM is a beta of its own path on the same host.
    Preset(
        "deepseek",
        "https://api.deepseek.com",
        ("DEEPSEEK_API_KEY",),
        key_required=True,
        infill="suffix",
        infill_path="/beta/completions",
    ),
)
PRESETS = {preset.name: preset for preset in _PRESETS}
