"""Prompt tokens that the engine evaluates in editing sessions, counted without a model.

    python tests/bench/replay/tokens.py [--language LANGUAGE]... [--seed N]...

The sessions of `python tests/bench/replay`, played to a `Service` in this process. Scheduler,
choice of prompts and bookkeeping of sequences are the worker's own; tokenizer, evaluation and
answers are stand-ins, and the clock is simulated. So the counts do not depend on the machine or its
load, and two versions of the code can be compared. Answers are right or wrong by the line's text,
and the right ones count as accepted whether they are shown or not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).parent.parent))

from simulated_clock import Loop  # isort: skip: before what reads a clock

import msgspec
from sessions import Edit, Kind, Look, Move, Open, Pause, Session
from simulated_engine import SimulatedEngine, SimulatedScheduler, Speed
from sources import SOURCES, fetch

from nearfield.catalog.templates import fim_template
from nearfield.config.schema import Config
from nearfield.engine.frames import Done, Generate
from nearfield.engine.job import Job
from nearfield.engine.kv_cache import Sequence, SequenceTable
from nearfield.features.service import Service
from nearfield.providers.embedded import Embedded
from nearfield.types import CompletionRequest, Priority, Snapshot, Span, Surface
from nearfield.types import Edit as TextEdit

PACKAGES = Path(".venv/bench-sources")
PREFILL_RATE, DECODE_RATE = 150.0, 30.0
SEQUENCES, SEQUENCE_TOKENS, CHUNK = 4, 2048, 64
END = 0
WRONG = "unrelated_value = 1"

_TOKEN = re.compile(r"<\|\w+\|>|\r?\n[ \t]*| ?[A-Za-z_]{1,6}|\d|[ \t]+|[^\w\s]|\w")


class FakeModel:
    """A vocabulary of words."""

    def __init__(self) -> None:
        self.bos: list[int] = []
        self.eos = END
        self.pieces: list[bytes] = [b""]
        self._ids: dict[str, int] = {}
        self.byte_index = self

    def ends(self, lane: str) -> frozenset[int]:
        """See `Model`."""
        return frozenset({END})

    def allowed(self, owed: bytes) -> None:
        """Allow every token."""

    def tokenize(self, text: str, special: bool = False) -> list[int]:
        """Return the ids of the words of `text`."""
        found = _TOKEN.findall(text)
        for word in found:
            if word not in self._ids:
                self._ids[word] = len(self.pieces)
                self.pieces.append(word.encode())
        return [self._ids[word] for word in found]


class FakeLane:
    """Sequences that are evaluated in no time."""

    def __init__(self) -> None:
        self.table = SequenceTable(SEQUENCES)
        self.document_tokens, self.chunk = SEQUENCE_TOKENS, CHUNK

    def keep(self, sequence: Sequence, tokens: int) -> int:
        """See `Lane`."""
        return tokens

    def fork(self, source: Sequence, target: Sequence) -> None:
        """See `Lane`."""
        target.tokens[:], target.whole = source.tokens, source.whole

    def decode(self, sequence: Sequence, tokens: list[int], *, outputs: int = 1) -> None:
        """See `Lane`."""
        sequence.tokens.extend(tokens)


class Answer:
    """A sampler that writes a given text."""

    def __init__(self, tokens: list[int]) -> None:
        self._tokens = iter([*tokens, END])

    def pick(
        self, lane: object, allowed: object, banned: object = (), row: int = -1
    ) -> tuple[int, float]:
        """See `Sampler`."""
        return next(self._tokens, END), -0.05

    def close(self) -> None:
        """See `Sampler`."""


class FakeScheduler(SimulatedScheduler):
    """The worker's scheduler, for answers that do not begin with the healed token."""

    def _begin(self, job: Job) -> None:
        super()._begin(job)
        job.output.owed = b""


def fake_engine(answer: Callable[[], str]) -> SimulatedEngine:
    """Return an engine that writes what `answer` says."""
    model = FakeModel()

    def sampler(spec: Generate) -> Answer:
        return Answer(model.tokenize(answer()))

    speed = Speed(PREFILL_RATE, DECODE_RATE)
    return SimulatedEngine(model, FakeLane(), sampler, speed, FakeScheduler)


class Person:
    """Plays a session to a service."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.evaluated: Counter[tuple[str, bool]] = Counter()
        self.looks: Counter[str] = Counter()
        self.shown = 0
        self._rest, self._kind, self._version, self._requests = "", Kind.COLD, 0, 0
        self._texts: dict[str, str] = {}
        self._pending: tuple[asyncio.Task[Any], str, int] | None = None
        engine: Any = fake_engine(self._answer)
        engine.count = self._count
        self.provider = Embedded(
            engine, model="words", path=Path("words.gguf"), template=fim_template("qwen")
        )
        config = msgspec.convert({"index": {"enabled": False}}, Config)
        providers: Any = {"embedded": self.provider}
        self.service = Service(config, providers)

    def _answer(self) -> str:
        """Return the rest of the line: the right one, or one that does not fit, by its text."""
        line = self._rest.partition("\n")[0]
        return line if line and zlib.crc32(line.encode()) % 2 else WRONG

    def _count(self, priority: Priority, done: Done) -> None:
        is_idle = priority is Priority.PREFILL
        self.evaluated[str(self._kind), is_idle] += done.evaluated_tokens

    def _snapshot(self) -> Snapshot:
        name = self.session.file
        return Snapshot(f"file:///{name}", self.session.language, self._version, self._texts[name])

    def _ask(self, kind: Kind, offset: int) -> None:
        if self._pending is not None:
            self._pending[0].cancel()
        self._kind = kind
        self._requests += 1
        request = CompletionRequest(str(self._requests), Surface.POPUP, self._snapshot(), offset)
        task = asyncio.create_task(self.service.complete(request))
        self._pending = (task, self.session.file, offset)

    async def play(self) -> None:
        """Play it to its end."""
        session = self.session
        await self.service.start()
        await asyncio.sleep(2)
        for step in session.steps():
            match step:
                case Open(name):
                    if name not in self._texts:
                        self._texts[name] = session.text
                        self.service.opened(self._snapshot())
                    await asyncio.sleep(0)
                case Move():
                    await asyncio.sleep(1.0)
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case Edit(kind, offset, removed, added):
                    rest = self._rest
                    self._rest = rest[len(added) :] if added and rest.startswith(added) else ""
                    self._texts[session.file] = session.text
                    self._version += 1
                    edit = TextEdit(Span(offset, offset + removed), added)
                    self.service.changed(self._snapshot(), [edit])
                    self._ask(kind, offset + len(added))
                    await asyncio.sleep(0)
                case Look(kind, wanted):
                    self._rest = wanted
                    await self._look(kind)
        await asyncio.sleep(15)
        await self.service.aclose()

    async def _look(self, kind: Kind) -> None:
        session = self.session
        if self._pending is None or self._pending[1:] != (session.file, session.cursor):
            self._ask(kind, session.cursor)
        assert self._pending is not None
        answer = await self._pending[0]
        self._pending = None
        if answer.suggestions:
            self.service.shown(answer.suggestions[0].id)
        # Taken as if it had been shown, so that every version is played the same.
        session.shown = line if (line := self._answer()) != WRONG else ""
        self.looks[str(kind)] += 1
        self.shown += bool(answer.suggestions)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    languages = [source.language for source in SOURCES]
    parser.add_argument("--language", action="append", choices=languages)
    parser.add_argument("--seed", action="append", type=int)
    options = parser.parse_args()
    total: Counter[tuple[str, bool]] = Counter()
    looks: Counter[str] = Counter()
    for source in SOURCES:
        if source.language not in (options.language or languages):
            continue
        try:
            files = fetch(source, PACKAGES)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{source.language}: not measured, its files could not be fetched ({error})")
            continue
        for seed in options.seed or [7]:
            with tempfile.TemporaryDirectory() as folder:
                os.environ["NEARFIELD_DATA_DIR"] = folder
                session = Session(source.language, source.language, files, seed)
                with asyncio.Runner(loop_factory=Loop) as runner:
                    person = runner.run(played(session))
            total += person.evaluated
            looks += person.looks
            asked = sum(n for (_, idle), n in person.evaluated.items() if not idle)
            idle = sum(n for (_, idle), n in person.evaluated.items() if idle)
            print(
                f"{source.language} {seed}: {person.looks.total()} looks, {person.shown} shown,"
                f" {session.keys} keys; evaluated {asked} for requests, {idle} while idle",
                flush=True,
            )
    print("\nplace         looks  tokens a look")
    for kind, count in looks.items():
        print(f"{kind:13} {count:5} {total[kind, False] / count:10.1f}")
    asked = sum(n for (_, idle), n in total.items() if not idle)
    idle = sum(n for (_, idle), n in total.items() if idle)
    print(f"{'all':13} {looks.total():5} {asked / looks.total():10.1f}\nwhile idle: {idle}")


async def played(session: Session) -> Person:
    """Play `session` to a new service; return who played it."""
    person = Person(session)
    await person.play()
    return person


if __name__ == "__main__":
    main()
