"""Control tokens of every family are kept out of what a model says, however its answer is cut."""

from __future__ import annotations

import pytest

from nearfield.catalog.control_tokens import BEGINNING, EXACT, STARTS, WORDS
from nearfield.catalog.templates import fim_names, fim_template
from nearfield.routing.plain_text import PlainText, literal_in
from nearfield.types import REASONING, ChatRequest, Delta, InfillRequest, Message, Role

# ruff: noqa: RUF001 (the tokens are written so)

LEAKED = (
    *("<|endoftext|>", "<|im_end|>", "<|fim_pad|>", "<|file_sep|>b.py\nx = 1", "<|repo_name|>a"),
    *("<|eot_id|>", "<|eom_id|>", "<|python_tag|>", "<|end_of_text|>", "<|start_header_id|>user"),
    *("<|end|>", "<|return|>", "<|call|>", "<|user|>", "<|observation|>", "<|EOT|>", "<|eos|>"),
    *("<|END_OF_TURN_TOKEN|>", "<|end_of_role|>", "<|tool_calls_section_begin|>"),
    *("<|editable_region_end|>", "<|mask:0|>", "<|/ file |>", "<|a token of tomorrow|>"),
    *("<｜end▁of▁sentence｜>", "<｜tool▁calls▁begin｜>", "<｜User｜>", "<[end▁of▁sentence]>"),
    *("</s>", "<s>[INST] go on [/INST]", "[INST]", "[SUFFIX]", "[TOOL_CALLS][{", "<<SYS>>"),
    *("<EOT>", " <EOT>", "▁<EOT>", "<PRE>", "<fim_prefix>", "<fim-suffix>", "<[fim-suffix]>"),
    *("<file_sep>", "<filename>b.py\n", "<jupyter_code>", "<commit_after>", "<issue_closed>"),
    *("<end_of_turn>\n<start_of_turn>user", "<turn|>", "<eos>", "<unused12>", "<extra_id_0>"),
    *("<EOS_TOKEN>", "[|endofturn|]", "[e~[", "<seed:eos>", "<eop>", "<SPECIAL_12>", "<eoa>"),
    *("<think>hm", "</think>", "<tool_call>{}</tool_call>", "◁think▷"),
)

ANSWERS = [
    # what the model writes, what is shown
    ("", ""),
    ("<|endoftext|>", ""),
    ("\n<|im_end|>", "\n"),
    ("<|fim_middle|>return a", "return a"),
    ("<|fim_middle|>\n    return a", "\n    return a"),
    ("<MID>return a<EOT>", "return a"),
    ("[MIDDLE]return a</s>", "return a"),
    ("<s>return a", "return a"),
    ("<|im_start|>assistant\nreturn a<|im_end|>", "return a"),
    ("<|start_header_id|>assistant<|end_header_id|>\n\nreturn a<|eot_id|>", "return a"),
    ("<start_of_turn>model\nreturn a<end_of_turn>", "return a"),
    ("<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>return a<|END_OF_TURN_TOKEN|>", "return a"),
    ("<think>\nadd a and b\n</think>\n\nreturn a", "return a"),
    ("<think>never ends", ""),
    ("[THINK]hm[/THINK]return a", "return a"),
    (
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>a<|return|>",
        "a",
    ),
    ("assistant = 1", "assistant = 1"),
    # what only looks like one
    ("a < b and c > d", "a < b and c > d"),
    ("xs |> f <| g", "xs |> f <| g"),
    ("let xs = [|1; 2|]", "let xs = [|1; 2|]"),
    ("A <|-- B", "A <|-- B"),
    ("Vec<[u8]>", "Vec<[u8]>"),
    ("usage: prog <filename> [<name>]", "usage: prog <filename> [<name>]"),
    ("a[SUFFIX", "a[SUFFIX"),
    ("x <", "x <"),
    ("x <|", "x <|"),
    ("<span>a</span>", "<span>a</span>"),
]


def request(prefix: str = "def add(a, b):\n    ", language: str = "python") -> InfillRequest:
    return InfillRequest("d", "a.py", language, prefix, "\n")


def shown(answer: str, text: PlainText, size: int) -> str:
    pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
    return "".join([*map(text.feed, pieces), text.feed("", ended=True)])


def filtered(answer: str, asked: InfillRequest | ChatRequest, document: str = "") -> str:
    found = {
        shown(answer, PlainText(literal_in(asked, document), isinstance(asked, ChatRequest)), size)
        for size in (1, 2, 3, 5, 8, 13, 1000)
    }
    assert len(found) == 1, found
    return found.pop()


@pytest.mark.parametrize("token", [*LEAKED, *sorted({*EXACT, *WORDS} - {"<s>"})])
def test_a_token_ends_the_answer(token: str) -> None:
    said = filtered("return a + b" + token, request())
    assert said.rstrip() == "return a + b"
    assert filtered(f"ab\n{token}\nmore", request()).rstrip() == "ab"


@pytest.mark.parametrize(("answer", "expected"), ANSWERS)
def test_control_tokens_are_removed_from_an_answer(answer: str, expected: str) -> None:
    assert filtered(answer, request()) == expected


def test_every_template_is_covered() -> None:
    for template in filter(None, map(fim_template, fim_names())):
        marks = {template.prefix, template.suffix, template.middle, template.file_sep}
        for token in {*marks, template.repo_name, *template.end} - {""}:
            assert filtered("a" + token + "b", request()) == "a", token


@pytest.mark.parametrize("start", sorted(STARTS))
def test_a_start_is_left_out_in_front_and_ends_later(start: str) -> None:
    assert filtered(start + "return a", request()) == "return a"
    if start != "<s>":
        assert filtered("return a" + start, request()) == "return a"


@pytest.mark.parametrize(
    ("answer", "prefix", "document"),
    [
        ('"<|im_end|>"]', 'STOP = ["<|im_start|>", "<|im_end|>", ', ""),
        ('"<|im_end|>"]', "STOP = [", 'END = "<|im_end|>"\n'),
        ("items[SUFFIX]", "SUFFIX = 1\n", ""),
        ("items[SUFFIX]", "", "from names import SUFFIX\n"),
        ("old</s>", "<p><s>", ""),
        ("cat <<EOT\nx\nEOT\n> a<EOT>", "cat <<EOT\n", ""),
        ("Box<MID>", "type MID = u8;\n", ""),
    ],
)
def test_tokens_of_the_document_are_text(answer: str, prefix: str, document: str) -> None:
    assert filtered(answer, request(prefix), document) == answer


def test_struck_text_in_markup() -> None:
    assert filtered("<s>old</s> new", request("<p>", "html")) == "<s>old</s> new"
    assert filtered("cost <s>5</s>", request("", "markdown")) == "cost <s>5</s>"
    assert filtered("old</s>", request("<p>", "html")) == "old"


def chat(words: str, **more: object) -> ChatRequest:
    return ChatRequest((Message(Role.USER, words),), **more)  # pyright: ignore[reportArgumentType]


def test_a_chat_may_name_a_token() -> None:
    said = "Qwen writes `<|fim_prefix|>` first.<|im_end|>\n<|im_start|>user"
    assert filtered(said, chat("Which?")) == "Qwen writes `<|fim_prefix|>` first."
    assert filtered("```py\nx\n```<|im_end|>", chat("Which?")) == "```py\nx\n```"
    assert filtered("<|eot_id|> ends a turn.", chat("What is <|eot_id|>?")) == (
        "<|eot_id|> ends a turn."
    )


def test_every_reasoning_has_an_end() -> None:
    for opened, closed in REASONING.items():
        if opened.startswith(("<", "[", "◁")):
            assert filtered(f"{opened}hm{closed}\n\nyes", chat("?")) == "yes"


def test_a_token_ends_the_answer_before_the_stream_ends() -> None:
    text = PlainText(literal_in(request(), ""))
    pieces = ("return", " a<|endo", "ftext|>", "def more")
    deltas = [text.take(Delta(piece, (-0.1,))) for piece in pieces]
    assert [delta.text for delta in deltas] == ["return", " a", "", ""]
    assert text.ended_by == "<|endoftext|>"


def test_log_probabilities_wait_for_the_text_that_is_held() -> None:
    text = PlainText(literal_in(request(), ""))
    deltas = [text.take(Delta(piece, (value,))) for piece, value in (("<|", -0.1), ("b", -0.2))]
    deltas.append(text.take(Delta(" | c", (-0.3,))))
    assert [delta.text for delta in deltas] == ["", "", "<|b | c"]
    assert [delta.logprobs for delta in deltas] == [(), (), (-0.1, -0.2, -0.3)]


@pytest.mark.parametrize("token", sorted({*EXACT, *WORDS, *STARTS, "<|im_end|>", "<unused1>"}))
def test_every_token_begins_with_a_character_that_is_looked_for(token: str) -> None:
    assert BEGINNING.match(token)
