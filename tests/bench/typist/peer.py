"""llama.vim's way: what the plugin asks llama.cpp's server, when, and what it shows of the answer.

Facts of the plugin that are kept: lines above and below, a ring of chunks of other places, one
request at a time and the next one 100 ms later, 250 ms of generation for what is waited for, a
further request as if the suggestion had been taken, a cache that finds what is typed along, and
nothing where more than 8 characters follow the cursor. The most probable token is taken, so that a
session can be repeated.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from completer import Edit, Spent
from editing import check
from ring import Ring
from screen import Screen

LINE_REST = 8
LOOK_BACK = 128
CACHE_KEYS = 250
TRIMMED_LINES = 3
RETRY_SECONDS = 0.1
PROMPT_MS, FIRST_MS, FURTHER_MS = 500, 250, 1000
PREDICT = 128


@dataclass(frozen=True, slots=True)
class Options:
    """The plugin's and the server's options."""

    above: int
    below: int
    batch: int


AS_SHIPPED = Options(above=256, below=64, batch=1024)
TUNED = Options(above=64, below=16, batch=256)


@dataclass(frozen=True, slots=True)
class Place:
    """The local context of a cursor."""

    prefix: str
    middle: str
    suffix: str
    rest: str
    indent: int

    @property
    def keys(self) -> list[str]:
        """The keys of its answer, also for when the first lines have scrolled out."""
        found, prefix = list[str](), self.prefix
        for _ in range(1 + TRIMMED_LINES):
            found.append(f"{prefix}{self.middle}\0{self.suffix}")
            prefix = prefix.partition("\n")[2]
            if not prefix:
                break
        return found


class Slot(Protocol):
    """llama.cpp's server with one slot."""

    async def start(self) -> None:
        """Start it and wait until it answers."""
        ...

    def begin(self) -> None:
        """Count from here."""
        ...

    async def ask(self, body: dict[str, Any]) -> str:
        """Return the answer to a request for `/infill`."""
        ...

    def spent(self) -> Spent:
        """Return the cost since `begin`."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


class Peer:
    """A `Completer` over one server."""

    def __init__(self, server: Slot, options: Options, seed: int) -> None:
        self._server, self._options = server, options
        self._ring = Ring(random.Random(seed))
        self._cache: OrderedDict[str, str] = OrderedDict()
        self._lines: list[str] = [""]
        self._row = self._column = 0
        self._job: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._updates: asyncio.Task[None] | None = None
        self._moved_at: float | None = None
        self._picked_row = -9999
        self._screen: Screen | None = None
        self._indent = -1

    # --- what the editor does ---------------------------------------------------------------

    async def start(self, screen: Screen) -> None:
        """See `Completer`."""
        self._screen = screen
        await self._server.start()

    async def open(self, name: str, text: str) -> None:
        """See `Completer`."""
        self._lines = text.split("\n")
        self._ring.name = name
        self._ring.pick(self._ring.around(self._lines, 0))
        self._server.begin()
        self._updates = asyncio.create_task(self._update())

    def moved(self, text: str, cursor: int, edit: Edit | None) -> None:
        """See `Completer`."""
        self._lines = text.split("\n")
        self._row = text.count("\n", 0, cursor)
        self._column = cursor - (text.rfind("\n", 0, cursor) + 1)
        self._moved_at = asyncio.get_running_loop().time()
        self._hint()
        self._fim(None)

    def accepted(self) -> None:
        """See `Completer`."""

    def spent(self) -> Spent:
        """See `Completer`."""
        return self._server.spent()

    async def close(self) -> None:
        """See `Completer`."""
        if self._timer is not None:
            self._timer.cancel()
        for task in (self._updates, self._job):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._server.close()

    # --- the plugin ---------------------------------------------------------------------------

    def _place(self, taken: list[str] | None) -> Place:
        """Return the context at the cursor, as if the lines `taken` had been taken."""
        options, lines, row = self._options, self._lines, self._row
        line = lines[row]
        below = lines[row + 1 : row + 1 + options.below]
        if not taken:
            above = lines[max(0, row - options.above) : row]
            left, rest, indent = line[: self._column], line[self._column :], _indent(line)
            if not line.strip():
                left, rest, indent = "", "", 0
        else:
            above = lines[max(0, row - options.above + len(taken) - 1) : row]
            left, rest, indent = line + taken[0], "", self._indent
            if len(taken) > 1:
                above = [*above, line + taken[0], *taken[1:-1]]
                left = taken[-1]
        suffix = rest + "\n" + "\n".join(below) + "\n"
        return Place("\n".join(above) + "\n", left, suffix, rest, indent)

    def _known(self, place: Place) -> str | None:
        """Return the cached answer for a place, also one that has been typed along."""
        found = self._cached(f"{place.prefix}{place.middle}\0{place.suffix}")
        if found is not None:
            return found
        before, best = place.prefix + place.middle, None
        for typed in range(1, LOOK_BACK + 1):
            said = self._cached(f"{before[:-typed]}\0{place.suffix}")
            if said and said.startswith(before[-typed:]) and len(said) > typed:
                rest = said[typed:]
                best = rest if best is None or len(rest) > len(best) else best
        return best

    def _cached(self, key: str) -> str | None:
        if key in self._cache:
            self._cache.move_to_end(key)
        return self._cache.get(key)

    def _hint(self) -> None:
        """Show what is cached for the cursor, and ask what would follow it."""
        assert self._screen is not None
        said = self._known(self._place(None))
        shown = "" if said is None else self._rendered(said)
        self._screen.show(shown)
        if shown:
            self._fim(shown.split("\n"))

    def _rendered(self, said: str) -> str:
        """Return what is shown of an answer: not what the document has already."""
        content = said.split("\n")
        while content and not content[-1]:
            content.pop()
        if not content:
            return ""
        line = self._lines[self._row]
        left, rest = line[: self._column], line[self._column :]
        if not line.strip():
            lead = min(_indent(content[0]), len(line))
            left, content[0] = content[0][:lead][: self._column], content[0][lead:]
            rest = ""
        below = self._lines[self._row + 1 :]
        after = 0
        while after < len(below) - 1 and not below[after].strip():
            after += 1
        follows = below[after : after + len(content)]
        repeats = content == [rest] or (
            len(content) > 1 and not content[0] and content[1:] == below[: len(content) - 1]
        )
        if follows and left + content[0] == follows[0]:
            repeats |= len(content) == 1
            last = content[-1]
            repeats |= len(content) == 2 == len(follows) and follows[1].startswith(last)
            repeats |= len(content) > 2 and content[1:] == follows[1:]
        text = "\n".join(content)
        return "" if repeats or not text.strip() else text

    def _fim(self, taken: list[str] | None) -> None:
        """Ask for a place, unless its answer is known; later while another request runs."""
        if self._job is not None and self._job.done():
            check(self._job)
            self._job = None
        if self._job is not None:
            if self._timer is not None:
                self._timer.cancel()
            later: Callable[[], None] = lambda: self._fim(taken)  # noqa: E731
            self._timer = asyncio.get_running_loop().call_later(RETRY_SECONDS, later)
            return
        place = self._place(taken)
        if len(place.rest) > LINE_REST:
            return
        if any(self._cached(key) is not None for key in place.keys):
            return
        self._indent = place.indent
        self._ring.evict_like(self._ring.around(self._lines, self._row))
        self._job = asyncio.create_task(self._request(place, FURTHER_MS if taken else FIRST_MS))
        if abs(self._row - self._picked_row) > 32:
            above, below = self._options.above, self._options.below
            row, reach = self._row, self._ring.SCOPE
            self._ring.pick(self._lines[max(0, row - reach) : max(0, row - above)])
            self._ring.pick(self._lines[row + below : row + below + self._ring.SIZE])
            self._picked_row = self._row

    async def _request(self, place: Place, predict_ms: int) -> None:
        body = {
            "id_slot": 0,
            "input_prefix": place.prefix,
            "input_suffix": place.suffix,
            "input_extra": self._ring.extra(),
            "prompt": place.middle,
            "n_predict": PREDICT,
            "n_indent": max(0, place.indent),
            "samplers": ["top_k", "infill"],
            "top_k": 1,
            "cache_prompt": True,
            "t_max_prompt_ms": PROMPT_MS,
            "t_max_predict_ms": predict_ms,
        }
        said = await self._server.ask(body)
        for key in place.keys:
            self._cache[key] = said
            self._cache.move_to_end(key)
        while len(self._cache) > CACHE_KEYS:
            self._cache.popitem(last=False)
        if self._screen is not None and not self._screen.shown:
            self._hint()

    async def _update(self) -> None:
        """Move a queued chunk to the ring once a second while the cursor rests."""
        while True:
            await asyncio.sleep(self._ring.UPDATE_SECONDS)
            now = asyncio.get_running_loop().time()
            if self._moved_at is not None and now - self._moved_at < self._ring.REST_SECONDS:
                continue
            if self._ring.take():
                await self._server.ask({
                    "id_slot": 0, "input_prefix": "", "input_suffix": "",
                    "input_extra": self._ring.extra(), "prompt": "", "n_predict": 0,
                    "samplers": [], "cache_prompt": True,
                    "t_max_prompt_ms": 1, "t_max_predict_ms": 1,
                })  # fmt: skip


def _indent(line: str) -> int:
    found = re.match(r"[ \t]*", line)
    return len(found[0]) if found else 0
