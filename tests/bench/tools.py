"""Calling functions: is the right one called with the right arguments, and none when none fits?

    python tests/bench/tools.py                # all cases of tools_bfcl; about twenty minutes
    python tests/bench/tools.py --cases 20     # of each kind
    python tests/bench/tools.py --chat qwen2.5-coder-1.5b-instruct --way nearfield \
        --out rows.jsonl --minutes 10          # of another model; run again, it goes on

The questions are BFCL's. "simple" has one function that fits: right is a call of it whose
arguments are among the accepted ones. "irrelevance" has one that does not fit: right is no call at
all. Each is asked three ways of the same model in the same run: without a grammar (its chat
template alone), with calls held to their schema, and as Nearfield does it, which also drops calls
that the model is not sure of. The system message is the chat's own. What is tuned is tuned on the
half `--half tuned`, drawn by a fixed seed from both kinds; the sums are printed for both halves.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

from nearfield.config.schema import Config, Models
from nearfield.features import assemble
from nearfield.features.chat.session import SYSTEM
from nearfield.providers import embedded
from nearfield.providers.tool_text import ToolText
from nearfield.types import ChatRequest, Delta, Message, Role, Tool, ToolCall

DATA = Path(__file__).parents[3] / "shared/bench/tools_bfcl.jsonl.gz"
WAYS = ("no grammar", "grammar", "nearfield")
KINDS = ("simple", "irrelevance")
SEED = 20
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


def halves(rows: list[dict[str, Any]]) -> dict[str, str]:
    """The half that each case is in, "tuned" or "kept": half of each kind, by a fixed seed."""
    found: dict[str, str] = {}
    for kind in KINDS:
        ids = [row["id"] for row in rows if row["kind"] == kind]
        tuned = set(random.Random(SEED).sample(ids, len(ids) // 2))
        found |= {id: "tuned" if id in tuned else "kept" for id in ids}
    return found


def kept_rows(path: Path | None) -> list[dict[str, Any]]:
    """What an earlier run has kept."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


async def main(options: argparse.Namespace) -> None:
    """Ask what is not answered yet and print the table."""
    with gzip.open(DATA, "rt") as file:
        rows = [json.loads(line) for line in file]
    half = halves(rows)
    done = kept_rows(options.out)
    known = {row["id"] for row in done}
    chosen = [
        row
        for kind in KINDS
        for row in [row for row in rows if row["kind"] == kind][: options.cases]
        if row["id"] not in known and options.half in (None, half[row["id"]])
    ]
    ways = (options.way,) if options.way else WAYS
    models = Models(complete=options.chat, chat=options.chat)
    provider: Any = assemble.providers(Config(models=models))["embedded"]
    provider.start()
    end = time.monotonic() + options.minutes * 60
    for row in chosen:
        if time.monotonic() > end:
            break
        tools = tuple(
            Tool(f["name"], f["description"], as_schema(f["parameters"])) for f in row["functions"]
        )
        said = [Message(Role(m["role"]), m["content"]) for m in row["question"][0]]
        request = ChatRequest(
            (Message(Role.SYSTEM, SYSTEM), *said), tools, max_tokens=128, temperature=0.0
        )
        verdicts: dict[str, str] = {}
        seconds: dict[str, float] = {}
        for name in ways:
            begun = time.monotonic()
            with way(name):
                calls = await asked(provider.chat(request))
            seconds[name] = round(time.monotonic() - begun, 2)
            verdicts[name] = judged(row, calls)
        case = {key: row[key] for key in ("id", "kind")} | {"half": half[row["id"]]}
        done.append({**case, "verdicts": verdicts, "seconds": seconds})
        print(json.dumps(done[-1]), flush=True)
        if options.out is not None:
            with options.out.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
    await provider.aclose()
    summed(done)


def summed(rows: list[dict[str, Any]]) -> None:
    """Print the verdicts of each way and kind, by halves, and the mean time."""
    for name in [name for name in WAYS if any(name in row["verdicts"] for row in rows)]:
        for kind in KINDS:
            for half in ("tuned", "kept"):
                some = [r for r in rows if (r["kind"], r["half"]) == (kind, half)]
                print(f"{name:12} {kind:12} {half:6} {Counter(r['verdicts'][name] for r in some)}")
        mean = sum(row["seconds"][name] for row in rows) / len(rows)
        print(f"{name:12} {mean:.1f} s a question")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--chat", default="", help="a model; the one that completes if none")
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--half", choices=("tuned", "kept"))
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--out", type=Path, default=None)
    asyncio.run(main(parser.parse_args()))
