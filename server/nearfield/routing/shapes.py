"""The formats of keys and tokens: what only a secret looks like.

A table of patterns, one a line, ours and those of detect-secrets' plugins. `secrets.find` looks for
them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module


@dataclass(frozen=True, slots=True)
class Shape:
    """A pattern that only a secret has. `needles` are lower-case literals of which one must be in
    the lower-cased text for `pattern` to match at all: most texts hold none, and looking for a literal is
    a hundred times cheaper. The secret is the group `s` where the pattern has one."""

    kind: str
    needles: tuple[str, ...]
    pattern: re.Pattern[str]


def _shape(kind: str, needles: str, pattern: str, flags: int = 0) -> Shape:
    return Shape(kind, tuple(needles.split()), re.compile(pattern, flags))


HEADER = "Authorization header"

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
    _shape("npm token", "_authtoken", r"_authToken[ \t]*=[ \t]*(?P<s>[^\s$]{8,200})"),
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
    _shape(HEADER, "bearer token basic", r"(?i:\b(?:bearer|token)[ \t]+)(?P<s>(?=[A-Za-z._~+/\-]*\d)[A-Za-z0-9._~+/\-]{20,512}=*)"),
    _shape(HEADER, "basic", r"(?i:\bbasic[ \t]+)(?P<s>(?=[A-Za-z]*[0-9A-Z=])[A-Za-z0-9+/]{12,256}={0,2})(?![A-Za-z0-9])"),
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


@cache
def plugin_shapes() -> tuple[Shape, ...]:
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
