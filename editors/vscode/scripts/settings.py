"""Writes the settings of the server's schema into package.json, as VS Code wants them described.

`python scripts/settings.py` writes; with `--check` it only says whether there is anything to write,
which a test does. The extension's own settings stand here; all others are the schema's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from nearfield.config.keys import ANY_NAME, Leaf, field_leaves, leaves
from nearfield.config.schema import Config

MANIFEST = Path(__file__).parents[1] / "package.json"
SECTION = "nearfield"

WORKSPACE_SECTIONS = ("completion", "hover")
"""What a workspace's settings.json may set. It overrides the user's own settings in VS Code, in
whichever direction; so all that decides what may leave, what is read and what is run is the
user's alone. What a workspace may restrict besides, it says in its `.nearfield.toml`."""

TITLES = {
    "completion": "Completions",
    "hover": "Hovers",
    "routing": "Which model answers",
    "privacy": "What may leave this machine",
    "provenance": "Where code came from",
    "models": "Models",
    "providers": "Further providers",
    "engine": "The engine on this machine",
    "files": "Files",
    "index": "Index of the workspace",
    "budget": "Money",
    "chat": "Chat",
    "cache": "Kept answers",
    "network": "Network",
    "log": "Log",
}
"""The sections in the order in which they are of use; others follow."""

CHOICES = {
    "routing.strategy": {
        "local_only": "No model outside this machine is asked.",
        "local_first": "A cloud when local is down, too slow or not good enough, and you agree.",
        "hybrid": "By task and length, where you agree.",
        "cloud_only": "Always a cloud, where you agree.",
    },
    "routing.escalate": {
        "suggest": "Keep the local answer, and offer the cloud beside it.",
        "ask": "Wait for a yes or no.",
        "auto": "Go on by itself where this workspace has consented.",
    },
    "completion.multiline": {
        "auto": "The place of the cursor decides.",
        "always": "Suggestions may have several lines.",
        "never": "One line at most.",
    },
    "completion.popup": {
        "auto": "In VS Code suggestions are ghost text only.",
        "always": "Also in the completion list.",
        "never": "Never in the completion list.",
    },
    "engine.on_battery": {
        "save": "Prepare nothing that nobody has asked for.",
        "ignore": "Work as on the mains.",
    },
    "index.role": {
        "read": "Only look things up there.",
        "build": "Send the workspace there; for one machine in CI.",
    },
    "log.level": {
        "error": "What went wrong.",
        "warning": "Also what may go wrong.",
        "info": "Also what was decided.",
        "debug": "Also how.",
    },
}
"""What each choice means. A setting with choices that is not here fails the build."""

OWN = {
    "title": "Nearfield",
    "properties": {
        f"{SECTION}.server.path": {
            "type": "string",
            "default": "",
            "scope": "machine",
            "markdownDescription": "The program `nearfield`, as a whole path. Empty: it is looked "
            "for in the active Python environment, on the `PATH`, and in the environment that "
            "**Nearfield: Install the Server** makes.",
        },
        f"{SECTION}.trace.server": {
            "type": "string",
            "enum": ["messages", "verbose"],
            "enumDescriptions": [
                "That a message was sent.",
                "Whole messages. They hold your code: do not pass such a log on.",
            ],
            "default": "messages",
            "scope": "window",
            # It is the client library that asks for both.
            "description": "What of the talk between the editor and the server is in the log while "
            "its level is Trace (Developer: Set Log Level…, Nearfield). Else nothing of it is.",
        },
    },
}


def configuration() -> list[dict[str, Any]]:
    """`contributes.configuration`: one entry a section."""
    sections: dict[str, dict[str, Any]] = {name: {} for name in TITLES}
    for leaf in leaves():
        key = leaf.pattern
        if ANY_NAME in key:
            key = key[: key.index(ANY_NAME)]
        described = sections.setdefault(key[0], {})
        described.setdefault(".".join((SECTION, *key)), _property(leaf, key))
    entries = [
        {"title": TITLES.get(name, name.capitalize()), "properties": properties}
        for name, properties in sections.items()
        if properties
    ]
    return [OWN, *entries]


def _property(leaf: Leaf, key: tuple[str, ...]) -> dict[str, Any]:
    at: Any = Leaf((), Config, Config(), "", leaf.rule)
    for name in key:
        at = field_leaves(at.type)[name]
    return {
        **(_choices(key, at.type) if get_origin(at.type) is Literal else _schema(at.type)),
        "default": msgspec.to_builtins(at.default),
        "scope": "window" if key[0] in WORKSPACE_SECTIONS else "machine",
        "markdownDescription": leaf.doc if key == leaf.pattern else _table_doc(key, leaf),
    }


def _choices(key: tuple[str, ...], kind: Any) -> dict[str, Any]:
    words = CHOICES[".".join(key)]
    values = list(get_args(kind))
    described = [words[value] for value in values]
    return {"type": "string", "enum": values, "enumDescriptions": described}


def _schema(kind: Any) -> dict[str, Any]:
    """JSON schema, with references replaced by what they refer to and with our own words."""
    schema = msgspec.json.schema(kind)
    for described in schema.pop("$defs", {}).values():  # at most one
        for inner in described["properties"].values():
            inner["markdownDescription"] = inner.pop("description")
        described.pop("title", None)
        described.pop("description", None)
        place = "items" if schema["type"] == "array" else "additionalProperties"
        schema[place] = {**described, "additionalProperties": False}
    return schema


def _table_doc(key: tuple[str, ...], leaf: Leaf) -> str:
    if key == ("providers",):
        return "Further ways to reach a model, by names of your choice."
    return leaf.doc


def manifest() -> tuple[str, str]:
    """The manifest as it is and as it should be."""
    text = MANIFEST.read_text("utf-8")
    wanted = json.loads(text)
    wanted["contributes"]["configuration"] = configuration()
    window = [
        key
        for section in configuration()
        for key, value in section["properties"].items()
        if value["scope"] == "window"
    ]
    wanted["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"] = window
    return text, json.dumps(wanted, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the manifest, or with `--check` say whether it is what it should be."""
    before, after = manifest()
    if before == after:
        return 0
    if "--check" in sys.argv:
        sys.stderr.write("package.json lacks settings: run editors/vscode/scripts/settings.py\n")
        return 1
    MANIFEST.write_text(after, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
