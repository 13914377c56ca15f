"""Things that only look like secrets, made up anew from a seed: redaction must leave them alone."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Iterator

from secret_corpus import ALNUM, DIGITS, HEX, LOWER, UPPER, Case, b64, pick


def _everyday(r: random.Random) -> dict[str, str]:
    """A text by kind, all of which must survive."""
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
    return whole


def _about_secrets(r: random.Random) -> dict[str, str]:
    """Code that names secrets and holds none."""
    word = r.choice(
        ["parser", "request", "session", "worker", "bucket", "cursor", "account", "tenant"]
    )
    big, number = word.upper(), r.randrange(2, 900)
    return {
        "prompt for it": f"password = getpass.getpass('Password for {word}: ')",
        "type only": f"token: str\n{word}: int = {number}",
        "optional type": f"api_key: Optional[str] = None  # of the {word}",
        "typescript field": f"interface {word.title()} {{\n  apiKey?: string;\n  secretToken: SecretToken<{word.title()}>;\n}}",
        "java field": f"private final String {word}Password;\nprivate int retries{number};",
        "go field": f"\tAPIKey string `json:\"api_key\" env:\"{big}_API_KEY\"`",
        "rust field": f"    pub api_key: Option<String>,\n    pub {word}_count: u32,",
        "function": f"def rotate_{word}_secret(self, secret_id: str) -> SecretVersion{number}:",
        "call result": f"const apiKey = await {word}Vault.fetchSecret(`{word}/api-key`, {{ version: {number} }});",
        "vault path": f'secret = vault.read("secret/data/{word}/v{number}")',
        "shell variable": f"export {big}_TOKEN=\"$({word}-cli print-token --profile prod{number})\"",
        "shell default": f"PASSWORD=${{PASSWORD:?set it for {word}}}",
        "read": f"read -r -s -p 'Password: ' {big}_PASSWORD",
        "compose": f"      {big}_PASSWORD: ${{{big}_PASSWORD}}",
        "compose secret": f"      {big}_PASSWORD_FILE: /run/secrets/{word}_password",
        "github secret": f"        API_KEY: ${{{{ secrets.{big}_API_KEY }}}}",
        "helm": f"  password: {{{{ .Values.{word}.password | b64enc | quote }}}}",
        "ansible": f"  password: \"{{{{ lookup('env', '{big}_PASSWORD') }}}}\"",
        "terraform": f"  password = var.{word}_password\n  port     = {number}",
        "terraform variable": f'variable "{word}_password" {{\n  type      = string\n  sensitive = true\n}}',
        "kubernetes reference": f"- name: API_KEY\n  valueFrom:\n    secretKeyRef:\n      name: {word}-secrets\n      key: api-key-v{number}",
        "jenkins": f"withCredentials([string(credentialsId: '{word}-api-key-{number}', variable: 'API_KEY')]) {{",
        "spring": f"spring.datasource.password=${{{big}_DB_PASSWORD}}",
        "rails": f"password: <%= ENV['{big}_PASSWORD'] %>",
        "xml reference": f'<add key="ApiKey" value="#{{{word}.ApiKey}}#"/>',
        "form field": f'<input type="password" name="password" id="{word}-password" autocomplete="current-password">',
        "label": f'<label for="token">Access token of the {word} (at least {number} characters)</label>',
        "react": f"<PasswordInput value={{{word}Password}} onChange={{set{word.title()}Password}} />",
        "django form": f'password = forms.CharField(widget=forms.PasswordInput, label="{word.title()} password")',
        "sqlalchemy": f'password_hash = Column(String({number}), nullable=False, comment="of the {word}")',
        "sql column": f"    api_key VARCHAR({number}) NOT NULL,\n    {word}_id BIGINT REFERENCES {word}s(id),",
        "sql parameter": f"UPDATE {word}s SET password = $1, token = ? WHERE id = {number};",
        "sql ask": f"SELECT token, expires_at FROM {word}_tokens WHERE user_id = :user_id",
        "prose": f"The password must have {number} characters; the {word} token expires after 30 days.",
        "prose about keys": f"Set the API key in the settings of your {word} (see section 4.{number}).",
        "log format": f'log.info("token refreshed for %s in %dms", {word}.name, {number})',
        "format string": f'print(f"password={{password}} token={{{word}.token}}")',
        "validation": f'PASSWORD_REGEX = r"^(?=.*[A-Z])(?=.*\\d)[A-Za-z\\d@$!%*?&]{{8,{number}}}$"',
        "error": f'throw new Error("Invalid token: expected {word.title()}Token at position {number}");',
        "i18n german": f'"password": "Passwort", "token": "Zugriffstoken für {word}",',
        "i18n french": '"password": "Mot de passe", "password_confirm": "Confirmez le mot de passe",',
        "i18n long": f'"forgot_password": "Forgot your password? Ask the {word} administrator.",',
        "enum member": f"    PASSWORD = \"password\"\n    API_KEY = \"api_key\"\n    {big} = \"{word}\"",
        "constant names": f'SECRET_NAME = "{word}-service-credentials"\nTOKEN_URL = "https://auth.host.net/oauth2/token"',
        "token kinds": f'TOKEN_{big} = "TOKEN_{big}"\nTOKEN_EOF = {number}',
        "tokenizer": f'tokens = ["<bos>", "{word}", "<eos>"]\npad_token_id = {number}',
        "tokenizer name": f'tokenizer = AutoTokenizer.from_pretrained("{word}-v{number}-base")',
        "max tokens": f"max_tokens: {number * 10}\ncontext_tokens = {number * 64}",
        "placeholder": f'API_KEY = "<your {word} api key>"',
        "placeholder caps": f"API_KEY=YOUR_{big}_API_KEY_HERE",
        "placeholder dots": "client_secret: '...'\napi_key: 'xxxxxxxxxxxxxxxxxxxxxxxx'",
        "empty": f"DB_PASSWORD=\nDB_NAME={word}_{number}",
        "empty quoted": f'password: ""\nhost: "{word}{number}.host.net"',
        "null": f"  token: null\n  {word}: {number}",
        "boolean": f"  show_password: true\n  secure{number}: false",
        "duration": f"token_ttl = {number}s\nsecret_rotation = 30d",
        "date": f"token_expires_at = '2026-0{number % 9 + 1}-11T12:{number % 50 + 10}:00Z'",
        "size": f"password_min_length = {number}\nkey_size = 2048",
        "key of a map": f'data["{word}_key"] = rows[{number}].name',
        "keyboard": f'key = "ctrl+shift+{pick(r, LOWER, 1)}"\nhotkey: cmd-alt-{number % 10}',
        "sort key": f'sort_key = "created_at_{word}_{number}"\npartition_key: "{word}#2026-11"',
        "foreign key": f'foreign_key: :{word}_uuid\nkey: "{word}.index.title.v{number}"',
        "route": f'path("password/reset/<uidb64>/<token>/", {word}_reset, name="password_reset_{number}")',
        "test name": f"def test_token_of_{word}_{number}_is_refused_after_logout(): ...",
        "auth import": f"from {word}.auth.tokens import AccessTokenV{number}, RefreshTokenStore",
        "auth header name": f'AUTH_HEADER = "X-{word.title()}-Auth-V{number}"',
        "auth scheme": f'auth = OAuth2PasswordBearer(tokenUrl="v{number}/token")',
        "comparison": f'if password != confirm_password: raise {word.title()}Error("passwords differ")',
        "argparse": f'parser.add_argument("--api-key", metavar="KEY", help="of the {word}, 40 characters")',
        "click": f'@click.option("--token", envvar="{big}_TOKEN", required=True)',
        "script option": f"./deploy --token \"${big}_TOKEN\" --password-file /run/{word}/pw{number}",
        "curl variable": f'curl -H "Authorization: Bearer $TOKEN" https://{word}.host.net/v{number}/items',
        "header docs": "Authorization: Bearer <token>\nX-Api-Key: <key>",
        "user name": f'username = "{word}.admin{number}"\nuser_id: {word}{number}',
        "mask": "password = '********'\ntoken: [REDACTED]",
        "public key name": f'public_key_path = "~/.ssh/{word}_{number}.pub"',
        "key file": f"ssl_certificate_key /etc/nginx/tls/{word}{number}.key;",
        "pass on": f"proxy_pass http://{word}_backend{number}:8080;",
        "pass statement": f"def {word}(self):\n    pass\n\nLIMIT_{number} = 'A1b2'",
        "css": f".password-{word}-{number} {{ background: url(img/key-{word}@2x.png); }}",
        "deleted diff": f'-password = getpass("{word}")\n+password = prompt_secret("{word}", retries={number})',
    }  # fmt: skip


def _random(r: random.Random) -> dict[str, str]:
    """Random strings that are no secrets."""
    word = r.choice(["parser", "request", "session", "worker", "bucket", "cursor"])
    sha1, sha256, some_id = (
        pick(r, HEX, 40),
        pick(r, HEX, 64),
        str(uuid.UUID(bytes=r.randbytes(16), version=4)),
    )
    short, number = pick(r, HEX, 8), r.randrange(10, 900)
    return {
        "git log": f"commit {sha1}\nAuthor: Joe <joe@host.net>",
        "git diff": f"diff --git a/{word}.py b/{word}.py\nindex {short[:7]}..{pick(r, HEX, 7)} 100644",
        "submodule": f"-Subproject commit {sha1}\n+Subproject commit {pick(r, HEX, 40)}",
        "npm lock": f'"node_modules/{word}": {{\n  "version": "4.{number}.0",\n  "integrity": "sha512-{b64(r, 64)}"',
        "yarn lock": f'  resolved "https://registry.host.net/{word}/-/{word}-1.{number}.0.tgz#{sha1}"',
        "cargo lock": f'name = "{word}"\nversion = "0.{number}.1"\nchecksum = "{sha256}"',
        "poetry lock": f'    {{file = "{word}-1.{number}-py3-none-any.whl", hash = "sha256:{sha256}"}},',
        "go mod sum": f"github.com/host/{word} v1.{number}.0/go.mod h1:{b64(r, 32)}",
        "nix hash": f'  hash = "sha256-{b64(r, 32)}";',
        "sri": f'<script src="/{word}.js" integrity="sha384-{b64(r, 48)}"></script>',
        "image digest": f"    image: {word}@sha256:{sha256}",
        "etag": f'ETag: W/"{pick(r, HEX, 32)}"',
        "trace id": f"trace_id={pick(r, HEX, 32)} span_id={pick(r, HEX, 16)}",
        "id": f'{{"id": "{some_id}", "{word}": {number}}}',
        "user id": f'tenant_id = "{some_id}"',
        "xcode": f"\t\t{pick(r, '0123456789ABCDEF', 24)} /* {word}.swift in Sources */,",
        "guid": f"Project(\"{{{some_id.upper()}}}\") = \"{word}\"",
        "object id": f'"_id": ObjectId("{pick(r, HEX, 24)}")',
        "test vector": f'assert sha256(b"{word}").hexdigest() == "{sha256}"',
        "fixture": f'DIGEST = "{hashlib.sha256(word.encode()).hexdigest()}"  # of {word}',
        "image": f'url("data:image/png;base64,{b64(r, 200)}")',
        "base64 lines": "\n".join(["logo = , *(b64(r, 48) for _ in range(4)), "]),
        "certificate": "\n".join(["-----BEGIN CERTIFICATE-----", *(b64(r, 48) for _ in range(4)), "-----END CERTIFICATE-----"]),
        "source map": f"//# sourceMappingURL=data:application/json;base64,{b64(r, 90)}",
        "svg": f'<path d="M{number}.5 3.2c-1.1 0-2 .9-2 2v{number}a4.4 4.4 0 0 0 8.8 0V{number}z"/>',
        "colors": ", ".join(f'"#{pick(r, HEX, 6)}"' for _ in range(6)),
        "bytes": "table = [" + ", ".join(f"0x{b:02x}" for b in r.randbytes(12)) + "]",
        "class hash": f'<div class="{word}_{pick(r, ALNUM, 5)} css-{pick(r, LOWER + DIGITS, 7)}">',
        "asset": f'<script src="/assets/{word}-{pick(r, ALNUM, 8)}.js"></script>',
        "minified": f"var t=e({number}),n=r(t.{word}),i=function(e,t){{return e.a{number}+t.b{short[:2]}}};",
        "regex": f'PATTERN = re.compile(r"[A-Z0-9]{{{number}}}(?:-[a-f0-9]{{4}}){{3}}")',
        "youtube": f"https://video.host.net/watch?v={pick(r, ALNUM, 11)}&t={number}s",
        "blob url": f"https://git.host.net/a/{word}/blob/{sha1}/src/{word}.py#L{number}",
        "phone": f'phone = "+49 89 {pick(r, DIGITS, 8)}"',
        "version": f'"{word}": "^{number}.1.0-rc.{number}+build.{short}",',
        "ip": f"host = 10.{number % 250}.3.17:8443\nmac = {':'.join(pick(r, HEX, 2) for _ in range(6))}",
        "coordinates": f"[[{number}.8472913, 11.5837261], [{number}.8472003, 11.5839910]]",
        "licence": f"SPDX-License-Identifier: Apache-2.0 OR MIT-{number}",
        "words": f"{word}_Service_{number}_AbstractHandler_V2_{pick(r, UPPER, 3)}",
    }  # fmt: skip


def lookalikes(seed: int, each: int = 5) -> Iterator[Case]:
    """`each` of every kind of thing that must stay as it is."""
    rng = random.Random(seed)
    for _ in range(each):
        for make in (_everyday, _about_secrets, _random):
            for kind, text in make(rng).items():
                yield Case(kind, text, text)
