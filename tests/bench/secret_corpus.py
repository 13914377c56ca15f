"""Keys of many kinds and things that only look like keys, made up anew from a seed.

The repository holds no key-like string: scanners would flag it, and a corpus in a file is what a
detector gets tuned to by heart. Each case is a line of text with one `needle` in it: of a key, what
must not be left after redaction; of a look-alike, what must still be there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import string
import uuid
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


def _jwt(rng: random.Random) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    header = part({"alg": "HS256", "typ": "JWT"})
    body = part(
        {"sub": pick(rng, DIGITS, 10), "name": pick(rng, LOWER, 8), "iat": rng.randrange(10**9)}
    )
    return f"{header}.{body}.{pick(rng, URLSAFE, 43)}"


def _pem(rng: random.Random) -> str:
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
    "jwt": _jwt,
    "private key": _pem,
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


def _lookalikes(r: random.Random) -> dict[str, tuple[str, str]]:
    """(text, what must survive) by kind."""
    sha1, sha256 = pick(r, HEX, 40), hashlib.sha256(r.randbytes(8)).hexdigest()
    some_id, data = str(uuid.UUID(bytes=r.randbytes(16))), b64(r, 300)
    word = r.choice(["parser", "request", "session", "worker", "bucket", "cursor"])
    number = r.randrange(2, 4000)
    whole = {
        "commit": f'COMMIT = "{sha1}"',
        "pinned action": f"- uses: actions/checkout@{sha1}",
        "checksum": f'sha256 = "{sha256}"',
        "lock file": f'integrity: sha512-{b64(r, 64)}',
        "pip hash": f"    --hash=sha256:{sha256} \\",
        "docker digest": f"FROM python@sha256:{sha256}",
        "uuid": f'request_id = "{some_id}"',
        "data uri": f'<img src="data:image/png;base64,{data}">',
        "go sum": f"golang.org/x/{word} v0.{number}.0 h1:{b64(r, 32)}",
        "environment": f'api_key = os.environ["{word.upper()}_API_KEY"]',
        "getenv": f"const token = process.env.{word.upper()}_TOKEN;",
        "template": "password = ${" + word.upper() + "_PASSWORD}",
        "jinja": "  password: {{ " + word + "_password }}",
        "placeholder": f'API_KEY="your-{word}-api-key-here"',
        "angle": f"token: <{word}-token>",
        "stars": 'password = "********"',
        "type": f"def login(user: str, password: str, {word}: int) -> Token:",
        "annotation": f"    token: {word.title()}Token | None = None",
        "call": f"token = get_{word}_token(request, timeout={number})",
        "attribute": f"self.password = {word}.password",
        "compare": f'if token == "{word}":',
        "parameter name": f'TOKEN_PARAM = "{word}_token"',
        "header name": 'API_KEY_HEADER = "X-Api-Key"',
        "error code": f'INVALID_TOKEN = "invalid_{word}_token"',
        "prompt": 'password = input("Enter your password: ")',
        "message": f'raise ValueError("password must have at least {number} characters")',
        "test login": "postgres://postgres:postgres@localhost:5432/test",
        "url port": f"http://localhost:{number}/api/{word}",
        "email url": f"https://host.net/@{word}/{number}",
        "cache key": f'cache_key = "{word}:{number}:profile"',
        "primary key": f'primary_key = "{word}_id_{number}"',
        "tokens": f"max_tokens = {number}",
        "css": f".{word}-key-{number} {{ color: #{pick(r, HEX, 6)}; }}",
        "key event": 'if event.key == "ArrowDown":',
        "public key": "-----BEGIN PUBLIC KEY-----\n" + b64(r, 90) + "\n-----END PUBLIC KEY-----",
        "ssh public": f"ssh-rsa {b64(r, 120)} joe@host",
        "marker only": 'if "-----BEGIN PRIVATE KEY-----" in text:',
        "svg path": f'd="M{number} 12.5c-3.1 0-5.{number} 2.4-5.{number} 5.5z"',
        "kebab": f"task-{word}-runner-{number}-scheduler-for-background-{word}",
        "camel": f"{word}ServiceAbstractFactoryBeanProvider{number}TokenHandler",
        "version": f'token_version = "v{number}beta1"',
        "minified": f"!function(t,e){{return t.{word}=e({number})}}(this,function(){{}});",
        "hex color": f'"keyColor": "#{pick(r, HEX, 6)}"',
        "bearer words": f"Authorization: Bearer <{word}_token>",
        "bearer docs": "Send the token as bearer authentication in the header",
        "file": f'SECRET_FILE = "/run/secrets/{word}_{number}"',
        "secret name": f'secretName: "{word}-tls"',
        "test id": f'data-testid="{word}-password-field-{number}"',
        "i18n": f'"password": "Passwort{" für " + word}",',
        "enum": f'KEY_{word.upper()} = "KEY_{word.upper()}_{number}"',
    }  # fmt: skip
    return {kind: (text, text) for kind, text in whole.items()}


def lookalikes(seed: int, each: int = 5) -> Iterator[Case]:
    """`each` of every kind of thing that must stay as it is."""
    rng = random.Random(seed)
    for _ in range(each):
        for kind, (text, needle) in _lookalikes(rng).items():
            yield Case(kind, text, needle)
