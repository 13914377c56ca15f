"""The kinds of endpoints that can be added, with what each reaches and its usual address."""

from __future__ import annotations

import msgspec

from nearfield.providers import anthropic, llama_server, ollama
from nearfield.providers.presets import PRESETS
from nearfield.providers.registry import kinds

USUAL = {
    "llama_server": llama_server.DEFAULT_URL,
    "ollama": ollama.DEFAULT_URL,
    "anthropic": anthropic.DEFAULT_URL,
}
COMPATIBLE = "openai_compatible"

WORDS = {
    "llama_server": "The server of llama.cpp. It has one model, which needs no name.",
    "ollama": "Ollama. The model is a name as `ollama list` prints it.",
    COMPATIBLE: "Any server that speaks OpenAI's protocol. It needs an address and a model.",
    "anthropic": "Anthropic's service. It needs a model and a key, and your consent.",
    "onnx": "ONNX Runtime GenAI on this machine, as for Phi. It needs a folder as its model.",
    "openvino": "OpenVINO on this machine: a CPU, a GPU or an NPU of Intel's. It needs a model.",
    "scripted": "Answers of your own, for tests.",
}
"""What each kind reaches, and what has to be said. A plugin's kind has no words."""

PRESET_WORDS = {
    "lmstudio": "LM Studio. Start its server in the tab Developer.",
    "vllm": "vLLM.",
    "sglang": "SGLang.",
    "litellm": "LiteLLM, which passes requests on: it counts as outside this machine.",
    "lemonade": "AMD's Lemonade.",
    "foundry_local": "Foundry Local. `foundry service status` prints its address.",
    "openvino": "OpenVINO Model Server.",
    "openai": "OpenAI's service. It needs a model and a key, and your consent.",
    "azure": "Azure OpenAI. It needs an address, a deployment as the model, and a key.",
    "gemini": "Google's Gemini. It needs a model and a key, and your consent.",
    "mistral": "Mistral's service. It needs a model and a key, and your consent.",
    "deepseek": "DeepSeek's service. It needs a model and a key, and your consent.",
}
"""The same of the presets of servers that speak OpenAI's protocol."""


class EndpointKind(msgspec.Struct, frozen=True):
    """A kind, and the preset of it, "" for none; the address that it has without one."""

    kind: str
    preset: str
    usual_url: str
    words: str


def endpoint_kinds() -> list[EndpointKind]:
    """Return every kind that can be added, and every preset of the servers that speak OpenAI's
    protocol."""
    own = [EndpointKind(kind, "", USUAL.get(kind, ""), WORDS.get(kind, "")) for kind in kinds()]
    presets = [
        EndpointKind(COMPATIBLE, name, preset.base_url, PRESET_WORDS.get(name, ""))
        for name, preset in PRESETS.items()
        if name
    ]
    return [*own, *presets]
