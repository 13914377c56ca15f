"""llama.cpp's own server, driven as llama.vim drives it.

Facts taken from llama.vim: lines above and below the cursor, the typed part of the cursor's line as
`prompt`; one request in flight, the next one when it is over; 250 ms of generation for the first
one, and after something is shown a further one as if it had been taken; answers are cached by what
stands around the cursor and also found when up to 128 characters of them have been typed; nothing
is asked when more than 8 characters follow the cursor on its line. The most probable token is taken
instead of a sampled one, so that both sides are deterministic.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from completer import GIVE_UP_SECONDS, Cost, Looked
from sessions import Kind

LOOK_BACK = 128
LINE_REST = 8
GENERATE_MS = 250
FURTHER_MS = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """How the plugin and the server are set up."""

    name: str
    above: int
    below: int
    batch: int


AS_SHIPPED = Options("llama.vim + llama-server", above=256, below=64, batch=1024)
TUNED = Options("the same, tuned for a slow machine", above=64, below=16, batch=256)


@dataclass(frozen=True, slots=True)
class Place:
    """What is sent of a cursor: lines above, the typed part, what follows."""

    prefix: str
    typed: str
    suffix: str


class Peer:
    """One server with one model, and the plugin's rules."""

    def __init__(self, model: Path, threads: int, port: int, options: Options) -> None:
        self.name = options.name
        self.costs: list[Cost] = []
        self._options = options
        self._command = [
            *(sys.executable, str(Path(__file__).with_name("serve_peer.py"))),
            *(str(model), str(threads), str(port), str(options.batch)),
        ]
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)
        self._process: subprocess.Popen[bytes] | None = None
        self._cache: dict[Place, str] = {}
        self._changed = threading.Condition()
        self._wanted: tuple[Kind, Place] | None = None
        self._closing = False
        self._busy = False
        self._asked_at = 0.0
        self._place: Place | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """See `Completer`."""
        self.close()
        self._cache.clear()
        self._closing, self._wanted, self._place = False, None, None
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE)
        for _ in range(600):
            try:
                if self._client.get("/health").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """See `Completer`."""
        if self._process is None or self._thread is None:
            return
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(60)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(60)
        self._process = None

    def open(self, name: str, text: str) -> None:
        """See `Completer`."""

    def edit(self, kind: Kind, text: str, offset: int, removed: int, added: str) -> None:
        """See `Completer`."""
        self._ask(kind, text, offset + len(added))

    def look(self, kind: Kind, text: str, offset: int) -> Looked:
        """See `Completer`."""
        place = self._cut(text, offset)
        if place != self._place:
            self._ask(kind, text, offset)
        shown: str | None = None
        if place is not None:
            end = time.perf_counter() + GIVE_UP_SECONDS
            with self._changed:
                self._changed.wait_for(
                    lambda: self._known(place) is not None, end - time.perf_counter()
                )
                shown = self._known(place)
        return Looked(kind, (time.perf_counter() - self._asked_at) * 1000, shown or "")

    # --- the plugin ---------------------------------------------------------------------

    def _cut(self, text: str, offset: int) -> Place | None:
        """What is sent of a cursor; None where nothing is asked."""
        start = text.rfind("\n", 0, offset) + 1
        end = text.find("\n", offset)
        end = len(text) if end < 0 else end
        if end - offset > LINE_REST:
            return None
        above = text[:start].splitlines(keepends=True)[-self._options.above :]
        below = text[end + 1 :].splitlines(keepends=True)[: self._options.below]
        typed, rest = text[start:offset], text[offset:end]
        if not (typed + rest).strip():
            # On an empty line the plugin leaves the indentation to the model.
            typed = rest = ""
        return Place("".join(above), typed, rest + "\n" + "".join(below))

    def _ask(self, kind: Kind, text: str, offset: int) -> None:
        self._asked_at = time.perf_counter()
        self._place = place = self._cut(text, offset)
        with self._changed:
            self._wanted = None if place is None else (kind, place)
            self._changed.notify_all()

    def _known(self, place: Place) -> str | None:
        """What is cached for a place, also by having been typed through."""
        for typed in range(min(LOOK_BACK, len(place.typed)) + 1):
            split = len(place.typed) - typed
            before = Place(place.prefix, place.typed[:split], place.suffix)
            said = self._cache.get(before)
            if said is not None and said.startswith(place.typed[split:]):
                rest = said[typed:]
                if rest or not typed:
                    return rest
        return None

    def _run(self) -> None:
        """One request at a time, for the newest place that has no answer."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._wanted is not None)
                if self._closing:
                    return
                wanted, self._wanted = self._wanted, None
            if wanted is None:
                continue
            kind, place = wanted
            said = self._known(place)
            if said is None:
                said = self._request(kind, place, GENERATE_MS)
                self._store(place, said)
            if said and self._wanted is None:
                self._speculate(kind, place, said)

    def _speculate(self, kind: Kind, place: Place, said: str) -> None:
        """Ask as if `said` had been taken."""
        head, line_break, last = (place.typed + said).rpartition("\n")
        further = Place(place.prefix + head + line_break, last, place.suffix)
        if self._known(further) is None:
            self._store(further, self._request(kind, further, FURTHER_MS, idle=True))

    def _store(self, place: Place, said: str) -> None:
        with self._changed:
            self._cache[place] = said
            self._changed.notify_all()

    def _request(self, kind: Kind, place: Place, ms: int, *, idle: bool = False) -> str:
        answer = self._client.post(
            "/infill",
            json={
                "id_slot": 0,
                "input_prefix": place.prefix,
                "input_suffix": place.suffix,
                "prompt": place.typed,
                "n_predict": 128,
                "samplers": ["top_k", "infill"],
                "top_k": 1,
                "stream": False,
                "cache_prompt": True,
                "t_max_predict_ms": ms,
            },
        ).raise_for_status()
        data = answer.json()
        timings = data["timings"]
        self.costs.append(
            Cost(
                kind,
                timings["prompt_n"],
                timings.get("cache_n", 0),
                timings["predicted_n"],
                idle,
            )
        )
        return data["content"]
