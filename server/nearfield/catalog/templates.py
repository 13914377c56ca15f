"""Fill-in-the-middle and chat templates by name, as `catalog.toml` refers to them.

A FIM template holds the control tokens' exact texts in the model's vocabulary, so a tokenizer that
parses control tokens turns each into one token. The source of each is given beside it. A model
without control tokens for infilling has no template; its entry's `fim` is empty.

Chat templates are here only for models whose GGUF file carries none of its own; entries say `chat =
"gguf"` for the file's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearfield.types import FimTemplate, Message, Role

# The vocabulary's own tokens decide (llama.cpp's `llama_vocab_fim_*`): for files without an entry.
FIM_AUTO = "auto"
# The template that the GGUF file carries (`tokenizer.chat_template`).
CHAT_OF_FILE = "gguf"

_FIM = (
    # github.com/QwenLM/Qwen2.5-Coder, "File-Level" and "Repository-Level Code Completion":
    # repository form "<|repo_name|>NAME\n<|file_sep|>PATH\nTEXT…"; Qwen3-Coder keeps the tokens.
    FimTemplate(
        name="qwen",
        prefix="<|fim_prefix|>",
        suffix="<|fim_suffix|>",
        middle="<|fim_middle|>",
        file_sep="<|file_sep|>",
        repo_name="<|repo_name|>",
        end=(
            "<|endoftext|>",
            "<|fim_prefix|>",
            "<|fim_suffix|>",
            "<|fim_middle|>",
            "<|fim_pad|>",
            "<|repo_name|>",
            "<|file_sep|>",
            "<|im_start|>",
            "<|im_end|>",
        ),
    ),
    # Model card of deepseek-ai/deepseek-coder-1.3b-base, "Code Insertion". The bars are U+FF5C and
    # the blanks U+2581; the hole comes between prefix and suffix and "end" asks for the middle.
    FimTemplate(
        name="deepseek-coder",
        prefix="<｜fim▁begin｜>",  # noqa: RUF001 (the token is written so)
        suffix="<｜fim▁hole｜>",  # noqa: RUF001 (the token is written so)
        middle="<｜fim▁end｜>",  # noqa: RUF001 (the token is written so)
        end=("<｜end▁of▁sentence｜>", "<|EOT|>"),  # noqa: RUF001 (the token is written so)
    ),
    # transformers' CodeLlamaTokenizer (prefix_token, …): one SentencePiece token each, and U+2581
    # is a part of its text, so the plain " <PRE>" of the prompt examples would not be found.
    FimTemplate(
        name="codellama",
        prefix="▁<PRE>",
        suffix="▁<SUF>",
        middle="▁<MID>",
        end=("▁<EOT>",),
    ),
    # bigcode/starcoder2-3b, tokenizer.json, and the StarCoder2 paper (arXiv 2402.19173, section
    # 5.1): repository form "<repo_name>NAME<file_sep>PATH\nTEXT…".
    FimTemplate(
        name="starcoder2",
        prefix="<fim_prefix>",
        suffix="<fim_suffix>",
        middle="<fim_middle>",
        file_sep="<file_sep>",
        repo_name="<repo_name>",
        end=("<|endoftext|>", "<fim_pad>", "<file_sep>", "<repo_name>"),
    ),
    # ibm-granite/granite-3b-code-base-2k uses StarCoder's first tokenizer, whose names of files and
    # repositories were never documented for Granite: file-level infilling only.
    FimTemplate(
        name="granite-code",
        prefix="<fim_prefix>",
        suffix="<fim_suffix>",
        middle="<fim_middle>",
        end=("<|endoftext|>", "<fim_pad>"),
    ),
    # Model card of google/codegemma-2b, "For Code Completion"; several files are joined by the
    # separator, which also ends a middle.
    FimTemplate(
        name="codegemma",
        prefix="<|fim_prefix|>",
        suffix="<|fim_suffix|>",
        middle="<|fim_middle|>",
        file_sep="<|file_separator|>",
        end=(
            "<|file_separator|>",
            "<|fim_prefix|>",
            "<|fim_suffix|>",
            "<|fim_middle|>",
            "<end_of_turn>",
        ),
    ),
    # Granite 4.0's model cards, "Fill-in-the-Middle"; how its tokens for files are used is not
    # described: file-level infilling only.
    FimTemplate(
        name="granite-4",
        prefix="<|fim_prefix|>",
        suffix="<|fim_suffix|>",
        middle="<|fim_middle|>",
        end=("<|end_of_text|>", "<|fim_pad|>", "<|filename|>", "<|reponame|>"),
    ),
    # Model card of JetBrains/Mellum-4b-base, "Fill-in-the-Middle with additional files as context":
    # the files with their names, then suffix, prefix, middle.
    FimTemplate(
        name="mellum",
        prefix="<fim_prefix>",
        suffix="<fim_suffix>",
        middle="<fim_middle>",
        order="spm",
        file_sep="<filename>",
        end=("<|endoftext|>", "<fim_pad>", "<filename>", "<reponame>"),
    ),
    # Seed-Coder's README, "Fill-in-the-Middle": suffix first, and a file's name where its text is.
    FimTemplate(
        name="seed-coder",
        prefix="<[fim-prefix]>",
        suffix="<[fim-suffix]>",
        middle="<[fim-middle]>",
        order="spm",
        file_sep="<filename>",
        files_inside=True,
        end=("<[end▁of▁sentence]>", "<[fim-prefix]>", "<[fim-suffix]>", "<filename>"),
    ),
    # mistral-common, InstructTokenizerV2.encode_fim: [SUFFIX] suffix [PREFIX] prefix, and the
    # middle follows with no token of its own.
    FimTemplate(
        name="codestral",
        prefix="[PREFIX]",
        suffix="[SUFFIX]",
        middle="",
        order="spm",
        end=("</s>", "[PREFIX]", "[SUFFIX]", "[MIDDLE]"),
    ),
)
_FIM_BY_NAME = {template.name: template for template in _FIM}


def fim_template(name: str) -> FimTemplate | None:
    """Return the template of that name; None for "" and for `FIM_AUTO`, which the engine resolves.

    Raises `KeyError` for any other name: the catalogue is checked before it comes here.
    """
    if name in ("", FIM_AUTO):
        return None
    return _FIM_BY_NAME[name]


def fim_names() -> tuple[str, ...]:
    """Return the values that an entry's `fim` may have, besides "" and `FIM_AUTO`."""
    return tuple(_FIM_BY_NAME)


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A chat form in plain text: the texts before and after each turn of a role.

    `default_system` is put first when the conversation has no system turn. `stop` are texts that
    mean the model has begun the next turn by itself.
    """

    name: str
    system: tuple[str, str]
    user: tuple[str, str]
    assistant: tuple[str, str]
    default_system: str = ""
    stop: tuple[str, ...] = ()

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt for the next assistant turn. Tool turns are shown as the user's."""
        parts: list[str] = []
        if self.default_system and (not messages or messages[0].role is not Role.SYSTEM):
            parts.append(self.default_system.join(self.system))
        around = {Role.SYSTEM: self.system, Role.ASSISTANT: self.assistant}
        parts += [m.content.join(around.get(m.role, self.user)) for m in messages]
        return "".join(parts) + self.assistant[0]


_ALPACA_SYSTEM = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request."
)

_CHAT = (
    # Model card of WizardLM/WizardCoder-Python-7B-V1.0, "Inference".
    ChatTemplate(
        name="alpaca",
        system=("", "\n\n"),
        user=("### Instruction:\n", "\n\n"),
        assistant=("### Response:", "\n\n"),
        default_system=_ALPACA_SYSTEM,
        stop=("### Instruction:",),
    ),
    # tokenizer_config.json of deepseek-ai/deepseek-coder-1.3b-instruct, its `chat_template`.
    ChatTemplate(
        name="deepseek-coder",
        system=("", "\n"),
        user=("### Instruction:\n", "\n"),
        assistant=("### Response:\n", "\n<|EOT|>\n"),
        default_system="You are an AI programming assistant.",
        stop=("<|EOT|>", "### Instruction:"),
    ),
    # Model card of Phind/Phind-CodeLlama-34B-v2, "How to Prompt the Model".
    ChatTemplate(
        name="phind",
        system=("### System Prompt\n", "\n\n"),
        user=("### User Message\n", "\n\n"),
        assistant=("### Assistant\n", "\n\n"),
        default_system="You are an intelligent programming assistant.",
        stop=("### User Message",),
    ),
)
_CHAT_BY_NAME = {template.name: template for template in _CHAT}


def chat_template(name: str) -> ChatTemplate | None:
    """Return the template of that name; None for "" (cannot chat) and for `CHAT_OF_FILE`.

    Raises `KeyError` for any other name: the catalogue is checked before it comes here.
    """
    if name in ("", CHAT_OF_FILE):
        return None
    return _CHAT_BY_NAME[name]


def chat_names() -> tuple[str, ...]:
    """Return the values that an entry's `chat` may have, besides "" and `CHAT_OF_FILE`."""
    return tuple(_CHAT_BY_NAME)
