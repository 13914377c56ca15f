"""Settings from environment variables.

`NEARFIELD_SECTION__KEY`, two underscores between the parts:
`NEARFIELD_COMPLETION__DEADLINE_MS=1500`, `NEARFIELD_PROVIDERS__OLLAMA__KIND=ollama`. Lists are
separated by commas or written as JSON; tables are JSON. An empty variable is no variable. The
older names in `ALIASES` mean the same as their key; where both are set, the `NEARFIELD_` one wins.
`CLAUDE_MODEL` names the model of the provider `claude`. It makes one where the user has none, and
so does `ANTHROPIC_API_KEY` beside an `LLM_STRATEGY` that lets the cloud be asked; what may be sent
there is for the user to allow, as for any provider.
"""

from __future__ import annotations

from collections.abc import Mapping

from nearfield.config.check import Checked, Finding, truth
from nearfield.config.keys import Key, UnknownKeyError, find

PREFIX = "NEARFIELD_"
SEPARATOR = "__"

ALIASES: dict[str, tuple[Key, ...]] = {
    "LLM_STRATEGY": (("routing", "strategy"),),
    "LOCAL_LLM_ENABLED": (("engine", "enabled"),),
    "LOCAL_MODEL_NAME": (("models", "complete"),),
    "LOCAL_LLM_MODEL_PATH": (("models", "complete"),),
    "LOCAL_LLM_GPU_LAYERS": (("engine", "gpu_layers"),),
    "LOCAL_LLM_CONTEXT_SIZE": (("engine", "context_size"), ("engine", "chat_context_size")),
    "LOCAL_LLM_TEMPERATURE": (("engine", "temperature"),),
    "CLAUDE_MODEL": (("providers", "claude", "model"),),
}
"""Other names of settings; of two for one setting the later one wins."""
FUNCTIONS = "LOCAL_LLM_FUNCTION_CALLING"
"""Without it, or with a yes, `chat.functions` holds; with a no, no function may be called."""


def read(environ: Mapping[str, str]) -> Checked:
    """Return the settings of the environment. Variables that are not ours are not looked at."""
    checked = Checked()
    for name, keys in ALIASES.items():
        if text := environ.get(name, ""):
            for key in keys:
                found = len(checked.findings)
                checked.put(key, text, source_of(name), text=True)
                if len(checked.findings) > found:
                    break  # once is enough
    if text := environ.get(FUNCTIONS, "").strip():
        may = truth(text)
        if may is False:
            checked.put(("chat", "functions"), [], source_of(FUNCTIONS))
        elif may is None:
            checked.findings.append(
                Finding(source_of(FUNCTIONS), (), "it is neither true nor false")
            )
    for name in sorted(environ):
        if not name.startswith(PREFIX) or not environ[name]:
            continue
        parts: Key = tuple(name.removeprefix(PREFIX).lower().split(SEPARATOR))
        if len(parts) > 1:
            checked.put(parts, environ[name], source_of(name), text=True)
        elif meant := _forgot_an_underscore("".join(parts)):
            wrong = f"the section is followed by two underscores: {meant}"
            checked.findings.append(Finding(source_of(name), (), wrong))
    return checked


def implied(environ: Mapping[str, str]) -> Checked:
    """Return what a variable implies where no source says otherwise: a file's `claude` may be of
    another kind, such as a gateway's."""
    checked = Checked()
    wishes_cloud = environ.get("LLM_STRATEGY", "").strip().lower() not in ("", "local_only")
    for name, is_said in (("CLAUDE_MODEL", True), ("ANTHROPIC_API_KEY", wishes_cloud)):
        if is_said and environ.get(name, ""):
            checked.put(("providers", "claude", "kind"), "anthropic", source_of(name))
    return checked


def source_of(name: str) -> str:
    """Return the name of a variable as the user reads it."""
    return f"environment variable {name}"


def _forgot_an_underscore(rest: str) -> str:
    """Return the variable that `completion_deadline_ms` was meant to be. "" when it is not a
    setting: `NEARFIELD_CONFIG_DIR` and the like have a single part.
    """
    section, _, key = rest.partition("_")
    try:
        find((section, key))
    except UnknownKeyError:
        return ""
    return f"{PREFIX}{section}{SEPARATOR}{key}".upper()
