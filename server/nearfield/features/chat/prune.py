"""Make a conversation fit: the oldest exchanges become a summary, pinned text stays whole.

Results of functions are shortened first. Then the model itself summarises old exchanges, the oldest
first; if it cannot, the first line of each turn replaces it. The exchange that is being answered is
never dropped. Pinned files of dropped exchanges move beside the summary while they take at most
half the window.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from nearfield.errors import ContextTooLong
from nearfield.features.chat.protocol import TurnPart
from nearfield.features.chat.session import ChatSession, ChatTurn
from nearfield.files.lines import split_lines
from nearfield.providers.estimate import CHARS_PER_TOKEN, tokens
from nearfield.types import Role

RESULT_CHARS = 1_500
"""Length of a long result that no longer fits whole."""
SUMMARY_CHARS = 1_200
LINE_CHARS = 120
PINNED_SHARE = 0.5

Summarise = Callable[[str], Awaitable[str]]
"""Summarise a text in a few sentences; "" on failure."""

_BEFORE = "What was said before, in short:\n"
_CUT = "\n(shortened)"


async def fit(session: ChatSession, room: int, summarise: Summarise) -> bool:
    """Make `session` fit in `room` tokens; whether anything was changed. Raises `ContextTooLong`
    when the last exchange alone does not."""
    if session.tokens <= room:
        return False
    _shorten(session, room, session.turns[: _last(session)])
    dropped: list[ChatTurn] = []
    while session.tokens + (tokens(" " * SUMMARY_CHARS) if dropped else 0) > room:
        size = _next(session)
        if size == 0:
            break
        dropped += session.turns[:size]
        del session.turns[:size]
    if dropped:
        await _sum_up(session, dropped, room, summarise)
    _shorten(session, room, session.turns)
    if session.tokens > room:
        raise ContextTooLong(
            f"This message is about {session.tokens} tokens with what it quotes, and {room} fit.",
            "Refer to fewer files or lines, or choose a model with a larger context.",
        )
    return True


def _shorten(session: ChatSession, room: int, turns: list[ChatTurn]) -> None:
    """Cut long results, the oldest first, until it fits."""
    for turn in turns:
        if session.tokens <= room:
            return
        if turn.role is Role.TOOL and len(turn.text) > RESULT_CHARS:
            turn.parts = _cut(turn.parts, RESULT_CHARS)


def _cut(parts: list[TurnPart], most: int) -> list[TurnPart]:
    """The first `most` characters of `parts`. Each piece stays one of its file."""
    kept: list[TurnPart] = []
    for part in parts:
        if most <= 0:
            break
        kept.append(replace(part, text=part.text[:most], span=None))
        most -= len(part.text)
    return [*kept, TurnPart(_CUT)]


def _last(session: ChatSession) -> int:
    """Return where the exchange that is being answered begins."""
    return max((i for i, turn in enumerate(session.turns) if turn.opens), default=0)


def _next(session: ChatSession) -> int:
    """Return the number of turns of the oldest exchange, 0 when it is the only one."""
    begins = [i for i, turn in enumerate(session.turns) if turn.opens]
    return begins[1] if len(begins) > 1 else 0


async def _sum_up(
    session: ChatSession, dropped: list[ChatTurn], room: int, summarise: Summarise
) -> None:
    before = session.summary.parts if session.summary else []
    pinned = [part for part in before if part.pinned]
    pinned += [part for turn in dropped for part in turn.parts if part.pinned and part.path]
    old = "".join(part.text for part in before if not part.pinned)
    told = "\n\n".join(f"{turn.role}: {_brief(turn)}" for turn in dropped if turn.text.strip())
    most = int(room * CHARS_PER_TOKEN / 2)
    summary = (await summarise(f"{old}\n\n{told}"[-most:])).strip()[:SUMMARY_CHARS]
    text = summary or _first_lines(old, dropped)
    # The summary may tell what stood in these files: as a source without text each of them keeps it
    # on this machine where it may not leave.
    told_of = [*before, *(part for turn in dropped for part in turn.parts)]
    paths = dict.fromkeys(part.path for part in told_of if part.path)
    session.summary = ChatTurn(
        Role.USER,
        [
            TurnPart(f"{_BEFORE}{text}\n"),
            *(TurnPart("", path) for path in paths),
            *_kept(pinned, int(room * PINNED_SHARE)),
        ],
    )


def _kept(pinned: list[TurnPart], room: int) -> list[TurnPart]:
    """The newest of the pinned pieces that fit, each once."""
    kept: list[TurnPart] = []
    for part in reversed(list({(part.path, part.span): part for part in pinned}.values())):
        room -= tokens(part.text) + MESSAGE_HEAD
        if room < 0:
            break
        kept[:0] = [TurnPart(f"\n{part.path}:\n", pinned=True), part]
    return kept


MESSAGE_HEAD = 12
"""Tokens of the line above a pinned piece, about."""


def _brief(turn: ChatTurn) -> str:
    """A turn without what is pinned anyway."""
    text = "".join(part.text for part in turn.parts if not part.pinned)
    calls = ", ".join(f"{call.name}({call.arguments[:80]})" for call in turn.calls)
    return (f"[called {calls}] " if calls else "") + text[: RESULT_CHARS // 2]


def _first_lines(old: str, dropped: list[ChatTurn]) -> str:
    lines = [line for line in split_lines(old.removeprefix(_BEFORE)) if line.strip()]
    for turn in dropped:
        first = _brief(turn).strip().partition("\n")[0][:LINE_CHARS]
        if first and turn.role is not Role.TOOL:
            lines.append(f"- {turn.role}: {first}")
    return "\n".join(lines)[-SUMMARY_CHARS:]
