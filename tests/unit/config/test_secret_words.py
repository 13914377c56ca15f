"""Which names say that a secret stands beside them."""

from __future__ import annotations

import pytest

from nearfield.config.secret_words import Says, says_secret

P, K = Says.PASSWORD, Says.KEY


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("password", P), ("dbPassword", P), ("DB_PASSWD", P), ("smtp-pass", P), ("dbpass", P),
        ("PGPASSWORD", P), ("passphrase", P), ("user.password", P), ("password_2", P), ("pw", P),
        ("api_key", K), ("apiKey", K), ("APIKEY", K), ("X-Api-Key", K), ("AWS_ACCESS_KEY_ID", K),
        ("clientSecret", K), ("authTokenValue", K), ("session_id", K), ("SecureString", P),
        ("tokens", K), ("secrets_prod", K), ("slack_webhook_url", K), ("my.pat", K),
        ("key", None), ("primary_key", None), ("keyboard", None), ("hotkey", None),
        ("compass", None), ("bypass", None), ("pass_through", None), ("tokenizer", None),
        ("max_tokens", None), ("context_tokens", None), ("token_limit", None), ("author", None),
        ("secretary", None), ("password_hash", None), ("token_url", None), ("public_key", None),
        ("publicKeyToken", None), ("x9Pw", None), ("image_url", None), ("", None), ("___", None),
    ],
)  # fmt: skip
def test_a_name_says_which_kind_of_secret_it_holds(name: str, says: Says | None) -> None:
    assert says_secret(name) is says


def test_the_word_before_a_name_counts() -> None:
    assert says_secret("key", "API") is K
    assert says_secret("key", "primary") is None


def test_a_name_counts_by_its_end() -> None:
    assert says_secret("a_" * 1_000_000 + "password") is P
