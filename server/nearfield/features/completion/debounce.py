"""How long a question waits for the next keystroke before a model is asked.

The wait spares a model what the next keystroke makes useless. So it is never longer than the
evaluation that it could spare: while somebody types along a line there is next to none, as the
model holds all but the last letter. It is as long as the settings say where much is new, where keys
come faster than that, and where asking leaves this machine or costs another one its time.
"""

from __future__ import annotations

from nearfield.config.schema import Completion
from nearfield.features.completion.budget import CHARS_PER_TOKEN, Allowance
from nearfield.features.completion.prompting import Cursor, go_on
from nearfield.features.documents import Document
from nearfield.types import Capabilities, CompletionRequest

CLIENT_WAITED_MS = 5
"""The wait when the client has waited itself: just long enough that of several requests in one read
only the last one reaches a model."""


def wait_ms(
    ask: CompletionRequest,
    document: Document,
    can: Capabilities,
    allowance: Allowance,
    settings: Completion,
) -> float:
    """Milliseconds that `ask` waits; `can` and `allowance` are of the provider that is asked
    first."""
    if ask.invoked:
        return 0
    longest = settings.debounce_ms
    if ask.client_waits:
        longest = min(longest, CLIENT_WAITED_MS)
    if not can.local or not can.prefill_rate or document.gap * 1000 < settings.debounce_ms:
        return longest
    plan = go_on(Cursor(ask.snapshot, None, ask.offset, ask.selected), document, allowance)
    if plan is None:
        return longest
    fresh = document.fresh_chars(plan.prompt) / CHARS_PER_TOKEN
    return min(longest, fresh / can.prefill_rate * 1000)
