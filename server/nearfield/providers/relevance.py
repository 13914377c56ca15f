"""Questions to a small model on its own tool call, before the call is made: does it fit?

Models of half a billion to two billion weights call nearly any function that they are offered.
Asked about the call they know better. The questions were chosen on half of the cases of
`tests/bench/tools.py`, and are measured on the other half.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from nearfield.providers.tool_text import name_in
from nearfield.types import ChatRequest, Message, Role, Tool

MAX_NO_LOGPROB = -0.31
"""Whether call and question are about the same thing: a no at least as sure as this (0.73) stops
the call. The 1.5B lost none of 20 right calls so and 13 of 20 wrong ones, and one of 29 right calls
of our own functions."""
Answer = tuple[str, float | None]
"""The first token of an answer and its log-probability, None where it is unknown."""
Ask = Callable[[ChatRequest, bool], Awaitable[Answer]]
"""Asks the model for the first token of an answer in words; True says within the conversation."""


def called(body: str, request: ChatRequest) -> Tool | None:
    """Return the tool that the call `body` is of; None where the call is not asked about, as it
    follows from an earlier one or is of no known function."""
    if not request.messages or request.messages[-1].role is not Role.USER:
        return None
    name = name_in(body)
    return next((tool for tool in request.tools if tool.name == name and tool.description), None)


async def is_relevant(tool: Tool, request: ChatRequest, ask: Ask) -> bool:
    """Return whether the model takes a call of `tool` for one that fits what the user has just
    said."""
    question = request.messages[-1]
    answer, logprob = await ask(_same_thing(tool, question, request), False)
    if logprob is not None and _is(answer, "no") and logprob >= MAX_NO_LOGPROB:
        return False
    if tool.is_general:
        return True
    # Thresholds that were tried here did not hold on other cases.
    answer, _ = await ask(_made_for_it(tool, question, request), True)
    return not _is(answer, "no")


def _same_thing(tool: Tool, question: Message, request: ChatRequest) -> ChatRequest:
    """Ask by itself: within the conversation a model keeps to what it has begun."""
    text = (
        f"Question: {question.content}\n\nFunction: {tool.description}\n\n"
        "Are they about the same thing? Answer yes or no."
    )
    system = Message(Role.SYSTEM, "You judge whether a function fits a question.")
    return replace(_in_one_token(request), messages=(system, Message(Role.USER, text)), tools=())


def _made_for_it(tool: Tool, question: Message, request: ChatRequest) -> ChatRequest:
    """Ask at the end of the conversation, whose prompt the engine has read already."""
    text = (
        f"{question.content}\n\nFirst answer with yes or no: is `{tool.name}` made for exactly this"
        " question?"
    )
    messages = (*request.messages[:-1], replace(question, content=text))
    return replace(_in_one_token(request), messages=messages)


def _in_one_token(request: ChatRequest) -> ChatRequest:
    return replace(request, max_tokens=1, temperature=0.0, stop=(), schema=None, thinking=0)


def _is(answer: str, word: str) -> bool:
    return answer.strip().lower() == word
