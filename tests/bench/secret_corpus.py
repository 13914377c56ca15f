"""Keys of many kinds, made up anew from a seed.

The repository holds no key-like string: scanners would flag it, and a corpus in a file is what a
detector gets tuned to by heart. Each case is a line of text with one `needle` in it, which must not
be left after redaction. `secret_lookalikes` has what must survive, `secret_forms` more ways to
write a key down.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALNUM = LOWER + UPPER + DIGITS
URLSAFE = ALNUM + "-_"
HEX = "0123456789abcdef"


@dataclass(frozen=True)
class Case:
    kind: str
    text: str
    needle: str


def pick(rng: random.Random, alphabet: str, size: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(size))


def b64(rng: random.Random, size: int) -> str:
    return base64.b64encode(rng.randbytes(size)).decode()


def jwt(rng: random.Random) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    header = part({"alg": "HS256", "typ": "JWT"})
    body = part(
        {"sub": pick(rng, DIGITS, 10), "name": pick(rng, LOWER, 8), "iat": rng.randrange(10**9)}
    )
    return f"{header}.{body}.{pick(rng, URLSAFE, 43)}"


def pem(rng: random.Random) -> str:
    kind = rng.choice(["RSA ", "EC ", "OPENSSH ", ""])
    body = b64(rng, 600)
    lines = "\n".join(body[i : i + 64] for i in range(0, len(body), 64))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


def _password(rng: random.Random) -> str:
    words = rng.choice(["Winter", "blue", "Tiger", "kaffee", "Rocket", "summer"])
    return words + rng.choice("!$%&*+") + pick(rng, ALNUM, rng.randrange(3, 9)) + rng.choice(DIGITS)


KEYS: dict[str, Callable[[random.Random], str]] = {
    "aws id": lambda r: rng_join("AK", "IA") + pick(r, UPPER + "234567", 16),
    "aws secret": lambda r: pick(r, ALNUM + "/+", 40),
    "github": lambda r: rng_join("gh", r.choice("pousr") + "_") + pick(r, ALNUM, 36),
    "github fine": lambda r: rng_join("github", "_pat_") + pick(r, ALNUM, 22) + "_" + pick(r, ALNUM, 59),
    "gitlab": lambda r: rng_join("glp", "at-") + pick(r, URLSAFE, 20),
    "slack": lambda r: rng_join("xo", "xb-") + f"{pick(r, DIGITS, 12)}-{pick(r, DIGITS, 12)}-{pick(r, ALNUM, 24)}",
    "slack hook": lambda r: f"https://hooks.slack.com/services/T{pick(r, UPPER + DIGITS, 8)}/B{pick(r, UPPER + DIGITS, 8)}/{pick(r, ALNUM, 24)}",
    "stripe": lambda r: rng_join("sk_", "live_") + pick(r, ALNUM, 24),
    "google": lambda r: rng_join("AI", "za") + pick(r, URLSAFE, 35),
    "openai": lambda r: rng_join("sk-", "proj-") + pick(r, URLSAFE, 48),
    "anthropic": lambda r: rng_join("sk-", "ant-api03-") + pick(r, URLSAFE, 93) + "AA",
    "hugging face": lambda r: rng_join("h", "f_") + pick(r, ALNUM, 34),
    "npm": lambda r: rng_join("np", "m_") + pick(r, ALNUM, 36),
    "pypi": lambda r: rng_join("pypi-", "AgEIcHlwaS5vcmc") + pick(r, URLSAFE, 80),
    "sendgrid": lambda r: f"SG.{pick(r, URLSAFE, 22)}.{pick(r, URLSAFE, 43)}",
    "twilio": lambda r: "SK" + pick(r, HEX, 32),
    "telegram": lambda r: f"{pick(r, DIGITS, 9)}:AA{pick(r, URLSAFE, 33)}",
    "digitalocean": lambda r: rng_join("dop_", "v1_") + pick(r, HEX, 64),
    "databricks": lambda r: rng_join("da", "pi") + pick(r, HEX, 32),
    "azure storage": lambda r: b64(r, 64),
    "jwt": jwt,
    "private key": pem,
    "password": _password,
    "random token": lambda r: pick(r, ALNUM, r.randrange(24, 48)),
    "hex secret": lambda r: pick(r, HEX, r.choice([32, 40, 64])),
    "login": _password,
    "bearer": lambda r: pick(r, URLSAFE, 40) + "7",
}  # fmt: skip


def rng_join(*parts: str) -> str:
    """A prefix in pieces, so that this file itself holds none."""
    return "".join(parts)


# Where each kind stands in real files. A key that its own shape gives away may stand anywhere.
ANYWHERE = (
    '{name} = "{key}"', "export {NAME}={key}", "  {name}: {key}", '  "{name}": "{key}",',
    "# old one: {key}", "curl -H 'X-Auth: {key}' https://api.host.net", "client = Client('{key}')",
    "2024-05-01 12:00:00 DEBUG sent {key} to server", "const {name} = `{key}`;", "{key}",
)  # fmt: skip
NAMED = (
    'api_key = "{key}"', "export SERVICE_API_KEY={key}", "  client_secret: {key}",
    '  "access_token": "{key}",', 'const apiKey = "{key}";', "app.secret_key = '{key}'",
    'private static final String AUTH_TOKEN = "{key}";', 'os.environ["SECRET_KEY"] = "{key}"',
    "signing_key: '{key}'", 'token := "{key}"', "x-api-key: {key}", "--api-key {key}",
)  # fmt: skip
PASSWORDS = (
    'password = "{key}"', "DB_PASSWORD={key}", "  password: '{key}'", '  "password": "{key}",',
    "spring.datasource.password={key}", 'define("DB_PASSWORD", "{key}");', "mysql --password {key} -u app",
    "<password>{key}</password>", "Server=db;User Id=app;Password={key};", 'passwd := "{key}"',
    'String dbPassword = "{key}";', "machine git.host.net login joe password {key}",
)  # fmt: skip
LOGINS = (
    "postgres://app:{key}@db.host.net:5432/app", 'url = "mysql+pymysql://app:{key}@10.0.0.5/app"',
    "REDIS_URL=redis://:{key}@cache:6379/0", "amqp://svc:{key}@mq.host.net:5671", "https://bot:{key}@git.host.net/a/b.git",
    "mongodb+srv://app:{key}@cluster0.host.net/app",
)  # fmt: skip
PLACES: dict[str, tuple[str, ...]] = {
    "aws secret": ('aws_secret_access_key = "{key}"', "AWS_SECRET_ACCESS_KEY={key}", '"SecretAccessKey": "{key}"'),
    "azure storage": ("DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={key};EndpointSuffix=core.windows.net",),
    "twilio": NAMED,
    "password": PASSWORDS,
    "random token": NAMED,
    "hex secret": NAMED,
    "login": LOGINS,
    "bearer": ("Authorization: Bearer {key}", "headers = {{'Authorization': 'Bearer {key}'}}", "curl -H \"authorization: token {key}\" https://api.host.net"),
}  # fmt: skip
NAMES = ("config", "value", "thing", "credential", "setting", "conn", "auth", "key")


def keys(seed: int, each: int = 12) -> Iterator[Case]:
    """`each` keys of every kind, in places where they are found."""
    rng = random.Random(seed)
    for kind, make in KEYS.items():
        places = PLACES.get(kind, ANYWHERE)
        for number in range(each):
            key, name = make(rng), rng.choice(NAMES)
            place = places[number % len(places)]
            yield Case(kind, place.format(key=key, name=name, NAME=name.upper()), key)
