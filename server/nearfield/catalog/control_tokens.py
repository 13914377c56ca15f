"""The control tokens of the model families that are in use, as text.

A model server is meant to hide these tokens, or to end an answer at them. Many do not: a template
that lacks a stop token, a base model behind a chat endpoint, a quantised file that lost a token's
type. `routing/plain_text.py` keeps them out of documents. This module holds the data alone.

The groups differ in their effect:

- `STARTS` come before an answer and are left out there: the begin of the sequence, a turn's header,
  the token that asks for the middle.
- `types.REASONING` opens a passage that is not the answer.
- Everything else, and a start that comes later, ends the answer.
"""

from __future__ import annotations

import re

SHAPES = (
    # Qwen, Llama 3, Phi, Granite 3, Yi, GLM, Kimi, Command R, StableCode, CodeGemma, InCoder,
    # DeepSeek's <|EOT|>, gpt-oss (harmony), Zeta, Sweep and most others: no language writes so.
    r"<\|/?[A-Za-z_][\w▁:./=+-]*(?: [\w./=-]+)*\|>",
    # DeepSeek and Hunyuan: bars are U+FF5C, blanks U+2581.
    r"<｜[^｜<>\n]{1,48}｜>",  # noqa: RUF001 (the tokens are written so)
    # Gemma's and T5's spare tokens, Nemotron's, Baichuan's, InternLM's.
    r"<(?:unused|extra_id_|SPECIAL_|reserved_|TOKENS_UNUSED_)\d{1,4}>",
    # StarCoder's repository form: a path follows at once, which it does in no usage text.
    r"<(?:filename|reponame)>(?=[\w./])",
)

EXACT = (
    # StarCoder, StarCoder 2, Refact, StableCode, Granite Code, CodeShell, Mellum.
    *("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>"),
    *("<file_sep>", "<repo_name>", "<gh_stars>", "<jupyter_start>", "<jupyter_text>"),
    *("<jupyter_code>", "<jupyter_output>", "<jupyter_script>", "<empty_output>"),
    *("<commit_before>", "<commit_msg>", "<commit_after>"),
    *("<issue_start>", "<issue_comment>", "<issue_closed>", "<pr_status>", "<pr_file>"),
    *("<pr_base>", "<pr_base_code>", "<pr_diff>", "<pr_diff_hunk>", "<pr_comment>"),
    # SantaCoder; InCoder; aiXcoder; Seed-Coder.
    *("<fim-prefix>", "<fim-suffix>", "<fim-middle>", "<fim-pad>", "<|/ file |>"),
    *("<AIX-SPAN-PRE>", "<AIX-SPAN-POST>", "<AIX-SPAN-MIDDLE>"),
    *("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>", "<[end▁of▁sentence]>"),
    *("<[begin▁of▁sentence]>", "<[PAD▁TOKEN]>", "<[SEP▁TOKEN]>", "<[CLS▁TOKEN]>"),
    # CodeLlama with SentencePiece's blank, which is a part of the token.
    *("▁<EOT>", "▁<PRE>", "▁<SUF>", "▁<MID>"),
    # Gemma.
    *("<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>"),
    *("<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>"),
    # Llama 2, Mistral, Codestral, Devstral, Magistral.
    *("<<SYS>>", "<</SYS>>", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]"),
    *("[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[SYSTEM_PROMPT]"),
    *("[/SYSTEM_PROMPT]", "[TOOL_CONTENT]", "[THINK]", "[/THINK]"),
    # ChatGLM; InternLM; Command R; EXAONE; MiniMax.
    *("[gMASK]", "[sMASK]", "<sop>", "<eop>", "<eoh>", "<eoa>", "<BOS_TOKEN>", "<EOS_TOKEN>"),
    *("<EOP_TOKEN>", "[|endofturn|]", "]~!b[", "]~b]", "[e~["),
    # Seed-OSS; Kimi-VL; reasoning and tool calls of Qwen, DeepSeek, GLM, Hermes, Hunyuan.
    *("<seed:bos>", "<seed:eos>", "<seed:pad>", "<seed:think>", "</seed:think>"),
    *("<seed:tool_call>", "</seed:tool_call>", "◁think▷", "◁/think▷"),
    *("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>"),
    *("</tool_response>", "<minimax:tool_call>", "</minimax:tool_call>"),
    *("<function_calls>", "</function_calls>", "<｜DSML｜"),  # noqa: RUF001 (the token)
)

WORDS = (
    # Code may well write these: an index, a type parameter, a tag. They are text where the
    # document knows the word inside.
    *("<EOT>", "<PRE>", "<SUF>", "<MID>", "[PREFIX]", "[SUFFIX]", "[MIDDLE]", "[INST]"),
    *("<bos>", "<eos>", "<pad>", "<unk>", "<PAD>"),
    *("[|assistant|]", "[|user|]", "[|system|]", "[|tool|]"),
    *("<s>", "</s>"),
)

STRIKE = ("<s>", "</s>")
"""Tags of HTML as well: text in markup, and the second one where the first was written."""

TOOL_MARKS = frozenset({"<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"})
"""Marks that `providers/tool_text.py` reads when functions were offered."""

_BEGINS = (
    *("<s>", "<bos>", "<BOS_TOKEN>", "<seed:bos>", "<|begin_of_text|>", "<|startoftext|>"),
    *("<｜begin▁of▁sentence｜>", "<[begin▁of▁sentence]>"),  # noqa: RUF001
    *("[gMASK]", "<sop>", "]~!b[", "<|message|>", "<|end_header_id|>", "<|end_of_role|>"),
    *("<|im_middle|>", "<|CHATBOT_TOKEN|>", "<|START_RESPONSE|>", "<｜Assistant｜>"),  # noqa: RUF001
    *("<|assistant|>", "[|assistant|]", "[/INST]"),
)
MIDDLES = frozenset(
    {
        *("<|fim_middle|>", "<fim_middle>", "<fim-middle>", "<[fim-middle]>", "<AIX-SPAN-MIDDLE>"),
        *("<MID>", "▁<MID>", "[MIDDLE]", "<|code_middle|>", "<｜fim▁end｜>"),  # noqa: RUF001
    }
)
"""Tokens that ask for the middle; a line break after one belongs to the answer."""
HEADERS = frozenset(
    {
        *("<|im_start|>", "<|start_header_id|>", "<|start|>", "<|start_of_role|>"),
        *("<start_of_turn>", "<|turn>", "<|im_assistant|>", "<|START_OF_TURN_TOKEN|>"),
        *("<|channel|>", "<|channel>", "]~b]"),
    }
)
"""These precede the name of a role or of a channel."""
STARTS = HEADERS | MIDDLES | {*_BEGINS}

SPEAKERS = ("assistant", "model", "ai", "final", "commentary", "analysis", "thought")
"""Names that follow `HEADERS`."""

TOKEN = re.compile(
    "|".join((*SHAPES, *map(re.escape, sorted((*EXACT, *WORDS), key=len, reverse=True))))
)
"""Any of them."""

BEGINNING = re.compile("[<{}]".format(re.escape("".join({token[0] for token in (*EXACT, *WORDS)}))))
"""A character with which a token may begin; a text without one holds none, nor a part of one."""

_SHAPE_BEGUN = re.compile(
    r"<(?:\|(?:/?(?:[A-Za-z_][\w▁:./=+ -]{0,60}\|?)?)?"
    r"|｜[^｜<>\n]{0,48}｜?"  # noqa: RUF001 (the tokens are written so)
    r"|(?:unused|extra_id_|SPECIAL_|reserved_|TOKENS_UNUSED_)\d{0,4}"
    r"|(?:filename|reponame)>)\Z"
)
_PREFIXES = frozenset(
    token[:size]
    for token in (
        *EXACT,
        *WORDS,
        *("<filename>", "<reponame>", "<unused", "<extra_id_", "<SPECIAL_", "<reserved_"),
        "<TOKENS_UNUSED_",
    )
    for size in range(1, len(token))
)
_MAX_PREFIX_CHARS = max(map(len, _PREFIXES))


def begun(text: str) -> int:
    """Return how many characters at the end of `text` may be the beginning of a token."""
    if (shape := _SHAPE_BEGUN.search(text)) is not None:
        return len(text) - shape.start()
    sizes = range(min(_MAX_PREFIX_CHARS, len(text)), 0, -1)
    return next((size for size in sizes if text[-size:] in _PREFIXES), 0)
