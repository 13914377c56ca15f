"""Drafts of next-edit answers, which mostly copy their window: what they save.

    python tests/bench/next_edit_drafts.py [--model GGUF] [--cases N]

First the recorded answers of `next_edit_public.py` are replayed with the engine's own drafts and
the model's tokenizer (no weights are read): steps with one token each against steps with drafts.
Then, unless `--cases 0`, the real model answers the questions of N scenarios in the engine, without
and with drafts in turns: whether the answers are the same, and how long generating took. Where two
part, the log-probabilities of the tokens at which they do are printed: equal ones are a tie that
the rounding of batches of other sizes decides.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import statistics
from collections import defaultdict
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import next_edit_public as public

from nearfield.catalog.models import Catalog
from nearfield.config.schema import Engine
from nearfield.engine.bindings import c
from nearfield.engine.client import EngineClient
from nearfield.engine.drafts import CopyDrafts
from nearfield.engine.frames import Done, Generate, Tokens, Variant
from nearfield.features.next_edit.edit_prompt import (
    EditPrompt,
    EditQuestion,
    render,
    window_around,
)
from nearfield.types import EditForm

END = -1
"""Stands for the token that ends an answer."""
MAX_TOKENS = 400


class Vocabulary:
    """The tokenizer of a GGUF file."""

    def __init__(self, path: Path) -> None:
        self._silence = c.llama_log_callback(_ignore)
        c.llama_log_set(self._silence, ctypes.c_void_p(0))
        params = c.llama_model_default_params()
        params.vocab_only = True
        self._model = c.llama_model_load_from_file(str(path).encode(), params)
        self._vocab = c.llama_model_get_vocab(self._model)

    def tokens(self, text: str, special: bool = False) -> list[int]:
        """The tokens of a text; control tokens are recognised only when `special`."""
        raw = text.encode()
        buffer = (c.llama_token * (len(raw) + 8))()
        count = c.llama_tokenize(self._vocab, raw, len(raw), buffer, len(raw) + 8, False, special)
        return buffer[:count]


def _ignore(_level: int, _text: bytes, _data: object) -> None:
    pass


def steps(source: list[int], answer: list[int]) -> int:
    """Batches that generate `answer` and its end when `source` is copied; the first token comes
    with the prompt."""
    drafts = CopyDrafts(source)
    said, count = [*answer, END], 0
    drafts.settle(0, said[:1])
    at = 1
    while at < len(said):
        draft = drafts.next(MAX_TOKENS)
        right = 0
        while right < len(draft) and draft[right] == said[at + right]:
            right += 1
        made = said[at : at + right + 1]
        drafts.settle(len(draft), [token for token in made if token != END])
        at, count = at + len(made), count + 1
    return count


def replays(path: Path) -> Iterator[tuple[str, float, int, int]]:
    """Model, ratio, steps without and with drafts."""
    vocabulary = Vocabulary(path)
    answers = public.recorded(public.FOLDER)
    named = {one.name: one for one in public.scenarios(public.FOLDER)}
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for (name, model), (prompt, answer) in sorted(answers.items()):
        form, scenario = public.FORMS[model], named[name]
        window = public.window_of(form, scenario, prompt)
        cursor = window.start + public.cursor_in(form, prompt)
        question = EditQuestion(scenario.path, scenario.text, window, cursor, scenario.hunks)
        ours = render(form, question)
        if ours is None:
            continue
        said = vocabulary.tokens(answer)
        made = steps(vocabulary.tokens(ours.copied(question)), said)
        for label in (model, "all"):
            found[label][0] += len(said)
            found[label][1] += made
    for label, (plain, made) in found.items():
        yield label, plain / made, plain, made


@dataclass(frozen=True, slots=True)
class Answer:
    """The engine's answer, and its cost."""

    text: str
    done: Done
    pieces: tuple[tuple[str, float], ...] = ()
    """Each token's text, and the logarithm of its probability."""

    def parts_from(self, other: Answer) -> str:
        """Where the two answers part, and how sure either is of its token there; "" where they do
        not."""
        chars = 0
        for (one, sure), (two, other_sure) in zip(self.pieces, other.pieces, strict=False):
            if one != two:
                return f"character {chars}: {one!r} {sure:.3f}, {two!r} {other_sure:.3f}"
            chars += len(one)
        return "" if len(self.pieces) == len(other.pieces) else f"character {chars}: one has ended"


async def asked(engine: EngineClient, prompt: EditPrompt, copied: str, most: int) -> Answer:
    """The answer of the real model to a raw prompt."""
    spec = Generate(
        id=0,
        lane="infill",
        priority=0,
        document="bench",
        variants=[Variant([(one.text, one.special) for one in prompt.segments])],
        max_tokens=most,
        stop=list(prompt.stop),
        copied=copied,
    )
    pieces: list[tuple[str, float]] = []
    async with aclosing(engine.generate(spec)) as events:
        async for event in events:
            if isinstance(event, Tokens):
                pieces += ((event.text, value) for value in event.logprobs)
            elif isinstance(event, Done):
                return Answer("".join(one for one, _ in pieces), event, tuple(pieces))
    raise RuntimeError("the engine ended without an answer")


async def by_the_clock(path: Path, cases: int, tokens_each: int) -> dict[str, Any]:
    """Milliseconds of generating with and without drafts, in turns, for each scenario."""
    engine = EngineClient(Engine())
    engine.start(str(path))
    plain_ms, draft_ms, ratios = 0.0, 0.0, list[float]()
    same = total = tokens = plain_steps = draft_steps = 0
    try:
        for scenario in public.scenarios(public.FOLDER)[:cases]:
            window = window_around(EditForm.SWEEP, scenario.text, scenario.cursor)
            question = EditQuestion(
                scenario.path, scenario.text, window, scenario.cursor, scenario.hunks
            )
            prompt = render(EditForm.SWEEP, question)
            if prompt is None:
                continue
            plain = await asked(engine, prompt, "", tokens_each)
            drafted = await asked(engine, prompt, prompt.copied(question), tokens_each)
            same, total = same + (plain.text == drafted.text), total + 1
            if plain.text != drafted.text:
                print(scenario.name, plain.parts_from(drafted))
            tokens += plain.done.generated_tokens
            plain_steps += plain.done.decode_steps
            draft_steps += drafted.done.decode_steps
            plain_ms += plain.done.decode_ms
            draft_ms += drafted.done.decode_ms
            if drafted.done.decode_ms and plain.done.generated_tokens > 1:
                ratios.append(plain.done.decode_ms / drafted.done.decode_ms)
    finally:
        await engine.stop()
    return {
        "answers": total,
        "the same": same,
        "tokens": tokens,
        "steps": f"{plain_steps} / {draft_steps} = {plain_steps / draft_steps:.2f}",
        "ms": f"{plain_ms:.0f} / {draft_ms:.0f} = {plain_ms / draft_ms:.2f}",
        "median": round(statistics.median(ratios), 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="default: the catalogue's default model")
    parser.add_argument("--tokens", type=int, default=MAX_TOKENS, help="of an answer, at most")
    parser.add_argument("--cases", type=int, default=18, help="for the real model")
    options = parser.parse_args()
    catalog = Catalog.load()
    path = options.model or catalog.local_path(catalog.default)
    if path is None or not public.FOLDER.exists():
        raise SystemExit(f"needs the model {catalog.default} and {public.FOLDER.name}")
    print("recorded answers, steps without / with drafts")
    for label, ratio, plain, made in replays(path):
        print(f"{label:24}{plain:6} / {made:4} = {ratio:.2f}")
    if options.cases:
        print(asyncio.run(by_the_clock(path, options.cases, options.tokens)))


if __name__ == "__main__":
    main()
