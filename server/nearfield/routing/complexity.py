"""How hard a task is for a small model: a probability from features that a person can read.

Two logistic regressions over features of the prompt's text: `fails` is the chance that a model of
about 1.5B parameters gets it wrong, `gains` the chance that it does and one of about 7B gets it
right. Their coefficients are in `complexity.json`, with where they came from and what they are worth
(AUC 0.65 for `fails`, where length alone has 0.61; `gains` is hardly predictable from the text, 0.55
against 0.53). `tests/bench/routing_train.py` fits, measures and writes them. Routing decides on
`fails`: its curve of pass rate against share escalated lies above that of `gains`, too. No library
is needed at run time; a prompt of 3 kB takes about a millisecond.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

# Longer prompts are cut for the score: the task is told at the start or at the end, and the time
# for scoring stays bounded.
MOST_CHARACTERS = 8_000

_WORD = re.compile(r"[A-Za-z]+")
_SENTENCE = re.compile(r"[.!?](?:\s|$)")
_EXAMPLE = re.compile(r">>>|\bassert\b|\bExample")
_COMMENT = re.compile(r"^[ \t]*(?://|#(?!include|!)|\*)[ \t]?", re.MULTILINE)
_NUMBER = re.compile(r"\b\d+(?:\.\d+)?\b")
_IMPORT = re.compile(r"^[ \t]*(?:import|from|using|#include|require|use)\b", re.MULTILINE)
_SIGNATURE = re.compile(
    r"\b(?:def|function|func|fn|\w{1,40}[>\])]?)\s+\w{1,60}\s*\(([^()]{0,400})\)"
)

# Words of the task, each group one feature: whether it is there at all. Chosen by what a person
# would expect to matter (arithmetic, order, nesting, the outside world …), not by search.
WORDS: dict[str, str] = {
    "plot": r"matplotlib|plt\b|seaborn|plot|histogram|heatmap|axes\b|ax\b",
    "dataframe": r"pandas|dataframe|pd\.",
    "arrays": r"numpy|np\.|scipy|matrix|matrices",
    "learning": r"sklearn|regression|classif|cluster|tensorflow|keras|torch|nltk",
    "network": r"http|url|socket|requests|urllib|server|flask|smtp|ssl\b|ftp",
    "files": r"file|director|path\b|folder|csv\b|zip\b|os\.",
    "processes": r"subprocess|thread|process\b|command|psutil|shell",
    "data_formats": r"json|xml|yaml|sqlite|database|excel",
    "crypto": r"hash|encrypt|decod|encod|base64|crypt|sha256|md5",
    "random": r"random|seed|shuffle",
    "dates": r"datetime|date\b|dates\b|time\b|timezone|timestamp|\bday",
    "regex": r"regex|regular expression|\bre\.|pattern",
    "errors": r"raise|exception|error|invalid|handle",
    "condition": r"\bif\b|otherwise|unless|except\b|only\b|either|in case",
    "negation": r"\bnot\b|\bno\b|none\b|null\b|without",
    "order": r"sort|order|ascending|descending|rank",
    "extreme": r"largest|smallest|maximum|minimum|longest|shortest|highest|lowest|nth|kth|\bmax|\bmin",
    "counting": r"count|number of|how many|frequen|total number|ways",
    "arithmetic": r"sum\b|product|average|mean\b|multipl|divid|divis|difference|remainder",
    "number_theory": r"prime|factor|digit|fibonacci|gcd|binary|modulo|power|square|cube|perfect|octagonal|number series|triangul",
    "geometry": r"area|volume|perimeter|surface|angle|radius|triangle|circle|rectangle|distance|coordinate",
    "strings": r"string|substring|character|letter|word|vowel|text|uppercase|lowercase",
    "collections": r"list|array|tuple|element|dictionar|set\b|map\b",
    "nesting": r"nested|tuples|matrix|lists of|list of lists|arrays of|of arrays|2d|recursive|tree|graph|bracket|parenthes",
    "subsets": r"subsequence|subarray|sublist|combination|permutation|subset|consecutive|sub array",
    "predicate": r"check|whether|true if|returns true|is_|determine|false",
    "convert": r"convert|transform|replac|remov|reverse|swap|filter|extract",
    "cases": r"for example|e\.g\.|note|assume|must|should|constraint|guarantee|condition",
    "several_results": r"and return|tuple\[|tuple:|a tuple|returns:.{0,40}tuple|\) -> \(",
    "story": r"you are given|you have|your task|imagine|everyone|suppose|there is|there are|we have|implement",
    "link": r"https?://",
}
# Searched in the lower-cased text: ignoring the case in the pattern takes three times as long.
_WORDS = {name: re.compile(pattern) for name, pattern in WORDS.items()}

LANGUAGES: dict[str, str] = {
    "shellscript": r"\A#!.*sh\b|\A\s*#!/bin/",
    "cpp": r"#include\s*<",
    "csharp": r"\busing System\b",
    "java": r"\bimport java\.|public static (?!void Main)",
    "php": r"<\?php",
    "typescript": r"\bfunction \w+\([^)]*\w\s*:\s*\w|\bconst \w+\s*:",
    "javascript": r"\bfunction \w+\(",
    "python": r"\bdef \w+\(|\"\"\"|\bassert \w+\(",
}
_LANGUAGES = {name: re.compile(pattern) for name, pattern in LANGUAGES.items()}


@dataclass(frozen=True, slots=True)
class Complexity:
    """`fails` and `gains` are probabilities, see the module; `fails` is what routing decides on."""

    fails: float
    gains: float


def guess_language(prompt: str) -> str:
    """The language id that the prompt's text looks like, "" when it looks like none."""
    return next((name for name, shape in _LANGUAGES.items() if shape.search(prompt)), "")


def features(prompt: str, language: str = "") -> dict[str, float]:
    """What the score looks at, by name. Counts are on a logarithmic scale, the rest 0 or 1."""
    text = prompt if len(prompt) <= MOST_CHARACTERS else _cut(prompt)
    language = language or guess_language(text)
    prose = _COMMENT.sub("", text)
    words = _WORD.findall(prose)
    signature = _SIGNATURE.search(text)
    parameters = signature.group(1) if signature else ""
    found = {
        "characters": math.log1p(len(text)),
        "words": math.log1p(len(words)),
        "distinct_words": len({w.lower() for w in words}) / (len(words) + 1),
        "long_words": sum(len(w) > 8 for w in words) / (len(words) + 1),
        "sentences": math.log1p(len(_SENTENCE.findall(prose))),
        "examples": math.log1p(len(_EXAMPLE.findall(text))),
        "numbers": math.log1p(len(_NUMBER.findall(prose))),
        "imports": math.log1p(len(_IMPORT.findall(text))),
        "parameters": float(min(parameters.count(",") + bool(parameters.strip()), 6)),
        "typed": float(":" in parameters or "->" in text),
        "brackets": math.log1p(sum(text.count(c) for c in "[{(")),
        "deep_literal": float("[[" in text or "[(" in text or "{(" in text or "{{" in text),
        "decimals": float(bool(re.search(r"\d\.\d", text))),
        "signature": float(signature is not None),
    }
    lower = prose.lower()
    found |= {f"word:{name}": float(bool(shape.search(lower))) for name, shape in _WORDS.items()}
    found |= {f"language:{name}": float(name == language) for name in _LANGUAGES}
    return found


def score(prompt: str, language: str = "") -> Complexity:
    """How hard the task told by `prompt` is; `language` is the language id where it is known."""
    table = _document()["coefficients"]
    seen = features(prompt, language)
    return Complexity(*(_sigmoid(_logit(table[name], seen)) for name in ("fails", "gains")))


def default_threshold() -> float:
    """The `fails` from which on a task counts as complex, chosen on the curve of pass rate against
    share escalated (tests/bench/routing_curve.csv)."""
    return float(_document()["threshold"])


def _cut(prompt: str) -> str:
    half = MOST_CHARACTERS // 2
    return prompt[:half] + "\n" + prompt[-half:]


def _logit(table: dict[str, float], seen: dict[str, float]) -> float:
    return table["intercept"] + sum(table.get(name, 0.0) * value for name, value in seen.items())


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


@cache
def _document() -> dict[str, Any]:
    text = resources.files("nearfield.routing").joinpath("complexity.json").read_text("utf-8")
    return json.loads(text)
