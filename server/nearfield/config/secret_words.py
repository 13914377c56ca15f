"""Names of values that are secret: `api_key`, `dbPassword`, `X-Auth-Token`.

Shared by every judge of names: redaction, the options of providers, and the command that shows the
settings.
"""

from __future__ import annotations

import re
from enum import Enum


class Says(Enum):
    """Kind of secret that a name announces: any word a person would choose, or something long and
    random.
    """

    PASSWORD = "password"  # noqa: S105
    KEY = "key"


# A longer name counts by its end.
MAX_NAME_CHARS = 80

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PASSWORD = frozenset((
    "pass", "password", "passwords", "passwd", "pwd", "pw", "passphrase", "passcode", "passwort",
    "kennwort", "contrasena", "senha", "wachtwoord", "haslo", "parola", "passe",
    "identifiedby",
))  # fmt: skip
_PASSWORD_ENDS = ("password", "passwords", "passwd", "pwd", "passphrase", "passwort")
_RUN_TOGETHER_WITH_PASS = frozenset((
    "db", "user", "my", "admin", "root", "smtp", "mail", "require", "redis", "mysql", "ssh", "ftp",
    "api", "ldap", "store", "key",
))  # fmt: skip
_KEY = frozenset((
    "secret", "secrets", "token", "tokens", "credential", "credentials", "auth", "authorization",
    "bearer", "jwt", "cookie", "cookies", "sid",
    "webhook", "dsn", "mnemonic", "totp", "fernet", "hmac", "pat",
))  # fmt: skip
_KEY_ENDS = (
    "token", "secret", "apikey", "accesskey", "secretkey", "privatekey", "authkey", "signingkey",
    "encryptionkey", "masterkey",
)  # fmt: skip
# Names that would lose their meaning with their last word.
_WHOLE = {"sessionid": Says.KEY, "sessid": Says.KEY, "securestring": Says.PASSWORD}
# "key" alone names an entry of a map or a key of a keyboard; after one of these it names a secret.
_KEY_OF = frozenset((
    "api", "access", "secret", "private", "signing", "signature", "encryption", "account", "master",
    "service", "storage", "license", "auth", "app", "application", "client", "consumer", "shared",
    "session", "subscription", "ssh", "webhook", "deploy", "admin", "jwt", "hmac", "crypto",
    "cipher", "aes", "rsa", "s3", "aws", "gcp", "stripe", "openai", "anthropic", "sendgrid",
    "twilio", "mailgun", "datadog", "cloudflare", "algolia", "server", "user", "write", "read",
    "rest", "token", "sas",
))  # fmt: skip
# An address of one of these has a password or a token in it.
_ADDRESS_OF = frozenset((
    "webhook", "database", "db", "redis", "mongo", "mongodb", "postgres", "mysql", "amqp", "broker",
    "connection", "dsn",
))  # fmt: skip
# So short that they are somewhere in every base64 text: they count as words of their own only.
_TINY = re.compile(r"(?:^|[_\-.$])(?:pw|pat|sid)\d*$", re.IGNORECASE)
# What a language model reads and writes is counted in tokens, too.
_COUNTED = frozenset((
    "max", "min", "num", "n", "context", "total", "prompt", "completion", "output", "input", "stop",
    "special", "cached", "reasoning", "new", "generated", "limit", "per", "of",
))  # fmt: skip
# What may follow the word that says it.
_ENDINGS = frozenset((
    "value", "val", "b64", "base64", "hex", "str", "string", "text", "bytes", "data", "plain",
    "raw", "default", "prod", "production", "dev", "development", "staging", "live", "old", "new",
    "current", "previous", "backup", "id", "base", "literal", "primary", "secondary",
))  # fmt: skip
_MAX_ENDINGS = 3


def says_secret(name: str, before: str = "") -> Says | None:
    """Return what `name` says of the value beside it, None for a name that says nothing. `before`
    is the word before it in a sentence ("the API key").
    """
    words = [word.lower() for word in _WORDS.findall(name[-MAX_NAME_CHARS:])]
    whole = "".join(words)
    for ending, says in _WHOLE.items():
        if whole.endswith(ending):
            return says
    for _ in range(_MAX_ENDINGS):
        if words and (words[-1].isdigit() or words[-1] in _ENDINGS) and len(words) > 1:
            words.pop()
    if not words or "public" in words:
        return None
    last = words[-1]
    previous = words[-2] if len(words) > 1 else before.lower()
    if last in ("pw", "pat", "sid") and not _TINY.search(name):
        return None
    if last in _PASSWORD or last.endswith(_PASSWORD_ENDS):
        return Says.PASSWORD
    if last.endswith("pass") and last[:-4] in _RUN_TOGETHER_WITH_PASS:
        return Says.PASSWORD
    if last == "tokens" and previous in _COUNTED:
        return None
    if last in _KEY or last.endswith(_KEY_ENDS):
        return Says.KEY
    if last in ("key", "keys") and previous in _KEY_OF:
        return Says.KEY
    if last in ("url", "uri") and previous in _ADDRESS_OF:
        return Says.KEY
    return None
