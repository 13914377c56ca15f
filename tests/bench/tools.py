"""Calling functions: is the right one called with the right arguments, and none when none fits?

    python tests/bench/tools.py                # all cases of tools_bfcl; about twenty minutes
    python tests/bench/tools.py --cases 20     # of each kind

The questions are BFCL's. "simple" has one function that fits: right is a call of it whose
arguments are among the accepted ones. "irrelevance" has one that does not fit: right is no call at
all. Each is asked three ways of the same model in the same run: without a grammar (its chat
template alone), with calls held to their schema, and as Nearfield does it, which also drops calls
that the model is not sure of. The system message is the chat's own.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

from nearfield.config.schema import Config
from nearfield.features import assemble
from nearfield.features.chat.session import SYSTEM
from nearfield.providers import embedded
from nearfield.providers.tool_text import ToolText
from nearfield.types import ChatRequest, Delta, Message, Role, Tool, ToolCall

DATA = Path(__file__).parents[3] / "shared/bench/tools_bfcl.jsonl.gz"
WAYS = ("no grammar", "grammar", "nearfield")
WORDS = 160
"""Characters of words after which no call is waited for any longer."""
_KINDS = {"dict": "object", "float": "number", "tuple": "array"}
_BLANK = re.compile(r"[ ,./\-_*^]")


def as_schema(value: Any) -> Any:
    """BFCL's parameters as a JSON schema."""
    if isinstance(value, list):
        return [as_schema(one) for one in value]
    if not isinstance(value, dict):
        return value
    schema = {key: as_schema(one) for key, one in value.items()}
    if isinstance(schema.get("type"), str):
        schema["type"] = _KINDS.get(schema["type"], schema["type"])
        if schema["type"] == "any":
            del schema["type"]
    return schema


def accepted(given: Any, wanted: Any) -> bool:
    """Whether one argument is one of those that BFCL takes: text without case and marks."""
    if isinstance(given, str) and isinstance(wanted, str):
        return _BLANK.sub("", given).lower() == _BLANK.sub("", wanted).lower()
    if isinstance(given, list) and isinstance(wanted, list):
        return len(given) == len(wanted) and all(map(accepted, given, wanted))
    if isinstance(given, dict) and isinstance(wanted, dict):
        return right(given, wanted)
    if isinstance(given, bool) or isinstance(wanted, bool):
        return given is wanted
    return bool(given == wanted)


def right(arguments: dict[str, Any], wanted: dict[str, list[Any]]) -> bool:
    """Whether all arguments are accepted, and none is missing that may not be left out."""
    if any(name not in wanted for name in arguments):
        return False
    for name, values in wanted.items():
        if name not in arguments:
            if "" not in values:
                return False
        elif not any(accepted(arguments[name], value) for value in values):
            return False
    return True


def judged(row: dict[str, Any], calls: list[ToolCall]) -> str:
    """What came of a case: "right", or what was wrong."""
    if row["kind"] == "irrelevance":
        return "called" if calls else "right"
    if not calls:
        return "no call"
    [wanted] = row["answer"]
    [(name, values)] = wanted.items()
    if calls[0].name != name:
        return "wrong function"
    return "right" if right(json.loads(calls[0].arguments), values) else "wrong arguments"


async def asked(stream: AsyncGenerator[Delta]) -> list[ToolCall]:
    """The calls of an answer; words are not listened to for long."""
    reader = ToolText()
    calls: list[ToolCall] = []
    said = 0
    async with aclosing(stream):
        async for delta in stream:
            # Without a grammar the provider passes on the model's text as it is.
            calls += reader.filter(delta).tool_calls + delta.tool_calls
            said += len(delta.text)
            if said > WORDS and not calls:
                break
    return calls


def way(name: str) -> AbstractContextManager[Any]:
    """The provider's usual way, or without parts of it."""
    if name == "no grammar":
        return mock.patch.object(embedded, "_schema", return_value="")
    if name == "grammar":
        return mock.patch.object(embedded, "is_doubtful", return_value=False)
    return nullcontext()


async def main(cases: int) -> None:
    """Ask everything and print the table."""
    with gzip.open(DATA, "rt") as file:
        rows = [json.loads(line) for line in file]
    kinds = ("simple", "irrelevance")
    chosen = [r for kind in kinds for r in [r for r in rows if r["kind"] == kind][:cases]]
    provider: Any = assemble.providers(Config())["embedded"]
    provider.start()
    found: Counter[tuple[str, str, str]] = Counter()
    spent = dict.fromkeys(WAYS, 0.0)
    for row in chosen:
        tools = tuple(
            Tool(f["name"], f["description"], as_schema(f["parameters"])) for f in row["functions"]
        )
        said = [Message(Role(m["role"]), m["content"]) for m in row["question"][0]]
        request = ChatRequest(
            (Message(Role.SYSTEM, SYSTEM), *said), tools, max_tokens=128, temperature=0.0
        )
        verdicts: list[str] = []
        for name in WAYS:
            begun = time.monotonic()
            with way(name):
                calls = await asked(provider.chat(request))
            spent[name] += time.monotonic() - begun
            verdicts.append(judged(row, calls))
            found[name, row["kind"], verdicts[-1]] += 1
        print(row["id"], *verdicts, sep=" | ", flush=True)
    await provider.aclose()
    for name in WAYS:
        for kind in kinds:
            told = {v: n for (w, k, v), n in found.items() if (w, k) == (name, kind)}
            print(f"{name:12} {kind:12} {told}")
        print(f"{name:12} {spent[name] / len(chosen):.1f} s a question")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=1000)
    asyncio.run(main(parser.parse_args().cases))
