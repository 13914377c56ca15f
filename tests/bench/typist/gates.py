"""What gates show of a model's lines, and what of it is of use, without a clock.

    python tests/bench/typist/gates.py FOLDER [--files N] [--blocks N] [--part tune|test]
        [--known FOLDER]

FOLDER is the typist's; `--known` keeps what was evaluated. One evaluation of a block and its
surroundings tells what the model would write at each of its tokens until it goes astray, and how
sure it is of that, so it costs far less than a session. What it would write then is not known: such
a line counts as one that goes on wrongly, and is of use where its right beginning is worth taking
word by word.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).parent.parent))

import numpy as np
from files import sources
from oracle import CHUNK, lane_for
from script import Script
from worth import Take, worth

from nearfield.catalog.models import Catalog
from nearfield.engine.llama import Model, Silence
from nearfield.engine.sampling import likelihoods
from nearfield.features.completion.answers import MIN_PART_CHARS

ABOVE_CHARS, BELOW_CHARS = 900, 350
"""The text around a block that the model is shown: about 360 tokens."""
LIKELIEST = 64
"""Tokens that are kept of a distribution."""
ASTRAY = "_value(item)"
END = "\0"


@dataclass(frozen=True, slots=True)
class Step:
    """A token of a block: its offset, its text, and the likeliest token there."""

    offset: int
    true: str
    likeliest: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Gate:
    """Least log-probabilities of a token and of the mean. A line whose beginning alone is sure is
    shown from `part` characters on (0: never), a whole line from `whole`. `first` is the least one
    of a token in the first `MIN_PART_CHARS` characters, None for that of the others."""

    part: int = 0
    whole: int = 1
    token: float = -1.0
    mean: float = -0.6
    first: float | None = None


@dataclass(slots=True)
class Count:
    """What a gate came to."""

    places: int = 0
    shown: int = 0
    used: int = 0
    wrong: int = 0
    saved: int = 0

    def add(self, shown: str, wanted: str) -> None:
        """Count a suggestion where `wanted` is written."""
        self.shown += 1
        found = worth(shown, wanted)
        if found and found.take is not Take.MENDED:
            self.used += 1
            self.saved += found.saved
        else:
            self.wrong += not wanted.startswith(shown.strip())


GATES = {
    "whole lines": Gate(),
    "and beginnings": Gate(part=MIN_PART_CHARS),
    "and of 8 characters": Gate(part=8),
    "whole ones of 3 at least": Gate(part=MIN_PART_CHARS, whole=3),
    "whole ones of 6 at least": Gate(part=6, whole=6),
    "and of 8, whole of 8": Gate(part=8, whole=8),
    "tokens of -0.25": Gate(part=MIN_PART_CHARS, whole=3, token=-0.25),
    "tokens of -0.3": Gate(part=MIN_PART_CHARS, whole=3, token=-0.3),
    "tokens of -0.5": Gate(part=MIN_PART_CHARS, whole=3, token=-0.5),
    "tokens of -0.7": Gate(part=MIN_PART_CHARS, whole=3, token=-0.7),
}


def filled(script: Script) -> tuple[str, list[tuple[int, int]]]:
    """Return the text with all blocks in it, and where each begins and ends."""
    whole, grown, spans = script.text, 0, list[tuple[int, int]]()
    for block in reversed(script.blocks):
        whole = whole[: block.start] + block.text + whole[block.start :]
    for block in script.blocks:
        start = block.start + grown
        grown += len(block.text)
        spans.append((start, start + len(block.text)))
    return whole, spans


class Reader:
    """Reads blocks with the model in `path`; `known` keeps what was evaluated."""

    def __init__(self, path: Path, known: Path) -> None:
        self.model = Model(path, 0, lambda _: None, Silence())
        self._name, self._known = path.name, known
        known.mkdir(parents=True, exist_ok=True)

    def blocks(self, script: Script) -> Iterator[tuple[str, list[Step]]]:
        """Yield the text of each block and its tokens; earlier blocks are written by then."""
        whole, spans = filled(script)
        for start, end in spans:
            yield whole[start:end], self._steps(whole, start, end)

    def _steps(self, whole: str, start: int, end: int) -> list[Step]:
        tokenize, pieces = self.model.tokenize, self.model.pieces
        lead = whole.rfind("\n", 0, max(0, whole.rfind("\n", 0, start))) + 1
        above, below = whole[max(0, lead - ABOVE_CHARS) : lead], whole[end : end + BELOW_CHARS]
        head = [*self.head(above, below), *tokenize(whole[lead:start])]
        written = tokenize(whole[start:end])
        ends, at, steps = self.model.ends("infill"), 0, list[Step]()
        for token, ids, sure in zip(written, *self.known(head, written), strict=True):
            true, likeliest = pieces[token].decode(), int(ids[0])
            said = END if likeliest in ends else pieces[likeliest].decode("utf-8", "replace")
            steps.append(Step(at, true, said, float(sure[0])))
            at += len(true)
        return steps

    def head(self, above: str, below: str) -> list[int]:
        """Return the tokens of a prompt that asks what stands between two texts."""
        tokenize, names = self.model.tokenize, ("prefix", "suffix", "middle")
        first, second, last = (tokenize(f"<|fim_{name}|>", True) for name in names)
        return [*first, *tokenize(above), *second, *tokenize(below), *last]

    def known(self, head: list[int], written: list[int]) -> tuple[Any, Any]:
        """Return the likeliest tokens and their log-probabilities at each token of `written`, from
        an earlier evaluation if there is one."""
        digest = hashlib.sha256(repr((self._name, head, written)).encode()).hexdigest()
        kept = self._known / f"{digest[:24]}.npz"
        if not kept.is_file():
            ids, sure = self._evaluated(head, written)
            np.savez_compressed(kept, ids=ids, sure=sure)
        held = np.load(kept)
        return held["ids"], held["sure"]

    def _evaluated(self, head: list[int], written: list[int]) -> tuple[Any, Any]:
        lane = lane_for(self.model, 1)
        tokens, ids, sure = head + written, list[list[int]](), list[list[float]]()
        for start in range(0, len(tokens), CHUNK):
            batch = tokens[start : start + CHUNK]
            lane.decode(lane.table.all[0], batch, outputs=len(batch))
            for row in range(max(0, len(head) - 1 - start), len(batch)):
                if start + row < len(tokens) - 1:
                    logits = lane.logits(row)
                    best = int(logits.argmax())
                    first, others = likelihoods(logits, best, LIKELIEST - 1)
                    ids.append([best, *(token for token, _ in others)])
                    sure.append([first, *(logprob for _, logprob in others)])
        lane.close()
        return np.array(ids, dtype=np.int32), np.array(sure, dtype=np.float32)


def said(steps: Sequence[Step], gate: Gate) -> str:
    """Return what `gate` shows of the model's line at the first of `steps`, "" for nothing."""
    text, logprobs, is_whole = "", list[float](), True
    for step in steps:
        if step.likeliest == END:
            break
        least = gate.token
        if gate.first is not None and len(text.strip()) < MIN_PART_CHARS:
            least = gate.first
        if step.logprob < least:
            is_whole = False
            break
        logprobs.append(step.logprob)
        begun, line_break, _ = step.likeliest.partition("\n")
        text += begun if line_break and (text + begun).strip() else step.likeliest
        if step.likeliest != step.true and not (line_break and step.true.startswith(begun + "\n")):
            text += ASTRAY
            break
        if line_break and text.strip():
            break
    shortest = gate.whole if is_whole else gate.part
    text = text.rstrip()
    if not shortest or len(text.strip()) < shortest or sum(logprobs) < gate.mean * len(logprobs):
        return ""
    return text


def main() -> None:
    """Count and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--blocks", type=int, default=3, help="of each file")
    parser.add_argument("--part", choices=("tune", "test"), default="tune")
    parser.add_argument("--known", type=Path, default=Path("foretold"))
    parser.add_argument("--model", default="")
    chosen = parser.parse_args()
    catalog = Catalog.load()
    model = catalog.local_path(chosen.model or catalog.default)
    assert model is not None, "needs the model"
    reader = Reader(model, chosen.known)
    counts = {(name, place): Count() for name in GATES for place in ("everywhere", "line starts")}
    for source in islice(sources(chosen.folder, chosen.part, 1), chosen.files):
        script = source.script(1)
        assert script is not None
        for text, steps in islice(reader.blocks(script), chosen.blocks):
            for i, step in enumerate(steps):
                is_start = not text[: step.offset].rpartition("\n")[2].strip()
                for (name, place), count in counts.items():
                    if place == "everywhere" or is_start:
                        count.places += 1
                        if shown := said(steps[i:], GATES[name]):
                            count.add(shown, text[step.offset :])
    for (name, place), one in counts.items():
        used = 100 * one.used / max(1, one.shown)
        print(
            f"{place:12} {name:26} places {one.places:5} shown {one.shown:5} used {one.used:4}"
            f" {used:3.0f}% wrong {one.wrong:4} keys saved {one.saved}"
        )


if __name__ == "__main__":
    main()
