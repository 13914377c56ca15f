"""Traces of requests."""

from __future__ import annotations

from dataclasses import replace

from nearfield.features.trace import TraceLog, flat
from nearfield.types import Included, Situation, SnippetKind, Surface, Trace, Usage

TRACE = Trace("1", Surface.POPUP, "file:///a.py", 3, "p", "m", Situation.TYPING, 12.345, True)


def test_traces_are_bounded_and_read_newest_first() -> None:
    traces = TraceLog(kept=3)
    for number in range(5):
        traces.add(replace(TRACE, id=str(number)))
    assert [[t.id for t in traces.last(n)] for n in (0, 2, 9)] == [[], ["4", "3"], ["4", "3", "2"]]
    assert traces.last(-1) == []


def test_a_flat_trace_has_the_promised_keys_and_json_values() -> None:
    usage = Usage("m", 100, 20, 80, 7, 200.04, 350.06)
    included = (Included("b.py", SnippetKind.DEFINITION, 30),)
    stages = (("wait", 1.26), ("read", 200.04))
    trace = replace(TRACE, mean_logprob=-0.12345, min_logprob=-1.5, stages=stages)
    assert flat(replace(trace, usage=usage, included=included)) == {
        "id": "1",
        "method": "textDocument/completion",
        "uri": "file:///a.py",
        "version": 3,
        "provider": "p",
        "model": "m",
        "situation": "typing",
        "prompt_tokens": 100,
        "evaluated_tokens": 20,
        "reused_tokens": 80,
        "reuses_prefix": None,
        "generated_tokens": 7,
        "prefill_ms": 200.0,
        "decode_ms": 350.1,
        "decode_steps": None,
        "stages": {"wait": 1.3, "read": 200.0},
        "total_ms": 12.3,
        "mean_logprob": -0.123,
        "min_logprob": -1.5,
        "shown": True,
        "reason": "",
        "detail": "",
        "included": [{"path": "b.py", "kind": "definition", "tokens": 30}],
    }
    assert flat(TRACE)["prompt_tokens"] is None
