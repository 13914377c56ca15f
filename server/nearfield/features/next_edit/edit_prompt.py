"""Prompts for models that were trained to predict the next edit, and the reading of their answers.

A form is data: what `FORMS` has under a name of the catalogue's `edit_form`. Text of a document is
never parsed as a control token, and a question whose text holds one of the form's own markers is
not asked. Where a form has an author, a prompt is what the author's own client writes.

A model rewrites a window of whole lines; `read_answer` returns the window's new text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from nearfield.files.lines import line_end, line_start, next_line, previous_line, split_lines
from nearfield.syntax.differences import changed_span
from nearfield.types import EditForm, Segment, Snippet, Span

__all__ = [
    "FORMS",
    "EditPrompt",
    "EditQuestion",
    "FormSpec",
    "Hunk",
    "block_starts",
    "fitted",
    "kept_window",
    "read_answer",
    "render",
    "window_around",
    "with_excerpts",
]

MAX_HUNKS = 6
"""Recent changes in a prompt; Sweep's and Zed's clients show as many."""
HUNK_STEP = MAX_HUNKS // 2
"""The first hunk of a prompt has a number that is a multiple of this, so that a prompt rarely
begins otherwise than the last one."""
BYTES_PER_TOKEN = 3
"""Zed's estimate for code; sizes below are the authors' tokens by it."""
WHOLE_FILE_LINES = 800
EXCERPT_LINES = 300
"""Excerpt of a longer file, as in Sweep's client. It begins at a multiple of two thirds of this, so
that typing rarely changes the beginning of the prompt.
"""
MAX_CONTEXT_CHARS = 9_000
"""Characters of the file around the window in forms that write it there: 3,000 of Zed's 4,096
tokens.
"""
MAX_ABOVE_CHARS = 75 * BYTES_PER_TOKEN
"""Of it above the window in suffix-prefix-middle forms, half of what Zed's client shows around it:
it comes after the changes and is evaluated at each question, while what is below comes first."""
CHARS_PER_LINE = 40
SECOND_LINES = 30
"""Of the excerpt around the cursor, where the first one is of another place."""
KEPT_ABOVE, KEPT_BELOW = 2, 5
"""Lines around the cursor's that an excerpt must have to be kept; Sweep's local client shows no
more."""
EDGE_ABOVE, EDGE_BELOW = 1, 3
"""Lines around the cursor's that a window must have to be kept."""
MAX_CUT_SHIFT = 5
"""Lines that the end of a block may move, up to one that begins a definition."""
NO_EDITS = "NO_EDITS"


@dataclass(frozen=True, slots=True)
class Hunk:
    """A recent change: whole lines `old` of `path` became `new`; `row` is the first one, from 1.
    Changes are numbered in their order."""

    path: str
    old: str
    new: str
    row: int = 1
    number: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class EditQuestion:
    """The content of a prompt. `window` is a span of whole lines of `text` without the last
    line break; `cursor` is in it. `hunks` are oldest first. `before` is the text without them.
    `context_chars` are the most that are shown of the file besides the window, around
    each of `excerpt_rows` of `before`, by default around the cursor's."""

    path: str
    text: str
    window: Span
    cursor: int
    hunks: tuple[Hunk, ...] = ()
    before: str = ""
    others: tuple[Snippet, ...] = ()
    context_chars: int = 1_000_000
    excerpt_rows: tuple[int, ...] = ()

    @property
    def excerpts(self) -> list[str]:
        """The shown parts of the file as it was before the changes."""
        rows = self.excerpt_rows or (self.text.count("\n", 0, self.cursor),)
        shown = _excerpts(self.before or self.text, rows, self.context_chars)
        return [text for _, text in shown]

    @property
    def old(self) -> str:
        """The window's text."""
        return self.text[self.window.start : self.window.end]

    def marked(self, marker: str) -> str:
        """The window's text with `marker` at the cursor."""
        return (
            self.text[self.window.start : self.cursor]
            + marker
            + self.text[self.cursor : self.window.end]
        )


@dataclass(frozen=True, slots=True)
class EditPrompt:
    """A rendered question. The answer continues `prefill`, which is the prompt's end, and stops at
    one of `stop`. `is_chat`: the text is one user message, not a raw prompt."""

    segments: tuple[Segment, ...]
    stop: tuple[str, ...]
    prefill: str = ""
    is_chat: bool = False

    @property
    def text(self) -> str:
        """The prompt as one string."""
        return "".join(segment.text for segment in self.segments)

    def copied(self, question: EditQuestion) -> str:
        """The answer where nothing changes: what it mostly repeats."""
        return question.old.removeprefix(self.prefill) + "\n"


@dataclass(frozen=True, slots=True)
class SpmTokens:
    """The control tokens of a model's vocabulary that a suffix-prefix-middle prompt needs."""

    suffix: str
    prefix: str
    middle: str
    end: str


SEED_CODER = SpmTokens("<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>", "<[end▁of▁sentence]>")
QWEN = SpmTokens("<|fim_suffix|>", "<|fim_prefix|>", "<|fim_middle|>", "<|im_end|>")


@dataclass(frozen=True, slots=True)
class FormSpec:
    """The prompt form of a family of models. `above` and `below` are the window's lines around the
    cursor's, at most `window_bytes` of them; `markers` are texts that a document must not hold. The
    prompt and the answer together hold the window `copies` times. `keeps_window`: a prompt begins
    with the text below the window, so that moving it costs the whole prompt. A new window then has
    at most `first_bytes`, and `pace` lines below for each above: one writes on in it, downwards."""

    write: Callable[[EditQuestion], EditPrompt]
    read: Callable[[EditQuestion, str], str | None]
    markers: tuple[str, ...]
    above: int = 10
    below: int = 10
    window_bytes: int = 1_000_000
    copies: int = 2
    keeps_window: bool = False
    first_bytes: int = 1_000_000
    pace: int = 1


def render(form: EditForm, question: EditQuestion) -> EditPrompt | None:
    """Return the prompt, or None where the question's text holds one of the form's markers."""
    row = FORMS[form]
    shown = (question.text, *(text for hunk in question.hunks for text in (hunk.old, hunk.new)))
    if any(marker in text for marker in row.markers for text in shown):
        return None
    return row.write(question)


def read_answer(form: EditForm, question: EditQuestion, answer: str) -> str | None:
    """Return what the window becomes by `answer`, which begins with the prompt's prefill; None
    where it proposes nothing, or cannot be read."""
    new = FORMS[form].read(question, answer)
    if new is None:
        return None
    if not question.old.endswith("\n"):
        new = new.removesuffix("\n")
    return None if new == question.old else new


def window_around(form: EditForm, text: str, cursor: int) -> Span:
    """Return the whole lines around `cursor` that a model of this form may rewrite."""
    row = FORMS[form]
    most = min(row.first_bytes, row.window_bytes)
    start, end = line_start(text, cursor), line_end(text, cursor)
    above, below, size = row.above, row.below, -1
    while size != (size := end - start):
        for _ in range(min(row.pace, below)):
            lower = line_end(text, next_line(text, end)) if end < len(text) else end
            end = lower if lower - start <= most else end
        upper = previous_line(text, start) if above > 0 and start > 0 else start
        start = upper if end - upper <= most else start
        above, below = above - 1, below - row.pace
    return Span(start, end)


def kept_window(text: str, cursor: int, above: int, below: int, most: int) -> Span | None:
    """Return the window with as many lines above and below it as the last one had. None where the
    cursor is near its edge or outside, or where it has more than `most` characters."""
    lines = text.split("\n")
    last = len(lines) - below
    row = text.count("\n", 0, cursor)
    has_above = above == 0 or row - above >= EDGE_ABOVE
    has_below = below == 0 or last - 1 - row >= EDGE_BELOW
    if not (above <= row < last and has_above and has_below):
        return None
    start = sum(map(len, lines[:above])) + above
    end = start + sum(map(len, lines[above:last])) + last - above - 1
    return Span(start, end) if end - start <= most else None


def fitted(form: EditForm, question: EditQuestion, context_tokens: int) -> EditQuestion:
    """Return the question with as much of the file, and as many of the latest changes, as a model
    of `context_tokens` can read. How much of the file depends on the model alone, so that the
    beginning of a prompt stays the same from one question to the next."""
    most = context_tokens * BYTES_PER_TOKEN
    question = replace(question, context_chars=min(question.context_chars, most * 3 // 5))
    rest = most - question.context_chars - FORMS[form].copies * len(question.old)
    kept = max(0, len(question.hunks) - 1)
    for at, hunk in reversed(list(enumerate(question.hunks))):
        rest -= len(hunk.old) + len(hunk.new) + 2 * len(hunk.path) + CHARS_PER_LINE
        if rest < 0:
            break
        if at == 0 or question.hunks[at - 1].number // HUNK_STEP < hunk.number // HUNK_STEP:
            kept = at
    return replace(question, hunks=question.hunks[kept:])


def with_excerpts(question: EditQuestion, before: str, rows: tuple[int, ...]) -> EditQuestion:
    """Return the question with the excerpts of `before` around `rows`, the first of which stays:
    it begins the prompt. Where none shows the cursor's line, a second one does."""
    row = _row_before(before, question.text, question.text.count("\n", 0, question.cursor))
    rows = rows or (row,)
    last = before.count("\n")
    for start, text in _excerpts(before, rows, question.context_chars):
        end = start + text.count("\n")
        if start <= max(0, row - KEPT_ABOVE) and min(row + KEPT_BELOW, last) <= end:
            return replace(question, before=before, excerpt_rows=rows)
    return replace(question, before=before, excerpt_rows=(rows[0], row))


def _row_before(before: str, text: str, row: int) -> int:
    """The row of `before` that became `row` of `text`; about that between two changes."""
    old = before.split("\n")
    span, put = changed_span(old, text.split("\n"))
    if row < span.start:
        return row
    if row >= span.start + put:
        return row - put + span.end - span.start
    return span.start + (row - span.start) * (span.end - span.start) // put


def _excerpts(text: str, rows: tuple[int, ...], chars: int) -> list[tuple[int, str]]:
    """The text as from row 0; or of a long one the lines around each of `rows` (from 0) on a fixed
    stride, with the first one's row, and at most `chars` in all."""
    lines = text.split("\n")
    if len(lines) <= WHOLE_FILE_LINES and len(text) <= chars:
        return [(0, text)]
    found: list[tuple[int, str]] = []
    room = max(1, chars // CHARS_PER_LINE)
    second = min(SECOND_LINES, room // 3)
    for row, most in zip(rows, (min(EXCERPT_LINES, room - second), max(1, second)), strict=False):
        margin = most // 6
        stride = max(1, most - 2 * margin)
        first = max(0, row - margin) // stride * stride
        shown = "\n".join(lines[first : first + most])
        if len(shown) > (limit := chars * most // room):
            shown = shown[:limit].rpartition("\n")[0]
        found.append((first, shown))
    return found


# --- Sweep: file separators; the window is written out again from the cursor's line on ------------


def _write_sweep(question: EditQuestion) -> EditPrompt:
    first = question.text.count("\n", 0, question.window.start) + 1
    rows = f"{first}:{first + question.old.count(chr(10))}"
    path = question.path
    parts: list[Segment] = []

    def file(name: str, text: str) -> None:
        parts.append(Segment(_FILE_SEP, special=True))
        parts.append(Segment(f"{name}\n{text}" + ("" if text.endswith("\n") else "\n")))

    for other in question.others:
        file(other.path, other.text)
    for excerpt in question.excerpts:
        file(path, excerpt)
    for hunk in question.hunks[-MAX_HUNKS:]:
        file(f"{hunk.path}.diff", f"original:\n{hunk.old}\nupdated:\n{hunk.new}")
    file(f"original/{path}:{rows}", _without_hunks(question))
    file(f"current/{path}:{rows}", question.marked(_CURSOR))
    prefill = question.text[question.window.start : line_start(question.text, question.cursor)]
    parts.append(Segment(_FILE_SEP, special=True))
    parts.append(Segment(f"updated/{path}:{rows}\n{prefill}"))
    stop = (_FILE_SEP, "<|endoftext|>")
    if "```" not in question.old:
        stop += ("\n```",)  # with which a model for instructions begins to explain
    return EditPrompt(tuple(parts), stop, prefill)


def _without_hunks(question: EditQuestion) -> str:
    """The window as it was before the last changes, the newest undone first; one whose new text is
    not in it ends this."""
    window = question.old
    if not question.before:
        return window
    for hunk in reversed(question.hunks[-MAX_HUNKS:]):
        if hunk.path != question.path or not hunk.new or hunk.new not in window:
            break
        window = window.replace(hunk.new, hunk.old, 1)
    return window


def _read_sweep(question: EditQuestion, answer: str) -> str | None:
    text = _cut(answer, _FILE_SEP, "<|endoftext|>")
    if _CURSOR in text or "No newline at end of file" in text:
        return None
    return text


# --- Zeta 2: suffix, prefix, and the window between conflict markers ------------------------------


def _write_zeta2(tokens: SpmTokens, question: EditQuestion) -> EditPrompt:
    window = f"<<<<<<< CURRENT\n{question.marked(_USER_CURSOR)}\n=======\n"
    return _spm(tokens, question, window, (">>>>>>> UPDATED",))


def _spm(
    tokens: SpmTokens, question: EditQuestion, window: str, stop: tuple[str, ...]
) -> EditPrompt:
    above, below = _around(question, MAX_ABOVE_CHARS)
    related = "".join(f"<filename>{one.path}\n{one.text.rstrip()}\n" for one in question.others)
    history = "\n".join(_diff(hunk, "a/", "b/") for hunk in question.hunks[-MAX_HUNKS:])
    head = f"{related}\n" if related else ""
    if history:
        head += f"<filename>edit_history\n{history}\n"
    return EditPrompt(
        (
            Segment(tokens.suffix, special=True),
            Segment(f"{below}\n"),
            Segment(tokens.prefix, special=True),
            Segment(f"{head}<filename>{question.path}\n{above}{window}"),
            Segment(tokens.middle, special=True),
        ),
        (*stop, tokens.end),
    )


def _read_zeta2(question: EditQuestion, answer: str) -> str | None:
    text = _cut(answer, ">>>>>>> UPDATED", SEED_CODER.end)
    if text.strip() == NO_EDITS:
        return None
    return _without_cursor(text)


# --- Zeta 2.1: the window in numbered blocks; only the blocks that change are written -------------


def _write_zeta2_1(tokens: SpmTokens, question: EditQuestion) -> EditPrompt:
    old, at = question.old, question.cursor - question.window.start
    starts = block_starts(old)
    pieces: list[str] = []
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(old)], strict=True), 1):
        block = old[start:end]
        if start <= at < end or (at == end == len(old)):
            block = block[: at - start] + _USER_CURSOR + block[at - start :]
        pieces.append(f"{_marker(number)}{block}")
    return _spm(tokens, question, "".join(pieces) + _marker(len(starts) + 1), ())


def _read_zeta2_1(question: EditQuestion, answer: str) -> str | None:
    text = _cut(answer, SEED_CODER.end, QWEN.end)
    found = list(_MARKERS.finditer(text))
    bounds = [*block_starts(question.old), len(question.old)]
    if len(found) < 2:
        return None
    first, last = int(found[0][1]), int(found[-1][1])
    if not 1 <= first < last <= len(bounds):
        return None  # the same marker twice says that nothing changes
    new = _without_cursor(_MARKERS.sub("", text[found[0].end() : found[-1].start()]))
    return question.old[: bounds[first - 1]] + new + question.old[bounds[last - 1] :]


def block_starts(text: str) -> list[int]:
    """Return where the blocks of a window begin. A block ends after at least 6 lines where a
    visible line follows a blank one, or after 16; no block at the end is shorter than 6 lines."""
    lines = split_lines(text, keepends=True)
    starts, first = [0], 0
    for row in range(1, len(lines)):
        length = row - first
        after_blank = lines[row].strip() and not lines[row - 1].strip()
        if length < _MIN_BLOCK_LINES or not (after_blank or length >= _MAX_BLOCK_LINES):
            continue
        ahead = range(row, min(row + MAX_CUT_SHIFT + 1, len(lines)))
        cut = next((one for one in ahead if not _CLOSING.match(lines[one])), row)
        if len(lines) - cut < _MIN_BLOCK_LINES:
            break
        starts.append(starts[-1] + sum(map(len, lines[first:cut])))
        first = cut
    return starts


# --- Mercury, and models that follow instructions: one message ------------------------------------


def _write_mercury(question: EditQuestion) -> EditPrompt:
    above, below = _around(question)
    viewed = "".join(
        f"<|recently_viewed_code_snippet|>\ncode_snippet_file_path: {one.path}\n"
        f"{one.text.rstrip()}\n<|/recently_viewed_code_snippet|>\n"
        for one in question.others
    )
    diffs = "".join(f"{_diff(hunk)}\n" for hunk in question.hunks[-MAX_HUNKS:])
    text = (
        f"<|recently_viewed_code_snippets|>\n{viewed}<|/recently_viewed_code_snippets|>\n\n"
        f"<|current_file_content|>\ncurrent_file_path: {question.path}\n{above}"
        f"<|code_to_edit|>\n{question.marked(_CURSOR)}\n<|/code_to_edit|>\n"
        f"{below}{chr(10) if below else ''}<|/current_file_content|>\n\n"
        f"<|edit_diff_history|>\n{diffs}<|/edit_diff_history|>\n"
    )
    return EditPrompt((Segment(text),), ("<|/code_to_edit|>",), is_chat=True)


def _read_mercury(question: EditQuestion, answer: str) -> str | None:
    text = _fenced(_cut(answer, "<|/code_to_edit|>"))
    return None if text is None else text.replace(_CURSOR, "")


def _write_instruct(question: EditQuestion) -> EditPrompt:
    diffs = "\n".join(_diff(hunk) for hunk in question.hunks[-MAX_HUNKS:])
    shown = "\n```\nand\n```\n".join(question.excerpts)
    # What changes seldom comes first: the next question does not read it again.
    text = (
        f"You complete a programmer's work. This is {question.path} before their changes:\n"
        f"```\n{shown}\n```\n"
        f"They have just made these changes:\n```diff\n{diffs}```\n"
        f"This is a part of {question.path} now:\n"
        f"```\n{question.old}\n```\n"
        "What else in this part has to change because of these changes? Answer with the part,"
        f" rewritten, in one fenced block and nothing else. Answer {NO_EDITS} if nothing has to"
        " change."
    )
    return EditPrompt((Segment(text),), (), is_chat=True)


def _read_instruct(question: EditQuestion, answer: str) -> str | None:
    return None if NO_EDITS in answer else _fenced(answer)


# --- shared ---------------------------------------------------------------------------------------

_FILE_SEP = "<|file_sep|>"
_CURSOR, _USER_CURSOR = "<|cursor|>", "<|user_cursor|>"
_MARKERS = re.compile(r"<\|marker_(\d{1,4})\|>")
_MIN_BLOCK_LINES, _MAX_BLOCK_LINES = 6, 16
_CLOSING = re.compile(r"\s*([\])};,]*|(break|continue|return|throw|end)\b;?)\s*$")
_FENCE = re.compile(r"```[^\n]*\n(.*?)\n?```", re.DOTALL)


def _marker(number: int) -> str:
    return f"<|marker_{number}|>"


def _around(question: EditQuestion, most_above: int = 0) -> tuple[str, str]:
    """The file above and below the window, whole lines of at most `context_chars` together; above
    at most `most_above`, by default half or what is not needed below."""
    chars = min(MAX_CONTEXT_CHARS, question.context_chars)
    above = question.text[: question.window.start]
    below = question.text[question.window.end + 1 :].removesuffix("\n")
    most_above = most_above or max(chars // 2, chars - len(below))
    if len(above) > most_above:
        above = above[-most_above:].partition("\n")[2]
    # Not by how much is above, which differs from question to question.
    if len(below) > (most_below := chars - most_above):
        below = below[: max(0, most_below)].rpartition("\n")[0]
    return above, below


def _diff(hunk: Hunk, old: str = "", new: str = "") -> str:
    """The hunk as a unified diff without lines around it."""
    gone = hunk.old.split("\n") if hunk.old else []
    put = hunk.new.split("\n") if hunk.new else []
    head = f"--- {old}{hunk.path}\n+++ {new}{hunk.path}\n"
    counts = f"@@ -{hunk.row},{len(gone)} +{hunk.row},{len(put)} @@\n"
    lines = [*(f"-{line}\n" for line in gone), *(f"+{line}\n" for line in put)]
    return head + counts + "".join(lines)


def _cut(text: str, *stops: str) -> str:
    for stop in stops:
        text = text.partition(stop)[0]
    return text


def _without_cursor(text: str) -> str:
    return re.sub(rf"(?m)^{re.escape(_USER_CURSOR)}\n", "", text).replace(_USER_CURSOR, "")


def _fenced(text: str) -> str | None:
    """Return the content of the fence, or all of an answer without one; None for nothing."""
    match = _FENCE.search(text)
    inner = match[1] if match else text
    return inner if inner.strip() else None


def _spm_form(
    tokens: SpmTokens,
    write: Callable[[SpmTokens, EditQuestion], EditPrompt],
    read: Callable[[EditQuestion, str], str | None],
    *markers: str,
) -> FormSpec:
    """The form of a suffix-prefix-middle prompt; `markers` are those besides the tokens."""
    own = (tokens.suffix, tokens.prefix, tokens.middle, tokens.end, _USER_CURSOR)
    return FormSpec(
        partial(write, tokens),
        read,
        (*own, *markers),
        above=40,
        below=40,
        window_bytes=350 * BYTES_PER_TOKEN,
        keeps_window=True,
        first_bytes=300 * BYTES_PER_TOKEN,
        pace=3,
    )


_CONFLICT = ("<<<<<<< CURRENT", "\n=======\n", ">>>>>>> UPDATED")

FORMS: dict[EditForm, FormSpec] = {
    EditForm.SWEEP: FormSpec(
        _write_sweep, _read_sweep, (_FILE_SEP, _CURSOR, "<|endoftext|>"), above=2, below=5, copies=4
    ),
    EditForm.ZETA2: _spm_form(SEED_CODER, _write_zeta2, _read_zeta2, *_CONFLICT),
    EditForm.ZETA2_1: _spm_form(SEED_CODER, _write_zeta2_1, _read_zeta2_1, "<|marker_"),
    EditForm.ZETA2_1_QWEN: _spm_form(QWEN, _write_zeta2_1, _read_zeta2_1, "<|marker_"),
    EditForm.MERCURY: FormSpec(
        _write_mercury,
        _read_mercury,
        (_CURSOR, "<|code_to_edit|>", "<|/code_to_edit|>", "<|/current_file_content|>"),
        above=12,
        below=12,
        window_bytes=600,
    ),
    EditForm.INSTRUCT: FormSpec(_write_instruct, _read_instruct, (), above=5, below=8),
}
"""Sizes of the windows: Sweep's models were trained on 21 lines, and its local client shows them 8,
as here: a prompt holds each line of it two or three times, after what changes with each edit. Zed's
client lets 350 tokens be edited, Inception's documentation 150."""
