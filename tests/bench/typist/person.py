"""The person: writes the blocks of a script at their own pace and never waits for a suggestion.

They read what has been in view for `READ_SECONDS`, judge it once, and take it if it saves keys.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from completer import Completer, Edit
from screen import Screen
from script import Script, Slip, Visit, unit_at
from worth import Mend, Take, Worth, worth

READ_SECONDS = 0.35
MEND_SHARE = 0.5
"""Share of the suggestions worth mending that are taken."""
SOON_SECONDS = 2.0
"""At a place that the person has come to, a useful suggestion within this time counts."""
LAST_WORD = re.compile(r"\w+\W*$")


class Clock(Protocol):
    """The time in which a person lives."""

    def now(self) -> float:
        """Return the seconds."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return when `event` is set, at the latest after `seconds`."""
        ...


class LoopClock:
    """The clock of the event loop, simulated or not."""

    def now(self) -> float:
        """See `Clock`."""
        return asyncio.get_running_loop().time()

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """See `Clock`."""
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass


class NoClock:
    """A clock on which waiting takes no time, to count keys."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """See `Clock`."""
        return self._now

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """See `Clock`."""
        self._now += seconds


@dataclass(slots=True)
class Account:
    """What a session came to."""

    keys: int = 0
    chars: int = 0
    suggested_chars: int = 0
    seen: int = 0
    used: int = 0
    wrong: int = 0
    openings: int = 0
    soon: int = 0
    seconds: float = 0.0
    takes: dict[str, int] = field(default_factory=dict[str, int])


class Person:
    """Plays `script` with `completer`. `note` is told of each suggestion that was seen."""

    def __init__(
        self,
        script: Script,
        completer: Completer,
        clock: Clock,
        note: Callable[[dict[str, object]], None] = lambda row: None,
    ) -> None:
        self.account = Account()
        self.screen = Screen(clock.now)
        self._script, self._completer, self._clock, self._note = script, completer, clock, note
        self._text, self._cursor = script.text, 0
        self._starts = [block.start for block in script.blocks]
        self._written = [0] * len(script.blocks)
        self._block = 0
        self._arrived: float | None = None
        self._judged = ""
        self._slips: set[tuple[int, int]] = set()

    async def play(self) -> None:
        """Write everything."""
        begun = self._clock.now()
        for visit in self._script.visits():
            await self._write(visit)
        self.account.seconds = self._clock.now() - begun
        expected = self._whole()
        assert self._text == expected, "the person has not written what they meant to"

    def _whole(self) -> str:
        text = self._script.text
        for block in reversed(self._script.blocks):
            text = text[: block.start] + block.text + text[block.start :]
        return text

    # --- writing ----------------------------------------------------------------------------

    async def _write(self, visit: Visit) -> None:
        self._block = visit.block
        text = self._script.blocks[visit.block].text
        self._cursor = self._starts[visit.block] + self._written[visit.block]
        self.account.openings += 1
        self._arrived = self._clock.now()
        self.screen.follow(1, "")
        self._completer.moved(self._text, self._cursor, None)
        is_opening = True
        while (at := self._written[visit.block]) < visit.end:
            slip = self._script.slip(visit.block, at)
            if slip and (visit.block, at) not in self._slips:
                self._slips.add((visit.block, at))
                await self._slip(slip, text, at)
            wait = self._script.pause(visit.block, at, opening=is_opening)
            is_opening = False
            if await self._looks(self._clock.now() + wait, text[at:]):
                continue
            self._arrived = None
            unit = unit_at(text, at)
            self._press(0, unit)
            self._written[visit.block] += len(unit)
            self.account.chars += len(unit)

    async def _slip(self, slip: Slip, text: str, at: int) -> None:
        """Do something and take it back."""
        if slip is Slip.RETYPE:
            word = LAST_WORD.search(text[:at].rpartition("\n")[2])
            assert word is not None
            await self._pause(at)
            self._press(len(word[0]), "")  # one key deletes a word
            for char in word[0]:
                await self._pause(at)
                self._press(0, char)
            return
        wrong = "q" if slip is Slip.TYPO else text[at : at + 3].partition("\n")[0]
        if not wrong:
            return
        for char in wrong:
            await self._pause(at)
            self._press(0, char)
        await self._pause(at)
        self._press(len(wrong), "")

    async def _pause(self, at: int) -> None:
        until = self._clock.now() + self._script.key_pause(self._block, at)
        while (left := until - self._clock.now()) > 1e-9:
            self.screen.changed.clear()
            await self._clock.wait(self.screen.changed, left)

    def _press(self, removed: int, added: str) -> None:
        """Press one key."""
        self.account.keys += 1
        self._put(removed, added)

    def _put(self, removed: int, added: str) -> None:
        """Replace the `removed` characters before the cursor by `added`."""
        at = self._cursor - removed
        self._text = self._text[:at] + added + self._text[self._cursor :]
        self._cursor = at + len(added)
        grown = len(added) - removed
        here = self._starts[self._block]
        self._starts = [start + grown if start > here else start for start in self._starts]
        self.screen.follow(removed, added)
        self._completer.moved(self._text, self._cursor, Edit(at, removed, added))

    # --- reading ----------------------------------------------------------------------------

    async def _looks(self, until: float, wanted: str) -> bool:
        """Look at the screen until the next key; return whether something was taken."""
        clock, screen = self._clock, self.screen
        while (left := until - clock.now()) > 1e-9:
            screen.changed.clear()
            seconds = left
            if screen.shown.strip():
                self._notice_soon(wanted)
                unread = screen.since + READ_SECONDS - clock.now()
                target = self._text[: self._cursor] + screen.shown
                if target != self._judged:
                    if unread <= 1e-9:
                        self._judged = target
                        if await self._judge(screen.shown, wanted):
                            return True
                        continue
                    seconds = min(left, unread)
            await clock.wait(screen.changed, seconds)
        return False

    def _notice_soon(self, wanted: str) -> None:
        """Count the first useful suggestion after the person has come here."""
        if self._arrived is None or worth(self.screen.shown, wanted) is None:
            return
        self.account.soon += self.screen.since - self._arrived <= SOON_SECONDS
        self._arrived = None

    async def _judge(self, shown: str, wanted: str) -> bool:
        """Judge a suggestion that was read; return whether it was taken."""
        account, at = self.account, self._written[self._block]
        found = worth(shown, wanted)
        if found and found.take is Take.MENDED:
            dice = self._script.rng("mend", self._block, at).random()
            found = found if dice < MEND_SHARE else None
        account.seen += 1
        is_wrong = found is None and not wanted.startswith(shown.strip())
        account.wrong += is_wrong
        self._note(
            {
                "at": at,
                "block": self._block,
                "shown": shown,
                "wanted": wanted[: len(shown) + 40],
                "verdict": str(found.take) if found else "wrong" if is_wrong else "too short",
                "saved": found.saved if found else 0,
            }
        )
        if found is None:
            return False
        await self._take(found, at)
        return True

    async def _take(self, found: Worth, at: int) -> None:
        account = self.account
        account.used += 1
        account.takes[str(found.take)] = account.takes.get(str(found.take), 0) + 1
        await self._pause(at)
        self._completer.accepted()
        if found.take is Take.WORDS:
            for _ in range(found.keys - 1):
                await self._silent_key(at)
        self._press(0, found.text)
        if found.mend is None:
            self._wrote(found.text, len(found.text))
        else:
            await self._mend(found.mend, at)
            self._wrote(
                found.text[: found.mend.at] + found.mend.right + found.mend.after,
                len(found.text) - len(found.mend.wrong),
            )

    def _wrote(self, text: str, suggested: int) -> None:
        self._written[self._block] += len(text)
        self.account.chars += len(text)
        self.account.suggested_chars += suggested

    async def _mend(self, mend: Mend, at: int) -> None:
        """Go back to what is wrong, replace it, and go to the line's end."""
        for _ in range(mend.back):
            await self._silent_key(at)
        self._cursor -= len(mend.after)
        for _ in range(mend.deletions - 1):
            await self._silent_key(at)
        if mend.wrong:
            await self._pause(at)
            self._press(len(mend.wrong), "")
        for char in mend.right:
            await self._pause(at)
            self._press(0, char)
        if mend.after:
            await self._silent_key(at)
            self._cursor += len(mend.after)
            self.screen.follow(1, "")
            self._completer.moved(self._text, self._cursor, None)

    async def _silent_key(self, at: int) -> None:
        """Press a key that is not asked about by itself."""
        await self._pause(at)
        self.account.keys += 1


async def keys_without(script: Script, completer: Completer) -> int:
    """Return the keys of a person whose editor suggests nothing."""
    person = Person(script, completer, NoClock())
    await person.play()
    return person.account.keys
