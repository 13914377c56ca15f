"""Questions about a workspace: is the answer right, and is the right file named?

    python tests/bench/workspace_questions.py [--chat MODEL] [--half tuned|kept]
        [--way functions|lookup] [--minutes N] [--out FILE]

The 40 questions of `workspace_questions.jsonl` are about three installed packages, each copied to a
folder of its own, as an environment is mostly ignored by the repository around it. They are asked
of the chat that editors and `nearfield ask --tools` use, with all functions, each in a conversation
of its own. `--way functions` looks nothing up, so that the model has to; `--way lookup` asks no
model, and its answer is what a model would be shown. An answer is right if each expression of
`answer` is found in it and none of `never`; the places below it do not count for that. A file is
named if the reply has one of `files`, in the model's words or in the places. With `--out` each row
is kept when it comes and not asked again, so that a run can be continued. The half "kept" was not
looked at while the looking up was made.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import re
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec

from nearfield.cli.converse import Screen, Terminal
from nearfield.cli.serving import serving, until_indexed
from nearfield.config.load import Loaded, load
from nearfield.features.chat import chat as chats
from nearfield.features.chat.folder import Folder
from nearfield.features.chat.lookup import PLACES_NAMED, look_up
from nearfield.features.chat.protocol import Ask
from nearfield.features.chat.tool_context import ToolContext

QUESTIONS = Path(__file__).with_suffix(".jsonl")
PLACES = "\n\nLooked up: "
AGAIN = "\n\nThe question again:"
NO_MODEL = "-"
TOKENS = 512
INDEX_SECONDS = 900.0
"""On a busy machine the index pauses; a question about half of it would measure that."""


def judged(row: dict[str, Any], text: str) -> dict[str, bool]:
    """What of a reply is right."""
    words, _, places = text.partition(PLACES)

    def has(pattern: str) -> bool:
        return re.search(pattern, words, re.IGNORECASE) is not None

    def names(file: str, text: str, before: str) -> bool:
        return re.search(rf"(?<![{before}]){re.escape(file)}(?!\w)", text) is not None

    in_words = any(names(file, words, r"\w") for file in row["files"])
    return {
        "right": all(map(has, row["answer"])) and not any(map(has, row["never"])),
        "file": in_words or any(names(file, places, r"\w/") for file in row["files"]),
        "in_words": in_words,
        "empty": not words.strip(),
    }


def copied(package: str, folder: Path) -> Path:
    """Return a copy of an installed package without what was compiled."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is not installed.")
    target = folder / package
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(spec.submodule_search_locations[0], target, ignore=ignored)
    return target


def settings(root: Path, model: str) -> Loaded:
    """The user's settings, with a model for chats, or with none."""
    loaded = load(root)
    config = loaded.config
    if model == NO_MODEL:
        off = msgspec.structs.replace(config.engine, enabled=False)
        config = msgspec.structs.replace(config, engine=off)
    else:
        models = msgspec.structs.replace(config.models, chat=model)
        config = msgspec.structs.replace(config, models=models)
    return replace(loaded, config=config)


async def shown(
    root: Path, rows: Sequence[dict[str, Any]], end: float
) -> AsyncGenerator[dict[str, Any]]:
    """What is looked up for the questions; a row a question."""
    loaded = settings(root, NO_MODEL)
    async with serving(loaded) as service:
        service.knowledge.folders((str(root),))
        await until_indexed(service.knowledge, INDEX_SECONDS)
        host = Terminal(str(root), loaded.config.files.exclude)
        for row in rows:
            if time.monotonic() > end:
                return
            begun = time.monotonic()
            context = ToolContext(
                loaded.config.chat, host, service.knowledge, Folder(str(root), ())
            )
            found = await look_up(context, row["question"])
            text = "".join(part.text for part in found.parts).partition(AGAIN)[0] if found else ""
            said = f"{text}{PLACES}{', '.join(found.places[:PLACES_NAMED]) if found else ''}"
            judgement = judged(row, said)
            yield {
                **{key: row[key] for key in ("id", "half")},
                **judgement,
                "chars": len(text),
                "seconds": round(time.monotonic() - begun, 2),
                "text": said,
            }


async def asked(
    root: Path, rows: Sequence[dict[str, Any]], model: str, end: float
) -> AsyncGenerator[dict[str, Any]]:
    """Ask the questions about one package until the time is over; a row a question."""
    loaded = settings(root, model)
    config = loaded.config
    async with serving(loaded) as service:
        service.knowledge.folders((str(root),))
        await until_indexed(service.knowledge, INDEX_SECONDS)
        host = Terminal(str(root), config.files.exclude)
        talk = chats.ChatService(service, host, knowledge=lambda: service.knowledge)
        for row in rows:
            if time.monotonic() > end:
                return
            begun = time.monotonic()
            ask = Ask(message=row["question"], workspace=str(root), max_tokens=TOKENS)
            reply = await talk.say(ask, Screen(streams=False))
            yield {
                **{key: row[key] for key in ("id", "half")},
                "model": reply.model,
                **judged(row, reply.text),
                "finish": reply.finish.value,
                "calls": [one.name for one in reply.calls],
                "notes": reply.notes,
                "seconds": round(time.monotonic() - begun, 1),
                "text": reply.text,
            }


async def measure(
    chosen: Sequence[dict[str, Any]], model: str, minutes: float, out: Path | None
) -> None:
    """Ask, package by package, and show and keep each row."""
    end = time.monotonic() + minutes * 60
    for package, rows in groupby(chosen, key=lambda row: row["package"]):
        with tempfile.TemporaryDirectory() as folder:
            root = copied(package, Path(folder))
            some = list(rows)
            stream = shown(root, some, end) if model == NO_MODEL else asked(root, some, model, end)
            async with aclosing(stream) as answers:
                async for row in answers:
                    print(json.dumps(row), flush=True)
                    if out is not None:
                        with out.open("a") as file:
                            file.write(json.dumps(row) + "\n")


def lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def summed(rows: Sequence[dict[str, Any]]) -> None:
    """Print the sums of each half and of both."""
    for half in ("tuned", "kept", "both"):
        some = [row for row in rows if half in ("both", row["half"])]
        if some:
            sums = {k: sum(row[k] for row in some) for k in ("right", "file", "in_words", "empty")}
            mean = sum(row["seconds"] for row in some) / len(some)
            print(f"{half:5}  n {len(some)}  {sums}  {mean:.1f} s a question")


def main() -> None:
    """Ask what is not answered yet, and print the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chat", default="")
    parser.add_argument("--half", choices=("tuned", "kept"))
    parser.add_argument("--way", choices=("product", "functions", "lookup"), default="product")
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    done = lines(options.out) if options.out else []
    known = {row["id"] for row in done}
    chosen = [row for row in lines(QUESTIONS) if options.half in (None, row["half"])]
    chosen = [row for row in chosen if row["id"] not in known]
    nothing = mock.patch.object(chats, "look_up", return_value=None)
    out = options.out or Path(tempfile.mkstemp(suffix=".jsonl")[1])
    with nothing if options.way == "functions" else nullcontext():
        model = NO_MODEL if options.way == "lookup" else options.chat
        asyncio.run(measure(chosen, model, options.minutes, out))
    summed(lines(out))


if __name__ == "__main__":
    main()
