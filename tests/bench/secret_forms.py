"""The ways in which people write a secret down, crossed with the kinds of secrets.

Each form is a piece of a file with a placeholder for the secret: `{k}` as it stands there, `{x}`
escaped for XML, `{u}` for a URL, `{1}` and `{2}` its halves, `{bytes}` and `{hex}` its bytes as
numbers and as `\\xNN`. `{s} {c} {P} {C} {K} {d}` is the name in snake, camel, Pascal and constant
case, with hyphens and with dots. A line break in a secret is `\\n` unless the form is a block.

Every third form is held out: what is missed of these was not looked at while the detector was
written, only how much.

    python tests/bench/secret_forms.py            # recall by kind and group, false replacements
    python tests/bench/secret_forms.py --missed   # and what was missed, of the forms not held out
"""

from __future__ import annotations

import html
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from secret_corpus import ALNUM, DIGITS, HEX, LOWER, UPPER, URLSAFE, Case, b64, jwt, pem, pick
from secret_lookalikes import lookalikes

FORMS: dict[str, tuple[str, ...]] = {
    "python": (
        '{s} = "{k}"', "{C} = (\n    '{k}'\n)", '{s} = \\\n    "{k}"', '{C} = (\n    "{1}"\n    "{2}"\n)',
        '{s}: str = "{k}"', '{C}: Final[str] = "{k}"', 'config["{s}"] = "{k}"', 'connect(host, {s}="{k}", timeout=3)',
        'os.environ.setdefault("{C}", "{k}")', 'os.getenv("{C}", "{k}")', 'os.environ.get("{C}") or "{k}"',
        '{s} = SecretStr("{k}")', '{s}: str = Field(\n    default="{k}",\n)', "self.{s} = b'{k}'", '{s} = """{k}"""',
        'parser.add_argument("--{K}", default="{k}")', 'assert client.{s} == "{k}"', '{s} = "{1}" + "{2}"',
        'monkeypatch.setenv("{C}", "{k}")', '{C} = bytes([{bytes}])', '{C} = b"{hex}"', 'dict({s}="{k}")', 'setattr(settings, "{C}", "{k}")',
    ),
    "javascript": (
        'const {c} = "{k}";', "const {c} =\n  '{k}';", "export const {C} = `{k}`;", "{ {c}: '{k}' }", "{c}: string = '{k}';",
        'const {C}: Readonly<string> = "{k}";', 'process.env.{C} = "{k}";', 'const {c} = process.env.{C} || "{k}";',
        'const {c} = process.env.{C} ?? "{k}";', "client.set{P}('{k}');", 'headers.append("{K}", "{k}");', 'new Client({\n  {c}:\n    "{k}",\n});',
        "localStorage.setItem('{c}', '{k}');", 'const {c} = "{1}" +\n  "{2}";', 'const { {c} = "{k}" } = options;', 'module.exports.{c}="{k}"',
        'window.__CONFIG__ = {"{c}":"{k}","debug":false};', "fetch(url, { headers: { '{K}': '{k}' } })", 'const {c} = Buffer.from("{k}", "utf8");',
    ),
    "java and kotlin": (
        'private static final String {C} =\n        "{k}";', 'String {c} = "{k}";', 'builder.with{P}("{k}").build();', '@Value("${{d}:{k}}")',
        'val {c}: String = "{k}"', 'const val {C} = "{k}"', 'System.setProperty("{d}", "{k}");', 'props.put("{d}", "{k}");',
        'var {c} = System.getenv("{C}") ?: "{k}"', 'char[] {c} = "{k}".toCharArray();', 'buildConfigField("String", "{C}", "\\"{k}\\"")',
        'Map.of("{c}", "{k}")', 'private val {c} by lazy { "{k}" }', 'final String {c} = "{1}"\n    + "{2}";', 'byte[] {c} = {{bytes}};',
    ),
    "go, rust, c": (
        '{c} := "{k}"', "const {c} = `{k}`", 'var {P} string = "{k}"', '{P}: "{k}",', 'os.Setenv("{C}", "{k}")', '{c} := []byte("{k}")',
        'const {C}: &str =\n    "{k}";', "const {C}: &'static str = \"{k}\";", 'let {s} = String::from("{k}");', 'let {s}: Option<String> = Some("{k}".into());',
        '.{s}("{k}")', '{s}: "{k}".to_string(),', 'static {C}: [u8; 32] = [{bytes}];', 'env::set_var("{C}", "{k}");',
        '#define {C} "{k}"', 'static const char {C}[] = "{k}";', 'const char *{s} = "{k}";', 'std::string {s}{"{k}"};', 'constexpr std::string_view k{P} = "{k}";',
        'setenv("{C}", "{k}", 1);', '#define {C} \\\n    "{k}"', 'char {s}[64] = "{1}"\n    "{2}";', 'unsigned char {s}[] = {\n    {bytes}\n};', 'QString {c} = QStringLiteral("{k}");',
    ),
    "other languages": (
        'let {c} = "{k}"', 'static let {c}: String = "{k}"', 'NSString *{c} = @"{k}";', 'string {c} = @"{k}";', 'public string {P} { get; set; } = "{k}";',
        'Environment.SetEnvironmentVariable("{C}", "{k}");', "define('{C}', '{k}');", "$config['{s}'] = '{k}';", "'{s}' => env('{C}', '{k}'),", "public ${c} = '{k}';",
        ':{s} => "{k}"', "{s}: '{k}'", "ENV['{C}'] ||= '{k}'", 'ENV.fetch("{C}") { "{k}" }', "config.{s} = %q({k})", 'my ${s} = "{k}";', "use constant {C} => '{k}';",
        '{s} <- "{k}"', 'Sys.setenv({C} = "{k}")', 'local {s} = "{k}"', "{s} = [[{k}]]", 'config :app, {s}: "{k}"', '@{s} "{k}"', "(def {K} \"{k}\")", '{:{K} "{k}"}', '(setq {K} "{k}")',
        '{c} :: Text\n{c} = "{k}"', 'let {s} = "{k}" in', 'val {c} = "{k}"', "final {c} = '{k}';", '{s} = "{k}"::text', 'Const {P} As String = "{k}"', "{P} : constant String := \"{k}\";", "${P} := '{k}';",
    ),
    "shell": (
        "{C}={k}", "export {C}='{k}'", 'export {C}="{k}"', "declare -x {C}={k}", "set -x {C} '{k}'", "setenv {C} '{k}'", "{C}=${{C}:-{k}}", "+ {C}={k}", "++ export {C}={k}", "env {C}={k} ./run.sh",
        "readonly {C}='{k}'", "local {s}='{k}'", "./deploy --{K} '{k}' --verbose", "./deploy --{K}={k}", 'curl -H "{K}: {k}" https://api.host.net/v1', "curl -u admin:'{k}' https://api.host.net",
        "curl --data '{\"{s}\": \"{k}\"}' https://host.net", "curl 'https://api.host.net/v1?{s}={u}&page=2'", "sshpass -p '{k}' ssh root@host", "echo '{C}={k}' >> .env", "cat > .env <<EOF\n{C}={k}\nEOF",
        "kubectl create secret generic app --from-literal={K}='{k}'", "aws configure set {s} '{k}'", "gh secret set {C} --body '{k}'", "docker run -e {C}='{k}' image", "docker login -u bot -p '{k}' registry.host.net",
        "vault kv put secret/app {s}='{k}'", "mysql -u root -p'{k}' app", "PGOPTIONS=x {C}='{k}' psql app", "printf '%s' '{k}' | gh auth login --with-token",
    ),
    "windows": (
        "set {C}={k}", 'set "{C}={k}"', "setx {C} {k}", '$env:{C} = "{k}"', "${P} = '{k}'", '[Environment]::SetEnvironmentVariable("{C}", "{k}", "User")',
        "${P} = ConvertTo-SecureString '{k}' -AsPlainText -Force", '"{P}"="{k}"', "Set-Item -Path Env:{C} -Value '{k}'", "Connect-Host -{P} '{k}'",
    ),
    "yaml": (
        "{s}: {k}", "{c}: '{k}'", '{s}:\n  "{k}"', "{s}: >-\n  {k}", "{s}: |\n  {k}", "- name: {C}\n  value: '{k}'", "- name: {C}\n  value: >-\n    {k}", "environment:\n  - {C}={k}", "env:\n  {C}: {k}",
        "- {s}: &secret \"{k}\"", "{s}: !!str {k}", "{ {s}: '{k}', debug: true }", "  {K}: {k}  # rotated in May", "args: [\"--{K}\", \"{k}\"]", "stringData:\n  {K}: {k}", "vars:\n  - key: {C}\n    value: {k}",
        "- set_fact:\n    {s}: \"{k}\"", "'{C}':\n    description: of the service\n    default: '{k}'", "run: ./deploy --{K} '{k}'", "with:\n  {K}: {k}", "headers:\n  - \"{K}: {k}\"", "? {s}\n: {k}",
    ),
    "json": (
        '"{s}": "{k}",', '"{c}":"{k}"', '"{s}":\n    "{k}"', '{"name": "{C}", "value": "{k}"}', '{"key": "{s}",\n "value": "{k}"}', '"{C}": {\n  "value": "{k}"\n}', '"{s}": ["{k}"],', '"source": [\n "{s} = \\"{k}\\"\\n",', '"{\\"{s}\\":\\"{k}\\"}"',
        '"args": ["--{K}", "{k}"]', '"env": ["{C}={k}"]', '{ "op": "add", "path": "/{c}", "value": "{k}" }', "// {c}: '{k}'",
    ),
    "ini and the like": (
        "{s} = {k}", "{d}={k}", "{d}: {k}", "{s}='{k}'", "{K}={k}", "Environment=\"{C}={k}\"", "Environment={C}={k}", "SetEnv {C} {k}", "env[{C}] = {k}", "proxy_set_header {K} \"{k}\";", "requirepass {k}",
        "{C}='{k}'  # do not commit", ";{s} = {k}", "{s} = '''{k}'''", "{s} = {\n  value = \"{k}\"\n}", "[auth]\n{s}={k}", "fastcgi_param {C} {k};", "option {s} '{k}'", "machine git.host.net login joe password {k}", "db.host.net:5432:app:joe:{k}",
    ),
    "infrastructure": (
        'variable "{s}" {\n  default = "{k}"\n}', 'variable "{s}" {\n  type    = string\n  default = "{k}"\n}', '{s} = "{k}"', "{c} = \"{k}\";", "ENV {C}={k}", "ENV {C} {k}", "ARG {C}='{k}'", "ENV A=1 \\\n    {C}={k}", 'set(ENV{{C}} "{k}")',
        "{C} := {k}", "{C} ?= {k}", "export {C} := {k}", 'set({C} "{k}")', "helm install app . --set {c}='{k}'", "{C}: ${{C}:-{k}}", "build --action_env={C}={k}", "withEnv(['{C}={k}']) {", 'storeParameter(name: "{C}", value: "{k}")', 'param {c} string = \'{k}\'',
        'name  = "{C}"\nvalue = "{k}"', 'resource "x" "y" {\n  {s} = <<EOT\n{k}\nEOT\n}', 'set {\n  name  = "{d}"\n  value = "{k}"\n}', "Parameters:\n  {P}:\n    Type: String\n    Default: '{k}'",
    ),
    "xml and html": (
        "<{c}>{x}</{c}>", "<{c}>\n  {x}\n</{c}>", '<add key="{P}" value="{x}"/>', '<string name="{s}">{x}</string>', "<key>{c}</key>\n<string>{x}</string>", '<property name="{c}" value="{x}"/>', '<property name="{c}">\n  <value>{x}</value>\n</property>',
        '<input type="hidden" name="{s}" value="{x}">', '<meta name="{K}" content="{x}">', '<div data-{K}="{x}">', '<entry key="{d}">{x}</entry>', "<td>{s}</td><td>{x}</td>", '<env name="{C}" value="{x}" force="true"/>', '<Setting Name="{P}" Type="String">{x}</Setting>', "<{c}><![CDATA[{k}]]></{c}>",
    ),
    "sql and tables": (
        "UPDATE settings SET {s} = '{k}' WHERE id = 1;", "ALTER USER app PASSWORD '{k}';", "CREATE USER app IDENTIFIED BY '{k}';", "CREATE ROLE app WITH LOGIN PASSWORD '{k}';", "INSERT INTO settings (name, value) VALUES ('{s}', '{k}');",
        "SET PASSWORD FOR app = PASSWORD('{k}');", "CREATE SECRET s (TYPE s3, {C} '{k}');", "{s},{k}", '"{s}","{k}"', "{s}\t{k}", "| {s} | {k} |", "| `{C}` | `{k}` | the service |", "SELECT set_config('app.{s}', '{k}', false);",
    ),
    "prose and logs": (
        "# {s}: {k}", "// TODO remove: {c} = \"{k}\"", "/* {C}={k} */", "-- {s} = '{k}'", "The {w} is `{k}`.", "{w}: {k}", "* {w}: `{k}`", "``{C}={k}``", "2026-03-01 12:00:01 INFO using {s}={k} for login", "DEBUG {w} is {k}", "level=debug msg=start {s}={k}", "<!-- {s}: {k} -->", '"""Use {s}="{k}" for tests."""', "    >>> login({s}='{k}')",
        "$ export {C}={k}", "> {C}={k}", "{w} -> {k}", "rem {C}={k}",
    ),
    "diffs": (
        '+{C} = "{k}"', "-{s}: {k}", '+{C} = (\n+    "{k}"\n+)', " const {c} =\n-  '{k}';", "+  - name: {C}\n+    value: {k}", '@@ -1 +1 @@\n-{s} = os.environ["X"]\n+{s} = "{k}"', "+<{c}>\n+  {x}\n+</{c}>", '<<<<<<< HEAD\n{s} = "{k}"\n=======', "> +{C}={k}",
        '11+| {C} = (\n12+|     "{1}"\n13+|     "{2}"\n14 | )', ' 9 | {s}:\n10 |   "{k}"', '7: {c} = "{k}"',
    ),
    "urls and headers": (
        "https://host.net/cb?{s}={u}", "https://host.net/cb?a=1&{s}={u}&b=2", "postgres://app:{u}@db.host.net:5432/app", "redis://:{u}@cache:6379/0", "jdbc:mysql://db/app?user=app&password={u}", "Server=db;User Id=app;Password={k};Encrypt=true", "amqp://svc:{u}@mq.host.net", "{K}: {k}", "Authorization: Bearer {u}", 'headers = {"Authorization": "Bearer {u}"}',
        "Authorization: Token {u}", "Cookie: theme=dark; session={u}", "Set-Cookie: sessionid={u}; HttpOnly", "https://bot:{u}@git.host.net/a/b.git", "//registry.host.net/:_authToken={u}", "host=db user=app password='{k}' dbname=app", "auth=('admin', '{k}')", 'smtp.login("bot@host.net", "{k}")',
    ),
}  # fmt: skip
BLOCKS = ('"""', "|\n", "<<", ">-", "<{c}>\n", "CDATA", "'''")


def _password(r: random.Random) -> str:
    word = r.choice(["Tr0ub4dor", "Winter", "bl4ckbird", "Sommer", "dragonFly", "k0ffie"])
    return word + r.choice("!%*+&#@^") + pick(r, ALNUM, r.randrange(1, 4)) + pick(r, DIGITS, 2)


def _strong(r: random.Random) -> str:
    return "".join(r.sample("!%*+#@^-_=?", 3)) + pick(r, ALNUM, 13) + pick(r, DIGITS, 2)


def _basic(r: random.Random) -> str:
    return "Basic " + b64(r, 24)


def _uuid(r: random.Random) -> str:
    return "-".join(pick(r, HEX, size) for size in (8, 4, 4, 4, 12))


def _url(r: random.Random) -> str:
    return f"postgresql://app:{pick(r, ALNUM, 18)}@db.host.net:5432/app"


def _hook(r: random.Random) -> str:
    parts = (9, UPPER), (9, UPPER), (24, ALNUM)
    return "https://hooks.slack.com/services/" + "/".join(pick(r, a, n) for n, a in parts)


# The name that goes with each kind, its words, and how one is made.
KINDS: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "AWS access key": ("aws access key id", lambda r: "AK" + "IA" + pick(r, UPPER + "234567", 16)),
    "AWS secret": ("aws secret access key", lambda r: pick(r, ALNUM + "/+", 40)),
    "GitHub token": ("github token", lambda r: "gh" + "p_" + pick(r, ALNUM, 36)),
    "Stripe key": ("stripe secret key", lambda r: "sk_" + "live_" + pick(r, ALNUM, 24)),
    "Slack token": ("slack bot token", lambda r: "xo" + "xb-" + pick(r, DIGITS, 12) + "-" + pick(r, ALNUM, 24)),
    "OpenAI key": ("openai api key", lambda r: "sk-" + "proj-" + pick(r, URLSAFE, 48)),
    "Google key": ("maps api key", lambda r: "AI" + "za" + pick(r, URLSAFE, 35)),
    "JSON web token": ("access token", jwt),
    "private key": ("private key", pem),
    "password": ("db password", _password),
    "strong password": ("admin password", _strong),
    "UUID as key": ("api key", _uuid),
    "32 hex digits": ("client secret", lambda r: pick(r, HEX, 32)),
    "64 hex digits": ("encryption key", lambda r: pick(r, HEX, 64)),
    "32 letters and digits": ("auth token", lambda r: pick(r, ALNUM, 32)),
    "20 small letters and digits": ("api token", lambda r: pick(r, LOWER + DIGITS, 20)),
    "base64 of 32 bytes": ("signing secret", lambda r: b64(r, 32)),
    "URL-safe base64": ("refresh token", lambda r: pick(r, URLSAFE, 43)),
    "TOTP seed": ("totp secret", lambda r: pick(r, UPPER + "234567", 32)),
    "webhook address": ("slack webhook url", _hook),
    "address with a password": ("database url", _url),
    "basic credentials": ("registry auth", _basic),
    "signed cookie": ("session cookie", lambda r: "s%3A" + pick(r, URLSAFE, 32) + "." + pick(r, ALNUM, 43)),
}  # fmt: skip
# What of a value is no secret by itself.
_PUBLIC = re.compile(
    r"-----[A-Z ]+-----|https://hooks\.slack\.com/services/|postgresql://app:|@db\.host\.net.*|Basic "
)


@dataclass(frozen=True)
class Formed(Case):
    """A case with the group of its form and whether that is held out. `needles` are the pieces of
    the secret of which none may be left."""

    group: str = ""
    held_out: bool = False
    needles: tuple[str, ...] = ()


def forms() -> list[tuple[str, str, bool]]:
    """(group, form, whether it is held out) of each."""
    flat = [(group, form) for group, some in FORMS.items() for form in some]
    return [(group, form, number % 3 == 2) for number, (group, form) in enumerate(flat)]


def cases(seed: int) -> Iterator[Formed]:
    """Every form with every kind."""
    rng = random.Random(seed)
    for group, form, held_out in forms():
        for kind, (words, make) in KINDS.items():
            text, needles = _filled(form, words, make(rng))
            yield Formed(kind, text, needles[0], group, held_out, needles)


def _filled(form: str, words: str, key: str) -> tuple[str, tuple[str, ...]]:
    if "\n" in key:
        key = (
            _as_block(form, key)
            if any(mark in form for mark in BLOCKS)
            else key.replace("\n", "\\n")
        )
    half = len(key) // 2
    parts = words.split()
    camel = parts[0] + "".join(map(str.title, parts[1:]))
    filled = {
        "{k}": key, "{x}": html.escape(key, quote=False), "{u}": quote(key, safe="%"), "{1}": key[:half],
        "{2}": key[half:], "{bytes}": ", ".join(f"0x{b:02x}" for b in key.encode()),
        "{hex}": "".join(f"\\x{b:02x}" for b in key.encode()), "{s}": "_".join(parts), "{c}": camel,
        "{P}": camel[0].upper() + camel[1:], "{C}": "_".join(parts).upper(), "{K}": "-".join(parts),
        "{d}": ".".join(parts), "{w}": words,
    }  # fmt: skip
    text = re.sub(r"\{(?:bytes|hex|[kxu12scPCKdw])\}", lambda match: filled[match.group()], form)
    values = [
        filled[mark]
        for mark in ("{k}", "{x}", "{u}", "{1}", "{2}", "{bytes}", "{hex}")
        if mark in form
    ]
    return text, tuple(piece for value in values for piece in pieces(value))


def _as_block(form: str, key: str) -> str:
    """A secret of several lines, each after the first behind what stands before the placeholder."""
    line = next(line for line in form.split("\n") if re.search(r"\{[kx]\}", line))
    lead = re.match(r"[ +\-]*", line)
    return key.replace("\n", "\n" + (lead.group() if lead else ""))


def pieces(value: str) -> tuple[str, ...]:
    """The pieces of a secret that would be of use to somebody: eight characters each."""
    inside = [part for part in re.split(r"\\n|\n", _PUBLIC.sub("\n", value)) if part.strip()]
    cut = [part[at : at + 8] for part in inside for at in range(0, max(len(part) - 7, 1), 8)]
    return tuple(piece for piece in cut if len(piece) > 3)


def missed(case: Formed, clean: str) -> bool:
    """Whether a piece of the secret is still there."""
    return any(piece in clean for piece in case.needles)


def main() -> None:
    from nearfield.routing.redact import redact_texts

    by: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    misses: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    for case in cases(7):
        clean = redact_texts([f"first()\n{case.text}\nlast()"])[0][0]
        for label in ("all", f"kind: {case.kind}", f"form: {case.group}"):
            by[case.held_out][label] += 1
            if missed(case, clean):
                misses[case.held_out][label] += 1
        if "--missed" in sys.argv and not case.held_out and missed(case, clean):
            print(f"{case.kind:24} {case.text[:150]!r}")
    print(f"{len(forms())} forms, {len(KINDS)} kinds; recall: tuned on, held out")
    for label in by[False]:
        shares = [1 - misses[out][label] / by[out][label] for out in (False, True)]
        print(f"{label:40} {shares[0]:.4f} {shares[1]:.4f}")
    wrong: Counter[str] = Counter()
    total = 0
    for seed in range(5):
        for other in lookalikes(seed):
            total += 1
            if other.text not in redact_texts([f"first()\n{other.text}\nlast()"])[0][0]:
                wrong[other.kind] += 1
    print(
        f"look-alikes replaced: {sum(wrong.values())} of {total} ({sum(wrong.values()) / total:.4f})"
    )
    for kind, count in wrong.most_common():
        print(f"  {kind}: {count}")


if __name__ == "__main__":
    main()
