"""Reading a provider's settings: its options by type, and its key from where keys may live.

A key comes from the first of these that has one: the environment variable that `api_key_env` names,
the system keyring under the provider's name and, for a service's own address only, the variable
that the service's documentation names. A key written into the settings is refused: settings are
shown, copied and committed.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, field

from nearfield.config.schema import ProviderSettings
from nearfield.config.secret_words import says_secret
from nearfield.errors import ConfigError, Unauthorised

Seconds = Annotated[float, Meta(gt=0)]
Secret = Callable[[str], str | None]
"""Looks up a key in the system keyring by the provider's name; may block."""


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of every provider over HTTP (`[providers.NAME.options]`)."""

    api_key_env: str = ""
    """The environment variable that holds the key."""
    user: str = ""
    """The user's name, for a server that wants a name and a password (HTTP Basic): the key is then
    the password."""
    edit_form: str = ""
    """The form of next-edit prompts that the model was trained for: sweep, zeta2, zeta2.1,
    zeta2.1-qwen, mercury, or instruct for one that follows instructions; none for no next edits.
    Empty goes by the model's name."""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """Further headers for every request; none that carries a key."""
    leaves_machine: bool | None = None
    """True for a loopback address that passes requests on to another machine (a proxy, a tunnel).
    It cannot make an address local that is not."""
    context_tokens: Annotated[int, Meta(ge=1)] | None = None
    """The model's context in tokens, where the server does not say it."""
    connect_timeout_s: Seconds = 5.0
    """The longest wait for a connection."""
    first_token_timeout_s: Seconds = 120.0
    """The longest wait for an answer's first piece: a model may have to be loaded and the prompt
    be read. A request's own deadline is usually much shorter."""
    idle_timeout_s: Seconds = 60.0
    """The longest wait between two pieces of an answer."""
    total_timeout_s: Seconds = 600.0
    """The longest that one answer may take."""


OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)

# Alone these say little in code, and enough as an option of a provider.
_KEY_OPTIONS = frozenset(("key", "keys"))
_HEADER_SAFE = re.compile(r"((basic|bearer) )?[\x21-\x7e]+", re.IGNORECASE)


def read(name: str, raw: Mapping[str, Any], kind: type[OptionsT]) -> OptionsT:
    """`raw` as options of `kind`. Raises `ConfigError`, also for a key among them; its message
    never repeats a value."""
    known = [field.name for field in msgspec.structs.fields(kind)]
    for option in raw:
        if option not in known and _holds_key(option):
            raise _literal_key(name, f"option {option}")
    headers = raw.get("headers")
    if isinstance(headers, Mapping):
        for header in map(str, headers):
            if _holds_key(header):
                raise _literal_key(name, f"header {header}")
    try:
        return msgspec.convert(dict(raw), kind)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"The options of the provider {name} cannot be used: {error}.",
            f"It knows: {', '.join(known)}.",
        ) from None


def _holds_key(name: str) -> bool:
    return says_secret(name) is not None or name.lower() in _KEY_OPTIONS


def _literal_key(name: str, where: str) -> ConfigError:
    return ConfigError(
        f"The provider {name} has a key in its settings ({where}).",
        "Remove it; name an environment variable in api_key_env, or run `nearfield keys set "
        f"{name}`. With the option user the key is a password.",
    )


def authorization(key: str, user: str = "") -> dict[str, str]:
    """Return the header for a key: a bearer token, or name and password (RFC 7617) where there is a
    `user` or the key is written `NAME:PASSWORD`, as no token is (RFC 6750). A key may also be a
    whole value, `Basic …` or `Bearer …`."""
    if not user and re.match(r"(basic|bearer) ", key, re.IGNORECASE):
        return {"Authorization": key}
    if not user and ":" not in key:
        return {"Authorization": f"Bearer {key}"}
    pair = f"{user}:{key}" if user else key
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}


class Key:
    """A provider's key, looked up when it is first needed and never shown.

    `encoded` says that it is sent encoded, as passwords are, so that it may hold any character.
    `usual_env` are the variables that the service's documentation names; they are only read for
    the service's own address, so that a setting cannot send a key to another host.
    """

    def __init__(
        self,
        name: str,
        environ: Mapping[str, str],
        secret: Secret | None = None,
        *,
        env: str = "",
        usual_env: tuple[str, ...] = (),
        required: bool = False,
        value: str = "",
        encoded: bool = False,
    ) -> None:
        self._name = name
        self._environ = environ
        self._secret = secret
        self._env = env
        self._usual_env = usual_env
        self._required = required
        self._value = value
        self._encoded = encoded

    def __repr__(self) -> str:
        return f"Key({self._name!r})"

    async def get(self) -> str:
        """Return the key, or "" for a server that needs none. Raises `Unauthorised` when there
        should be one, or when it cannot be sent."""
        if not self._value:
            self._value = (await self._find()).strip()
        encoded = self._encoded or ":" in self._value
        if self._value and not encoded and not _HEADER_SAFE.fullmatch(self._value):
            raise Unauthorised(
                f"The key of {self._name} has characters that no key has.", self.hint
            )
        if not self._value and (self._required or self._env):
            raise Unauthorised(f"There is no key for {self._name}.", self.hint)
        return self._value

    def forget(self) -> None:
        """Look it up again next time: the server refused it."""
        self._value = ""

    @property
    def hint(self) -> str:
        """Advice about a missing or refused key."""
        names = self._env or (self._usual_env[0] if self._usual_env else "")
        run = f"`nearfield keys set {self._name}`"
        return f"Set {names}, or run {run}." if names else f"Run {run}."

    async def _find(self) -> str:
        if self._env and self._environ.get(self._env):
            return self._environ[self._env]
        if self._secret is not None:
            # The keyring may ask another process, or the user: never on the event loop.
            found = await asyncio.to_thread(self._secret, self._name)
            if found:
                return found
        for env in self._usual_env:
            if self._environ.get(env):
                return self._environ[env]
        return ""


@dataclass(frozen=True, slots=True)
class ProviderArgs:
    """The arguments of a built-in provider: the user's name for it, `[providers.NAME]`, and where
    keys come from, the environment and the system keyring (`secret`)."""

    name: str
    settings: ProviderSettings
    environ: Mapping[str, str]
    secret: Secret | None = None

    def options(self, kind: type[OptionsT]) -> OptionsT:
        """Return the options as `kind`. Raises `ConfigError`."""
        return read(self.name, self.settings.options, kind)

    def key(
        self, options: ServerOptions, usual_env: tuple[str, ...] = (), *, required: bool = False
    ) -> Key:
        """Return the key, which is looked up when it is first needed."""
        return Key(
            self.name,
            self.environ,
            self.secret,
            env=options.api_key_env,
            usual_env=usual_env,
            required=required,
            encoded=bool(options.user),
        )
