"""Settings of a team's server, `team.toml`: where it listens, and what each role may do.

The file is the operator's own, so it is trusted; people and their tokens are not in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, field

from nearfield.errors import ConfigError, NearfieldError
from nearfield.files.read import read_regular
from nearfield.files.toml import parse_toml

MAX_BYTES = 1_000_000

Use = Literal["complete", "chat", "embed", "chats", "load", "metrics"]
"""What people use a server for: completions; conversations; vectors; chats that the server keeps;
loading and unloading models; reading its metrics."""
USES: tuple[Use, ...] = get_args(Use)

EVERYDAY: tuple[Use, ...] = ("complete", "chat", "embed", "chats")

Limit = Annotated[int, Meta(ge=0)]
"""An upper limit, 0 for none."""
Positive = Annotated[int, Meta(ge=1)]


class TeamServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`. `hosts` are the names that requests may be sent to, none for any. `behind_proxy`
    says that another program in front ends TLS. `own_servers` are providers on the team's network
    that count as this machine. `at_once` requests are answered at once, and `waiting` of each
    person's may wait for `wait_seconds`. When it is told to end it finishes answers for
    `drain_seconds`. `traces` is the address of an OTLP receiver, "" for none."""

    hosts: list[str] = field(default_factory=list[str])
    behind_proxy: bool = False
    own_servers: list[str] = field(default_factory=list[str])
    at_once: Positive = 16
    waiting: Limit = 8
    wait_seconds: Positive = 30
    drain_seconds: Positive = 30
    connections: Positive = 1000
    traces: str = ""


class TeamTls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tls]`: files in PEM, the certificate with its chain. Relative to the file of the team."""

    certificate: str = ""
    key: str = ""


class TeamRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[roles.NAME]`. `models` are names behind `nearfield/` in the list of models, and `functions`
    patterns of the functions that a request may offer a model; None for all."""

    uses: list[Use] = field(default_factory=lambda: [*EVERYDAY])
    models: list[str] | None = None
    functions: list[str] | None = None
    at_once: Positive = 4
    requests_per_minute: Limit = 0
    requests_per_day: Limit = 0
    tokens_per_day: Limit = 0


class TeamSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    roles: dict[str, TeamRole]
    server: TeamServer = TeamServer()
    tls: TeamTls = TeamTls()


def read_team(path: Path) -> TeamSettings:
    """Return the settings in the file `path`. Raises `ConfigError`."""
    try:
        found = msgspec.convert(parse_toml(read_regular(path, MAX_BYTES)), TeamSettings)
    except FileNotFoundError as error:
        raise ConfigError(f"There is no file {path}.", "docs/team.md has an example.") from error
    except (NearfieldError, OSError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path} cannot be used: {str(error).rstrip('.')}.") from error
    if not found.roles:
        raise ConfigError(f"{path} has no role.", "Add `[roles.developer]`.")
    if bool(found.tls.certificate) != bool(found.tls.key):
        raise ConfigError(f"{path}: [tls] needs both a certificate and a key.")
    tls = TeamTls(
        certificate=_beside(path, found.tls.certificate), key=_beside(path, found.tls.key)
    )
    return msgspec.structs.replace(found, tls=tls)


def _beside(path: Path, name: str) -> str:
    """Return the path of a file that is named relative to the folder of `path`."""
    return str(path.parent / name) if name else ""
