"""Answers of the panel's API as the page may get them: filled, empty, and with hostile names."""

from __future__ import annotations

from typing import Any

AT = 1_795_000_000.0
HOSTILE = "<img src=x onerror=alert(1)>\u202egpj.exe\u0007</script><script>alert(2)</script>"
DAYS = [f"2026-11-{day:02d}" for day in range(1, 31)]

NO_SERVER: dict[str, Any] = {
    "servers": [],
    "together": dict.fromkeys(
        ("servers", "loaded_bytes", "running", "evaluated", "reused", "generated"), 0
    ),
}


def now(name: str = "qwen2.5-coder-0.5b") -> dict[str, Any]:
    """Two editors, one of which has two requests that run and three that have ended."""
    role: dict[str, Any] = {"provider": "embedded", "model": name, "local": True, "others": []}
    first: dict[str, Any] = {
        "id": "4711-1",
        "kind": "editor",
        "client": "neovim",
        "pid": 4711,
        "started": AT,
        "version": "0.2.0",
        "workspace": f"/home/u/{name}",
        "folders": [f"/home/u/{name}"],
        "error": "",
        "paused": False,
        "state": "ready",
        "detail": "",
        "progress": None,
        "roles": [
            {**role, "role": "complete"},
            {**role, "role": "edit"},
            {"role": "chat", "provider": "claude", "model": "claude-sonnet-5", "local": False}
            | {"others": []},
            {"role": "review", "provider": "", "model": "", "local": True}
            | {"others": [{"provider": "embedded", "why": "this model is too small for reviews"}]},
        ],
        "models": [
            {"provider": "embedded", "model": name, "role": "complete", "bytes": 640_000_000}
            | {"loaded": True, "why": "", "context_tokens": 8192, "context_used": 3120}
        ],
        "last": {
            "reason": "unsure",
            "sentence": "The model was unsure.",
            "advice": "Go on typing.",
        },
        "index": {"state": "ready", "detail": "", "done": 0, "total": 0, "files": 210}
        | {"chunks": 1800, "vectors": 1800},
        "running": [
            {"id": 17, "task": "chat", "provider": "embedded", "model": name, "local": True}
            | {"phase": "reading", "share": 0.4, "tokens": 0, "seconds": 1.2},
            {"id": 18, "task": "review", "provider": "claude", "model": "claude", "local": False}
            | {"phase": "writing", "share": None, "tokens": 120, "seconds": 7.4},
        ],
        "spent": {"typing": {"evaluated": 5120, "reused": 40_310, "generated": 812}},
        "speed": {"read": 310.0, "write": 24.5},
        "breakers": [{"provider": "team", "state": "open", "why": "three requests failed"}],
        "requests": [
            _request("r1", name, shown=True, reason="", sentence=""),
            _request("r2", name, shown=False, reason="unsure", sentence="The model was unsure."),
            _request("r3", name, shown=False, reason="late", sentence="It came too late."),
        ],
    }
    second: dict[str, Any] = first | {
        "id": "4712-1",
        "client": "vscode",
        "pid": 4712,
        "paused": True,
        "state": "paused",
        "folders": ["/home/u/site"],
        "workspace": "/home/u/site",
        "running": [],
        "requests": [],
        "breakers": [],
        "models": [],
        "speed": {"read": None, "write": None},
        "last": None,
        "spent": {},
    }
    lost: dict[str, Any] = {
        key: first[key] for key in ("kind", "client", "pid", "started", "version", "folders")
    }
    lost |= {"id": "9-1", "workspace": "/home/u/old", "error": "It did not answer within 2 s."}
    together: dict[str, Any] = {
        "servers": 3,
        "loaded_bytes": 640_000_000,
        "running": 2,
        "evaluated": 5120,
    }
    return {
        "servers": [first, second, lost],
        "together": together | {"reused": 40_310, "generated": 812},
    }


def _request(key: str, name: str, *, shown: bool, reason: str, sentence: str) -> dict[str, Any]:
    return {
        "id": key,
        "method": "textDocument/inlineCompletion",
        "what": "ghost text",
        "uri": f"file:///home/u/{name}/billing.py",
        "provider": "embedded",
        "model": name,
        "situation": "typing",
        "prompt_tokens": 900,
        "evaluated_tokens": 12,
        "reused_tokens": 888,
        "generated_tokens": 9,
        "prefill_ms": 40.1,
        "decode_ms": 300.2,
        "total_ms": 372.0,
        "stages": {"wait": 20.0, "read": 40.1, "generate": 300.2},
        "mean_logprob": -0.2,
        "shown": shown,
        "reason": reason,
        "sentence": sentence,
        "advice": "",
        "detail": "",
        "included": [{"path": f"{name}.py", "kind": "definition", "tokens": 30}],
    }


def models(name: str = "qwen2.5-coder-0.5b", *, filled: bool = True) -> dict[str, Any]:
    """A catalogue with an installed model, one that is fetched in part, and one that is too
    large."""

    def model(called: str, **fields: Any) -> dict[str, Any]:
        return {
            "name": called,
            "title": called,
            "licence": "Apache-2.0",
            "roles": ["complete", "chat"],
            "context": 32768,
            "parameters_m": 494,
            "quantisation": "Q4_K_M",
            "note": "",
            "origin": "catalogue",
            "file": f"{called}.gguf",
            "bytes": 398_000_000,
            "memory_mb": 640,
            "installed": False,
            "used_for": [],
            "problem": None,
            "hub_only": False,
            "mirrored": True,
            "partial": None,
            "job": None,
            "here": {"fits": True, "in_time_for": ["complete"], "tokens_per_second": 21.0},
            "measured": None,
            "suggestions": None,
        } | fields

    measured: dict[str, Any] = {
        "at": AT,
        "read": 310.0,
        "write": 24.5,
        "load_ms": 812.0,
        "exact": 7,
        "cases": 12,
    }
    return {
        "machine": {"memory": 16e9, "cores": 2, "free_disk": 40e9, "gpu": "", "gpu_memory": 0}
        | {"budget": 8e9, "words": "16.0 GB of memory, 2 cores, no GPU that was found"},
        "folder": "/home/u/.cache/nearfield/models",
        "default": name,
        "problems": [],
        "hub": "https://huggingface.co",
        "models": [
            model(
                name,
                installed=filled,
                used_for=["complete"] if filled else [],
                measured=measured if filled else None,
                suggestions={"offered": 120, "taken": 40, "saved": 2200} if filled else None,
            ),
            model("half", partial={"done": 150_000_000, "total": 398_000_000}),
            model("huge", bytes=4e10, memory_mb=42_000)
            | {"here": {"fits": False, "in_time_for": [], "tokens_per_second": None}},
        ],
        "advice": [
            {"role": "complete", "model": name, "installed": filled, "memory_mb": 640}
            | {"bytes": 1, "hub_only": False, "otherwise": None}
            | {"reason": "It answers while you type on this machine."}
        ],
    }


def picks(name: str = "coder:7b", *, filled: bool = True) -> dict[str, Any]:
    """The models for chats: one of a server, one that may not be asked, and a silent server."""
    words = ("about", "refused")
    flags = ("current", "recommended", "missing")
    model: dict[str, Any] = {**dict.fromkeys(words, ""), **dict.fromkeys(flags, False)}
    named = {**model, "name": name, "title": name}
    about: dict[str, Any] = {"local": True, "problem": "", "models": []}
    groups = [
        {**about, "provider": "embedded", "title": "Nearfield itself"}
        | {"models": [{**named, "recommended": True, "about": "needs 2 GB of memory"}]},
        {**about, "provider": name, "title": name, "models": [{**named, "current": True}]},
        {**about, "provider": "slow", "title": "slow (ollama)", "problem": f"{name} is silent."},
        {**about, "provider": "claude", "title": "claude (anthropic)", "local": False}
        | {"models": [{**named, "refused": f"{name} is outside this machine."}]},
    ]
    role = {"role": "chat", "does": "chats", "provider": name, "model": name, "local": True}
    return {"roles": [role], "role": "chat", "groups": groups if filled else []}


def routing(name: str = "ollama", *, filled: bool = True) -> dict[str, Any]:
    """The embedded engine, and a server of this machine beside it."""
    endpoint: dict[str, Any] = {
        "name": "embedded",
        "kind": "embedded",
        "model": "qwen",
        "base_url": "",
    }
    endpoint |= {"local": True, "in_settings": False, "variant": False, "key": "none"}
    endpoint |= {"options": {}, "error": "", "breakers": []}
    other: dict[str, Any] = endpoint | {
        "name": name,
        "kind": "ollama",
        "base_url": "http://127.0.0.1:11434",
    }
    other |= {"in_settings": True, "key": "keyring"}
    other |= {"breakers": [{"server": "4711-1", "state": "open", "why": "it refused"}]}
    candidates = [{"provider": "embedded", "serves": True, "why": ""}]
    candidates += [{"provider": name, "serves": False, "why": "stands by for embedded"}]
    role: dict[str, Any] = {"listed": None, "provider": "embedded", "model": "qwen", "local": True}
    return {
        "workspace": "",
        "strategy": "local_only",
        "roles": [
            role | {"role": one, "candidates": candidates} for one in ("complete", "edit", "chat")
        ]
        + [role | {"role": "review", "provider": "", "model": "", "candidates": []}],
        "endpoints": [endpoint, other] if filled else [],
        "kinds": [
            {"kind": "ollama", "preset": "", "usual_url": "http://127.0.0.1:11434"}
            | {"words": "Ollama's server"}
        ],
        "role_names": ["complete", "edit", "chat", "review"],
        "task_names": ["complete", "chat", "review"],
        "limits": {},
        "problems": [
            {"source": "config.toml", "key": "routing.x", "wrong": f"{name}?", "used": "nothing"}
        ],
    }


def settings() -> dict[str, Any]:
    """One setting of each form."""

    def one(key: str, value: Any, form: dict[str, Any], **fields: Any) -> dict[str, Any]:
        usual: dict[str, Any] = {
            "key": key,
            "section": key.split(".")[0],
            "value": value,
            "default": value,
        }
        usual |= {"source": "default", "set": False, "doc": f"The meaning of {key}."}
        return usual | {"form": form, "named": False} | fields

    return {
        "config": "/home/u/.config/nearfield/config.toml",
        "settings": [
            one(
                "routing.strategy", "local_only", {"kind": "choice", "choices": ["local_only", "x"]}
            ),
            one("routing.roles.NAME", None, {"kind": "list"}, named=True),
            one("routing.rules", [{"task": "chat"}], {"kind": "json"}),
            one("routing.hedge_ms", 300, {"kind": "int", "min": 0, "max": 900}, set=True)
            | {"source": "/home/u/.config/nearfield/config.toml"},
            one("completion.enabled", True, {"kind": "bool"}),
        ],
        "problems": [],
    }


def suggestions(name: str = "qwen2.5-coder-0.5b", *, filled: bool = True) -> dict[str, Any]:
    """A month of suggestions."""

    def fared(key: str, offered: int) -> dict[str, Any]:
        taken = offered // 3
        return {"key": key, "questions": offered * 2, "offered": offered, "accepted": taken} | {
            "partly": taken // 5,
            "acceptance": taken / offered if offered else None,
            "saved": taken * 31,
            "survived": 0.91,
        }

    totals = fared("", 1200) if filled else fared("", 0)
    bins = [
        {"from": -2 + 0.1 * at, "to": -1.9 + 0.1 * at, "offered": 12 * at if at > 12 else 0}
        | {"taken": at * at // 3 if at > 12 else 0, "saved": at * at * 9 if at > 12 else 0}
        | {"hidden": 20 if at <= 12 else 0}
        for at in range(20)
    ]
    reason: dict[str, Any] = {
        "reason": "unsure",
        "count": 310,
        "sentence": "The model was unsure.",
        "advice": "…",
    }
    return {
        "days": 30,
        "recording": True,
        "records": 2400 if filled else 0,
        "behind": 12 if filled else 0,
        "totals": totals | {"evaluated": 51_200, "reused": 403_100, "generated": 8120},
        "by_day": [fared(day, 20 + at * 7 % 40) for at, day in enumerate(DAYS)] if filled else [],
        "by_language": [fared("python", 800), fared("typescript", 300), fared(name, 100)],
        "by_situation": [fared("typing", 1100), fared("manual", 100)],
        "by_model": [fared(name, 1200)],
        "latency": [
            {"situation": "typing", "answers": 900, "p50": 210.0, "p90": 480.0, "p99": 910.0}
        ],
        "silent": [
            reason,
            reason | {"reason": "late", "count": 92, "sentence": "It came too late."},
        ],
        "next_edits": {"questions": 12, "offered": 5, "answered": 8, "silent": [reason]}
        | {"stages": [{"stage": "read", "p50": 40.0, "p90": 90.0, "p99": 120.0}]}
        if filled
        else {"questions": 0, "offered": 0, "answered": 0, "silent": [], "stages": []},
        "curve": {"min_confidence": -0.7, "default": -0.7, "bins": bins if filled else []},
    }


def index(name: str = "shop", *, filled: bool = True) -> dict[str, Any]:
    """Two folders."""
    folder: dict[str, Any] = {
        "root": f"/home/u/{name}",
        "where": "/home/u/.cache/x.db",
        "exists": True,
        "files": 210,
        "chunks": 1800,
        "definitions": 930,
        "vectors": 1800,
        "source_bytes": 1_300_000,
        "index_bytes": 4_100_000,
        "changed": AT,
        "languages": [{"language": "python", "files": 180}, {"language": name, "files": 30}],
        "skipped": [{"reason": "ignored by .gitignore", "count": 41}],
        "servers": ["4711-1"],
        "state": "ready",
        "detail": "",
        "paused": False,
        "enabled": True,
        "shared": None,
        "problem": "",
    }
    other: dict[str, Any] = folder | {"root": "/home/u/site", "servers": [], "state": "none"}
    return {
        "folders": [folder, other] if filled else [],
        "exclude": ["generated/"] if filled else [],
    }


def privacy(name: str = "claude", *, filled: bool = True) -> dict[str, Any]:
    """Requests to one cloud."""
    entry: dict[str, Any] = {
        "at": AT,
        "workspace": "/home/u/shop",
        "provider": name,
        "model": "claude-sonnet-5",
        "destination": "api.anthropic.com",
        "task": "chat",
        "files": [{"path": "billing.py", "start": 1, "end": 20}, {"path": f"{name}.py"}],
        "bytes": 4120,
        "redactions": {"aws_key": 1},
        "tokens_in": 1100,
        "tokens_out": 210,
        "price": "0.0064",
        "outcome": "answered",
    }
    entry["files"][1] |= {"start": None, "end": None}
    spent: dict[str, Any] = {
        "provider": name,
        "model": "claude-sonnet-5",
        "requests": 3,
        "unknown": 0,
    }
    tokens: dict[str, Any] = {"tokens_in": 41_000, "tokens_out": 6100}
    consent: dict[str, Any] = {
        "workspace": "/home/u/shop",
        "provider": name,
        "destination": "api.anthropic.com",
    }
    return {
        "local_only": not filled,
        "strategy": "local_first" if filled else "local_only",
        "entries": [entry | {"id": 9 - at} for at in range(3)] if filled else [],
        "more": filled,
        "count": 12 if filled else 0,
        "consent": [
            consent | {"consent": "workspace", "at": AT},
            consent | {"workspace": "/home/u/site", "consent": "never", "at": AT},
        ]
        if filled
        else [],
        "spend": {
            "today": "0.10",
            "today_unknown": 1,
            "month": "1.20",
            "month_unknown": 0,
            "days": [spent | {"day": day, "dollars": f"0.{at % 7}1"} for at, day in enumerate(DAYS)]
            if filled
            else [],
            "models": [
                spent | tokens | {"local": False, "price": "1.20"},
                spent
                | tokens
                | {"local": True, "provider": "embedded", "model": "qwen"}
                | {"price": "0.55"},
            ]
            if filled
            else [],
            "saved": "0.55",
            "compare_with": "claude-sonnet-5",
            "share_local": 0.98,
        },
        "budget": {"daily_soft": 0, "daily_hard": 5, "monthly_soft": 0, "monthly_hard": 0},
    }


def chats(title: str = "How is a bill rounded?", *, filled: bool = True) -> dict[str, Any]:
    """One kept chat."""
    head: dict[str, Any] = {
        "id": "c1",
        "title": title,
        "workspace": "/home/u/shop",
        "begun": AT,
        "changed": AT,
    }
    return {"chats": [head | {"count": 2, "keep_days": 30}] if filled else []}


def chat(title: str = "How is a bill rounded?") -> dict[str, Any]:
    """The same chat with its exchanges."""
    call: dict[str, Any] = {
        "at": AT,
        "function": "readFile",
        "arguments": {"path": "billing.py"},
        "bytes": 812,
    }
    return chats(title)["chats"][0] | {
        "exchanges": [
            {"question": title, "answer": f"Down, in `round_bill`.\n\n{title}", "model": "qwen"}
            | {"calls": [["readFile", "done"], ["searchInFiles", "refused"]]}
        ],
        "calls": [call | {"allowed": "session", "outcome": "done"}],
    }


def health(name: str = "engine", *, filled: bool = True) -> dict[str, Any]:
    """A check of each state."""
    remedy: dict[str, Any] = {
        "title": "Fetch the default model",
        "post": "models/pull",
        "body": {"name": "half"},
    }
    checks = [
        {"name": "python", "state": "ok", "found": "3.12", "todo": "", "remedy": None},
        {"name": name, "state": "note", "found": "no GPU", "todo": "Nothing.", "remedy": None},
        {
            "name": "model",
            "state": "problem",
            "found": "none",
            "todo": "Fetch one.",
            "remedy": remedy,
        },
    ]
    return {"checks": checks if filled else [], "at": AT if filled else None, "job": None}


def log(name: str = "nearfield.engine", *, filled: bool = True) -> dict[str, Any]:
    """Some lines of one server."""
    lines = [
        {"at": AT, "level": level, "name": name, "text": f"a line of level {level}"}
        for level in ("debug", "info", "warning", "error")
    ]
    return {"servers": [{"id": "4711-1", "client": "neovim", "lines": lines}] if filled else []}


def trial(name: str = "qwen2.5-coder-0.5b", *, filled: bool) -> dict[str, Any]:
    """A trial that runs, of a model with that name; or none, and no models for one."""
    counts: dict[str, Any] = {
        "document_days": 41,
        "requests": 900,
        "shown": 400,
        "taken": 120,
        "acceptance": 0.3,
        "kept": 0.9,
        "saved": 5400,
        "p50_ms": 210.0,
        "p90_ms": 640.0,
        "stand_ins": 12,
    }
    if not filled:
        return {"recording": True, "current": "", "others": [], "trial": None}
    found = {
        "running": True,
        "started": AT,
        "ended": None,
        "why": "",
        "days": 28,
        "days_left": 17,
        "words": f"Not enough to tell {name} apart yet (+4.1 points, 95 % interval -6.0 to +14.2).",
        "better": "",
        "arms": [
            {**counts, "model": name, "value": name},
            {**counts, "model": f"{name}-2", "value": f"{name}-2", "acceptance": 0.341},
        ],
        "interval": {"difference": 0.041, "low": -0.06, "high": 0.142},
    }
    return {"recording": True, "current": name, "others": [f"{name}-2"], "trial": found}


def answers(name: str = "", *, filled: bool = True) -> dict[str, Any]:
    """What each path answers. `name` is put wherever another program or a repository names
    something."""
    given = (name,) if name else ()
    return {
        "now": now(*given) if filled else NO_SERVER,
        "models": models(*given, filled=filled),
        "models/picks": picks(*given, filled=filled),
        "routing": routing(*given, filled=filled),
        "settings": settings(),
        "suggestions": suggestions(*given, filled=filled),
        "trial": trial(*given, filled=filled),
        "index": index(*given, filled=filled),
        "privacy": privacy(*given, filled=filled),
        "chats": chats(*given, filled=filled),
        "chats/chat": chat(*given),
        "health": health(*given, filled=filled),
        "health/log": log(*given, filled=filled),
        "jobs": {"jobs": []},
    }
