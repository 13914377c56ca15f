"""Finding what looks like a key, a token or a password in any text.

Three kinds of evidence, from sure to likely:

* shapes that only a secret has: vendors' token formats (those of detect-secrets' plugins and our
  own), private key blocks, JSON web tokens;
* places where only a secret stands: the password of a connection string, an Authorization header;
* a value assigned to a name that says secret, password, token or key, where the value looks random
  or at least like a password, and not like a word, a path, a variable or a placeholder.

A bare random string with no such name stays: hashes, ids and test vectors are everywhere in code,
and a prompt without them is worth little. tests/unit/routing/corpus.py measures both sides.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise

# Longer lines and values than these are data, not keys; the bound keeps matching linear.
LONGEST_VALUE = 512


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """A secret at `start:end` of the text, of a `kind` in a few words."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A pattern that only a secret has. `needles` are lower-case literals of which one must be in the
    lower-cased text for `pattern` to match at all: most texts hold none, and looking for a literal is
    a hundred times cheaper. The secret is the group `s` where the pattern has one."""

    kind: str
    needles: tuple[str, ...]
    pattern: re.Pattern[str]


def _shape(kind: str, needles: str, pattern: str, flags: int = 0) -> Shape:
    return Shape(kind, tuple(needles.split()), re.compile(pattern, flags))


# A token must not go on to the left: "task-…" is no "sk-…".
_L = r"(?<![A-Za-z0-9_\-])"
_R = r"(?![A-Za-z0-9_\-])"

SHAPES: tuple[Shape, ...] = (
    _shape(
        "private key",
        "-----begin",
        r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
        r"(?=(?:[^-]|-(?!----)){0,200}?[A-Za-z0-9+/=]{20})"
        r"(?:[^-]|-(?!----))*(?:-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----)?",
    ),
    # A piece of a file may begin in the middle of a key.
    _shape(
        "private key",
        "private",
        r"(?:[A-Za-z0-9+/=]{16,80}(?:\s|\\n)+){1,120}-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----",
    ),
    _shape("private key", "private-lines", r"Private-Lines: \d+\s+(?P<s>(?:[A-Za-z0-9+/=]{16,80}\s+)+)"),
    _shape("private key", "age-secret-key-", r"AGE-SECRET-KEY-1[A-Z0-9]{50,60}"),
    _shape("GitHub token", "github_pat_", _L + r"github_pat_[A-Za-z0-9_]{30,90}"),
    _shape("GitLab token", "glpat- gldt- glrt- glptt- glsoat- glft-", _L + r"gl(?:pat|dt|rt|ptt|soat|ft)-[A-Za-z0-9_\-.]{20,64}"),
    _shape("Anthropic key", "sk-ant-", _L + r"sk-ant-[A-Za-z0-9_\-]{20,130}"),
    _shape("OpenAI key", "sk-", _L + r"sk-(?:proj-|svcacct-|admin-|or-v1-)?(?=[A-Za-z\-_]*\d)[A-Za-z0-9_\-]{32,180}"),
    _shape("Google key", "aiza", _L + r"AIza[0-9A-Za-z_\-]{35}"),
    _shape("Google secret", "gocspx-", _L + r"GOCSPX-[0-9A-Za-z_\-]{28}"),
    _shape("Google token", "ya29.", _L + r"ya29\.[0-9A-Za-z_\-]{30,300}"),
    _shape("Slack token", "xox xapp-", _L + r"(?:xox[abeoprs]|xapp)-[0-9A-Za-z\-]{16,160}"),
    _shape("Slack webhook", "hooks.slack.com", r"hooks\.slack\.com/(?P<s>(?:services|workflows)/[A-Za-z0-9_/]{20,120})"),
    _shape("Discord webhook", "api/webhooks/", r"discord(?:app)?\.com/api/webhooks/(?P<s>\d{15,21}/[A-Za-z0-9_\-]{50,90})"),
    _shape("Stripe key", "sk_ rk_ whsec_", _L + r"(?:(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,247}|whsec_[A-Za-z0-9+/=]{24,64})"),
    _shape("npm token", "npm_", _L + r"npm_[A-Za-z0-9]{36}"),
    _shape("Hugging Face token", "hf_", _L + r"hf_[A-Za-z0-9]{30,40}" + _R),
    _shape("DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", _L + r"do[por]_v1_[a-f0-9]{64}"),
    _shape("Shopify token", "shp", _L + r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    _shape("Square token", "eaaa sq0", _L + r"(?:EAAA[A-Za-z0-9_\-]{60}|sq0(?:atp|csp|idp)-[A-Za-z0-9_\-]{22,43})"),
    _shape("Databricks token", "dapi", _L + r"dapi[a-f0-9]{32}(?:-\d)?" + _R),
    _shape("Atlassian token", "atatt3 atctt3", _L + r"AT[AC]TT3[A-Za-z0-9_\-=.]{60,300}"),
    _shape("Linear key", "lin_api_", _L + r"lin_(?:api|oauth)_[A-Za-z0-9]{32,64}"),
    _shape("Notion token", "ntn_ secret_", _L + r"(?:ntn_[A-Za-z0-9]{40,50}|secret_[A-Za-z0-9]{43})" + _R),
    _shape("Vault token", "hvs. hvb. hvr.", _L + r"hv[sbr]\.[A-Za-z0-9_\-]{24,200}"),
    _shape("Terraform token", ".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_\-=]{60,80}"),
    _shape("Doppler token", "dp.", _L + r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_\-]{2,35}\.)?[A-Za-z0-9]{40,44}"),
    _shape("Grafana token", "glsa_ glc_ eyjrijoi", _L + r"(?:glsa_[A-Za-z0-9]{32}_[a-fA-F0-9]{8}|glc_[A-Za-z0-9+/=]{32,400}|eyJrIjoi[A-Za-z0-9]{70,400}={0,3})"),
    _shape("Sentry token", "sntrys_ sntryu_", _L + r"sntry[su]_[A-Za-z0-9+/=_\-]{40,300}"),
    _shape("New Relic key", "nrak- nrjs- nrii-", _L + r"NR(?:AK|JS|II)-[A-Za-z0-9\-_]{19,36}"),
    _shape("Postman key", "pmak-", _L + r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    _shape("Pulumi token", "pul-", _L + r"pul-[a-f0-9]{40}" + _R),
    _shape("Groq key", "gsk_", _L + r"gsk_[A-Za-z0-9]{48,56}"),
    _shape("Replicate token", "r8_", _L + r"r8_[A-Za-z0-9]{37,40}" + _R),
    _shape("Perplexity key", "pplx-", _L + r"pplx-[A-Za-z0-9]{40,56}"),
    _shape("xAI key", "xai-", _L + r"xai-[A-Za-z0-9]{60,90}"),
    _shape("Mailgun key", "key-", _L + r"key-[a-f0-9]{32}" + _R),
    _shape("Alibaba key", "ltai", _L + r"LTAI[A-Za-z0-9]{16,24}" + _R),
    _shape("Tencent key", "akid", _L + r"AKID[A-Za-z0-9]{32}" + _R),
    _shape("Azure secret", "q~", r"(?<![A-Za-z0-9_~.\-])[A-Za-z0-9_~.\-]{3}[78]Q~[A-Za-z0-9_~.\-]{31,34}" + _R),
    _shape("Azure signature", "sig=", r"[?&;]sig=(?P<s>[A-Za-z0-9%+/=]{30,120})"),
    _shape("Azure key", "accountkey= sharedaccesskey=", r"(?:AccountKey|SharedAccessKey)\s*=\s*(?P<s>[A-Za-z0-9+/=]{40,100})"),
    _shape("Firebase key", ":apa91b", r"AAAA[A-Za-z0-9_\-]{7}:APA91b[A-Za-z0-9_\-]{100,200}"),
    _shape("JSON web token", "eyj", _L + r"eyJ[A-Za-z0-9_\-=]{10,4000}\.eyJ[A-Za-z0-9_\-=]{10,8000}(?:\.[A-Za-z0-9_\-+/=]*)?"),
    _shape("Authorization header", "bearer token basic", r"(?i:\b(?:bearer|token)[ \t]+)(?P<s>(?=[A-Za-z._~+/\-]*\d)[A-Za-z0-9._~+/\-]{20,512}=*)"),
    _shape("Authorization header", "basic", r"(?i:\bbasic[ \t]+)(?P<s>(?=[A-Za-z]*[0-9A-Z=])[A-Za-z0-9+/]{12,256}={0,2})(?![A-Za-z0-9])"),
    _shape("netrc password", "machine", r"\bmachine[ \t]+\S+\s+login\s+\S+\s+password\s+(?P<s>\S{4,})"),
)  # fmt: skip

# detect-secrets' plugins whose formats are sure enough to be replaced without a look at the
# name beside them. Its generic ones (keyword, entropy, basic auth, IBM …) are covered by the
# assignment rule below, with far fewer false alarms in code.
PLUGINS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("aws", "AWSKeyDetector", "AWS key", ("a3t", "abia", "acca", "akia", "asia", "aws")),
    ("azure_storage_key", "AzureStorageKeyDetector", "Azure key", ("accountkey",)),
    ("cloudant", "CloudantDetector", "Cloudant key", ("cloudant",)),
    ("discord", "DiscordBotTokenDetector", "Discord token", (".",)),
    ("github_token", "GitHubTokenDetector", "GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),
    ("gitlab_token", "GitLabTokenDetector", "GitLab token", ("gl", "gr1348941")),
    ("mailchimp", "MailchimpDetector", "Mailchimp key", ("-us",)),
    ("npm", "NpmDetector", "npm token", ("_authtoken",)),
    ("openai", "OpenAIDetector", "OpenAI key", ("t3blbkfj",)),
    ("pypi_token", "PypiTokenDetector", "PyPI token", ("pypi-",)),
    ("sendgrid", "SendGridDetector", "SendGrid key", ("sg.",)),
    ("slack", "SlackDetector", "Slack token", ("xox", "hooks.slack.com")),
    ("softlayer", "SoftlayerDetector", "SoftLayer key", ("softlayer",)),
    ("square_oauth", "SquareOAuthDetector", "Square token", ("sq0csp",)),
    ("stripe", "StripeDetector", "Stripe key", ("k_live_",)),
    ("telegram_token", "TelegramBotTokenDetector", "Telegram token", (":aa",)),
    ("twilio", "TwilioKeyDetector", "Twilio key", ("ac", "sk")),
)  # fmt: skip

# scheme://user:password@host
_LOGIN = re.compile(
    r"\b[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s:/@'\"`<>(){}]{0,100}:(?P<s>[^\s/@'\"`<>]{3,200})@(?=[\w\[])"
)
# Names that say what stands beside them: one of these words, at the end of the name. Looking for
# the bare words first and at their surroundings only then is ten times as fast as one pattern.
_WORD = re.compile(r"pass|pwd|secret|token|credential|auth|key")
_KEY_OF = re.compile(
    r"(?:api|access|secret|private|signing|signature|encryption|account|master|service|storage|license|"
    r"auth|app|application|client|consumer|shared|session|subscription|ssh|webhook|deploy|admin|jwt|"
    r"hmac|crypto|cipher|aes|rsa|s3|aws|gcp|stripe|openai|anthropic|sendgrid|twilio|mailgun|datadog|"
    r"cloudflare|algolia)[_\-.]?\Z"
)
_KEY_OF_LONGEST = len("subscription_")
_ASSIGNED = re.compile(
    r"(?P<name>(?:pass(?:word|wd|wort|phrase|code)?|pwd|secret|token|credentials?|auth|key)"
    r"(?:[_\-](?:value|b64|base64|prod|production|dev|staging|live|old|new|id|\d{1,2}))?\d{0,2})"
    r"(?P<close>[\"'`]?\]?)(?:[ \t]*:[ \t]*(?:str|string|&str|&'static str|Optional\[str\]|bytes)[ \t]*)?"
    r"[ \t]*(?P<sign>=>|:=|==|!=|=|:|,|>|\s--\s)[ \t]*"
    r"(?P<wrap>[\w.]{0,24}\([ \t]*)?(?:[brfu]{1,2}(?=[\"']))?"
    r"(?:\"(?P<double>[^\"\n]{4,512})\"|'(?P<single>[^'\n]{4,512})'|`(?P<back>[^`\n]{4,512})`"
    r"|(?P<bare>[^\s\"'`,;<>(){}\[\]]{6,512}))",
    re.IGNORECASE,
)
# --password VALUE, -p VALUE and curl's -u user:password
_OPTION = re.compile(
    r"--(?:password|passwd|token|secret|api-?key|auth-?token|access-?key|secret-?key|client-?secret)[ \t]+"
    r"(?P<q>[\"']?)(?P<s>[^\s\"']{6,512})(?P=q)"
    r"|\bcurl\b[^\n|]{0,200}?\s(?:-u|--user)[ \t]+(?P<q2>[\"']?)[^\s:\"']{1,80}:(?P<s2>[^\s\"']{4,200})(?P=q2)",
    re.IGNORECASE,
)

# Values that stand for a secret, or are none.
_PLACEHOLDER = re.compile(
    r"[<>{}]|\$[A-Za-z{(]|%[A-Za-z(%{]|^\*+$|\.\.\.|…|^[x*.\-_#0]+$|xxxx|\*\*\*\*|"
    r"example|sample|dummy|fake|placeholder|change[-_ ]?me|replace[-_ ]?me|redacted|your[-_ ]|^your|my[-_ ]?secret|"
    r"insert|todo|^test|^none$|^null$|undefined|foobar|lorem|process\.env|os\.environ|getenv|"
    r"deadbeef|123456789|abcdefgh|not[-_ ]?(?:a[-_ ])?(?:real|secret)",
    re.IGNORECASE,
)
_WORDS = frozenset((
    "password", "passwd", "passw0rd", "p4ssw0rd", "password1", "password123", "pass", "secret",
    "secrets", "token", "admin", "root", "user", "username", "postgres", "mysql", "redis",
    "guest", "public", "private", "default", "required", "optional", "string", "bearer", "basic",
    "oauth", "oauth2", "changeit", "letmein", "qwerty", "qwerty123", "hunter2", "test1234",
    "pass123", "pass1234", "admin123", "abc123",
))  # fmt: skip
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z_]*\d{0,2}(?:[.\-:/][A-Za-z_]+\d{0,2})*")
_NAME_LIKE = re.compile(r"[A-Za-z_.:\-|]+\d?")
_CALL_OR_PATH = re.compile(
    r"^(?:https?://|file:|arn:|[./~\\]|[A-Za-z]:\\)|[()\[\]]|^\w+(?:\.\w+)+$|\s"
)
_HASH = re.compile(r"^(?:sha(?:1|256|384|512)|md5)[-:]|^\$2[aby]\$|^data:", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def find(text: str, own: Iterable[re.Pattern[str]] = ()) -> list[Found]:
    """Every secret in `text`, in order, none overlapping another. `own` are the user's patterns."""
    found = list(_all(text, own))
    found.sort(key=lambda f: (f.start, -f.end))
    kept: list[Found] = []
    for one in found:
        if kept and one.start < kept[-1].end:
            if one.end > kept[-1].end:
                kept[-1] = Found(kept[-1].start, one.end, kept[-1].kind)
        else:
            kept.append(one)
    return kept


def _all(text: str, own: Iterable[re.Pattern[str]]) -> Iterator[Found]:
    for pattern in own:
        for match in pattern.finditer(text):
            yield from _span(match, 1 if pattern.groups else 0, "your pattern")
    lower = _lower(text)
    for shape in (*SHAPES, *_plugin_shapes()):
        if any(needle in lower for needle in shape.needles):
            group = "s" if "s" in shape.pattern.groupindex else 0
            for match in shape.pattern.finditer(text):
                if not _PLACEHOLDER.search(match.group(group)[:64]) or "PRIVATE" in match.group():
                    yield from _span(match, group, shape.kind)
    if "://" in lower:
        for match in _LOGIN.finditer(text):
            if _is_password(match.group("s")):
                yield from _span(match, "s", "password in an address")
    yield from _assigned(text, lower)
    if "--" in lower or "curl" in lower:
        yield from _options(text)


def _span(match: re.Match[str], group: str | int, kind: str) -> Iterator[Found]:
    start, end = match.span(group)
    if 0 <= start < end:
        yield Found(start, end, kind)


def _lower(text: str) -> str:
    """`text` in lower case with every offset kept (a few letters become two when lowered)."""
    lower = text.lower()
    return lower if len(lower) == len(text) else re.sub(r"[^\x00-\x7f]", "?", text).lower()


def _assigned(text: str, lower: str) -> Iterator[Found]:
    for word in _WORD.finditer(lower):
        start = word.start()
        match = _ASSIGNED.match(text, start)
        if match is None or not _ends_a_name(text, lower, word):
            continue
        value = _value(match)
        if value is None or (match.group("sign") in (",", ">") and not _certain(match)):
            continue
        judge = _is_password if word.group() in ("pass", "pwd") else _is_key
        if judge(text[value[0] : value[1]], match.group("bare") is not None):
            yield Found(*value, "assigned secret")


def _ends_a_name(text: str, lower: str, word: re.Match[str]) -> bool:
    """Whether the word is one of its own at its place: no "compass", no "primary_key"."""
    start = word.start()
    if word.group() == "key":
        return bool(_KEY_OF.search(lower, max(0, start - _KEY_OF_LONGEST), start))
    if word.group() in ("pass", "auth") and not lower.startswith(("password", "passwd"), start):
        before = text[start - 1 : start]
        return not before.isalpha() or (before.islower() and text[start].isupper())
    return True


def _options(text: str) -> Iterator[Found]:
    for match in _OPTION.finditer(text):
        group = "s" if match.group("s") else "s2"
        if _is_password(match.group(group), True):
            yield from _span(match, group, "secret on a command line")


def _value(match: re.Match[str]) -> tuple[int, int] | None:
    for group in ("double", "single", "back", "bare"):
        if match.group(group) is not None:
            if group == "bare" and match.group("wrap"):
                return None
            return match.span(group)
    return None


def _certain(match: re.Match[str]) -> bool:
    """Of a comma or an angle bracket: whether it joins a name to its value (`"password", "…"`,
    `<password>…`), and does not part two things."""
    if match.group("sign") == ",":
        return bool(match.group("close")) and match.group("bare") is None
    return bool(
        re.search(r"<[\w.\-:]{0,40}\Z", match.string[max(0, match.start() - 42) : match.start()])
    )


def _is_password(value: str, bare: bool = False) -> bool:
    """Whether `value`, beside a name that says password, is one: mixed, and no word of code."""
    if len(value) < 5 or value.lower() in _WORDS or _PLACEHOLDER.search(value) or value.isdigit():
        return False
    if _IDENTIFIER.fullmatch(value) or _CALL_OR_PATH.search(value) or _HASH.search(value):
        return _is_random(value)
    letters = any(c.isalpha() for c in value)
    others = any(not c.isalpha() for c in value)
    return letters and others and not (bare and value[-1] in ":=")


def _is_key(value: str, bare: bool = False) -> bool:
    """Whether `value`, beside a name that says token, secret or key, is one: long and random."""
    if len(value) < 12 or _PLACEHOLDER.search(value) or _HASH.search(value):
        return False
    if _UUID.fullmatch(value):
        return True
    return not _CALL_OR_PATH.search(value) and _is_random(value)


def _is_random(value: str) -> bool:
    """Whether a person would not have made `value` up of words: digits among letters, or changes
    between cases and marks, more often than names have them, and many different characters."""
    if len(value) < 12 or re.search(r"\s", value):
        return False
    kinds = [_kind(c) for c in value]
    changes = sum(a != b for a, b in pairwise(kinds))
    digits = sum(c.isdigit() for c in value)
    wild = changes >= len(value) / 3 and not _NAME_LIKE.fullmatch(value)
    return ((digits >= 2 and changes >= 4) or wild) and entropy(value) >= 2.8


def _kind(char: str) -> str:
    if char.isdigit():
        return "0"
    if char.isalpha():
        return "A" if char.isupper() else "a"
    return "-"


def entropy(text: str) -> float:
    """Shannon's, in bits a character."""
    total = len(text)
    return -sum(n / total * math.log2(n / total) for n in Counter(text).values())


@cache
def _plugin_shapes() -> tuple[Shape, ...]:
    """detect-secrets' patterns as shapes. Imported late: the package takes 0.1 s."""
    shapes: list[Shape] = []
    for module, name, kind, needles in PLUGINS:
        plugin = getattr(import_module(f"detect_secrets.plugins.{module}"), name)
        shapes += [Shape(kind, needles, _with_group(pattern)) for pattern in plugin.denylist]
    return tuple(shapes)


def _with_group(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """The secret of a plugin's pattern is its only group; where it has several (or one that holds
    a prefix) all of the match is taken."""
    if pattern.groups != 1 or pattern.pattern.startswith(("(ghp|", "(gl", "gl")):
        return pattern
    at = _first_group(pattern.pattern)
    return re.compile(pattern.pattern[:at] + "(?P<s>" + pattern.pattern[at + 1 :], pattern.flags)


def _first_group(source: str) -> int:
    """Where the one capturing group of `source` opens."""
    at = 0
    in_class = False
    while at < len(source):
        char = source[at]
        if char == "\\":
            at += 1
        elif char == "[":
            in_class = True
        elif char == "]":
            in_class = False
        elif char == "(" and not in_class and source[at + 1] != "?":
            return at
        at += 1
    raise ValueError(source)
