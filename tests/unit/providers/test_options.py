"""Settings that cannot be used, and keys: where they come from and where they never show."""

from __future__ import annotations

from typing import Any

import pytest

from nearfield.config.schema import ProviderSettings
from nearfield.errors import ConfigError, Unauthorised
from nearfield.providers import registry

from .conftest import Server, question

SECRET = "sk-hunter2"


def _build(
    kind: str,
    options: dict[str, Any] | None = None,
    url: str = "",
    environ: dict[str, str] | None = None,
    secret: Any = None,
) -> Any:
    settings = ProviderSettings(kind=kind, model="m", base_url=url, options=options or {})
    return registry.build("mine", settings, environ=environ or {}, secret=secret)


REFUSED = {
    "a key": ("openai_compatible", {"api_key": SECRET}),
    "a key in other letters": ("anthropic", {"apiKey": SECRET}),
    "a token": ("ollama", {"auth_token": SECRET}),
    "a password": ("llama_server", {"password": SECRET}),
    "a key by its bare name": ("openai_compatible", {"key": SECRET}),
    "tokens that are no number of them": ("openai_compatible", {"access_tokens": [SECRET]}),
    "an authorising header": ("llama_server", {"headers": {"Authorization": SECRET}}),
    "a header with a key": ("openai_compatible", {"headers": {"X-Api-Key": SECRET}}),
    "an unknown option": ("ollama", {"keep_alife": SECRET}),
    "a wrong type": ("ollama", {"num_ctx": SECRET}),
    "an unknown preset": ("openai_compatible", {"preset": "vlmm"}),
    "an unknown template": ("openai_compatible", {"fim_template": "qwne"}),
    "no address": ("openai_compatible", {}),
    "no address for Azure": ("openai_compatible", {"preset": "azure"}),
    "a time of nothing": ("anthropic", {"idle_timeout_s": 0}),
    "lanes of nothing": ("llama_server", {"managed": True, "lanes": 0}),
    "an unknown kind": ("lama_server", {}),
}


SAYS_KEY = "has a key in its settings"


@pytest.mark.parametrize("option", ["api_key", "authToken", "bearer", "client-secret", "PASSWORD"])
def test_an_option_with_a_key_is_refused_as_a_key(option: str) -> None:
    with pytest.raises(ConfigError, match=SAYS_KEY):
        _build("openai_compatible", {option: SECRET})


@pytest.mark.parametrize(
    "option", ["max_tokens", "token_limit", "tokenizer", "keyboard", "author", "num_tokens", "keep"]
)
def test_an_unknown_option_about_tokens_is_not_called_a_key(option: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _build("openai_compatible", {option: 3}, "http://127.0.0.1:1/v1")
    assert SAYS_KEY not in str(caught.value)


@pytest.mark.parametrize("kind", ["openai_compatible", "llama_server", "anthropic"])
def test_the_size_of_a_models_context_is_an_option(kind: str) -> None:
    provider = _build(kind, {"context_tokens": 4096}, "http://127.0.0.1:1/v1")
    assert provider.capabilities.context_tokens == 4096


@pytest.mark.parametrize("case", REFUSED)
def test_bad_options_are_refused(case: str) -> None:
    kind, options = REFUSED[case]
    with pytest.raises(ConfigError) as caught:
        _build(kind, options)
    said = str(caught.value)
    assert SECRET not in said
    assert SECRET not in repr(caught.value.__cause__)
    assert "mine" in said or kind in said


OWN = "https://api.openai.com/v1"
KEYS = {
    "the named variable": ({"api_key_env": "A"}, "", {"A": "a"}, "k", "a"),
    "the keyring": ({}, "", {"OPENAI_API_KEY": "o"}, "k", "k"),
    "the named variable is not set": ({"api_key_env": "A"}, "", {}, "k", "k"),
    "the usual variable": ({}, "", {"OPENAI_API_KEY": "o"}, None, "o"),
    "the usual variable, same host": ({}, OWN, {"OPENAI_API_KEY": "o"}, None, "o"),
    "not for another host": ({}, "https://evil.test/v1", {"OPENAI_API_KEY": "o"}, None, None),
    "not for a lookalike": (
        {},
        "https://api.openai.com.evil.test",
        {"OPENAI_API_KEY": "o"},
        None,
        None,
    ),
    "none": ({}, "", {}, None, None),
    "the named one is not replaced": ({"api_key_env": "A"}, "", {"B": "b"}, None, None),
    "with a line end": ({"api_key_env": "A"}, "", {"A": "a\n"}, None, "a"),
    "no key at all": ({"api_key_env": "A"}, "", {"A": "two words"}, None, None),
}


@pytest.mark.parametrize("case", KEYS)
async def test_a_key_is_found_in_its_sources(case: str) -> None:
    options, url, environ, ring, expected = KEYS[case]
    asked: list[str] = []

    def secret(name: str) -> str | None:
        asked.append(name)
        return ring

    options = {"preset": "openai", **options}
    provider = _build("openai_compatible", options, url, environ, secret)
    assert asked == [], "the keyring is not opened before it is needed"
    if expected is None:
        with pytest.raises(Unauthorised) as caught:
            await provider._http.headers()
        for value in environ.values():
            assert value not in str(caught.value).split()
    else:
        assert (await provider._http.headers())["Authorization"] == f"Bearer {expected}"
    assert set(asked) <= {"mine"}


async def test_a_refused_key_is_looked_up_again(server: Server) -> None:
    server.answer("/v1/chat/completions", {"error": "no"}, 401)
    keys = ["old", "new"]

    def next_key(name: str) -> str:
        return keys.pop(0)

    provider = _build("llama_server", {}, server.url, secret=next_key)
    for _ in range(2):
        with pytest.raises(Unauthorised):
            [delta async for delta in provider.chat(question())]
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer old", "Bearer new"]
    await provider.aclose()


def test_a_key_does_not_show() -> None:
    provider = _build("llama_server", {"api_key_env": "A"}, environ={"A": SECRET})
    assert SECRET not in repr(vars(provider)) + repr(vars(provider._http))


@pytest.mark.parametrize(
    ("key", "user", "sent"),
    [
        ("abc", "", "Bearer abc"),
        ("Bearer abc", "", "Bearer abc"),
        ("basic bWU6cHc=", "", "basic bWU6cHc="),
        ("me:pw", "", "Basic bWU6cHc="),
        ("pw", "me", "Basic bWU6cHc="),
        ("a:b", "me", "Basic bWU6YTpi"),
        ("p w\u00e4", "me", "Basic bWU6cCB3w6Q="),
    ],
)
async def test_the_header_of_a_key(key: str, user: str, sent: str) -> None:
    options: dict[str, object] = {"api_key_env": "A", "user": user}
    for kind in ("llama_server", "ollama"):
        provider = _build(kind, options, environ={"A": key})
        assert (await provider._http.headers())["Authorization"] == sent
