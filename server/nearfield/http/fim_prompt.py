"""Prompts that a client has written in the form of one family of models, taken apart again.

Zed and others put control tokens around prefix and suffix themselves. Which model answers is
decided here, so what counts is the two texts; the model's own form is made of them later.
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfield.catalog.templates import fim_template
from nearfield.types import FimTemplate

_PLAIN_CODELLAMA = FimTemplate("codellama-plain", prefix="<PRE> ", suffix=" <SUF>", middle=" <MID>")
"""The model card's form; tokenizers have other texts for the same tokens."""

_NAMES = ("qwen", "deepseek-coder", "starcoder2", "codellama")


@dataclass(frozen=True, slots=True)
class Hole:
    """The text on both sides of the hole."""

    prefix: str
    suffix: str


def read(prompt: str) -> Hole | None:
    """The two texts of `prompt`, or None when it is in no known form. A file that holds such tokens
    itself is cut at the first: what the client has joined cannot be told apart."""
    for template in (*filter(None, map(fim_template, _NAMES)), _PLAIN_CODELLAMA):
        body = prompt.strip("\n")
        if not body.startswith(template.prefix) or not body.endswith(template.middle):
            continue
        body = body.removeprefix(template.prefix).removesuffix(template.middle)
        prefix, found, suffix = body.partition(template.suffix)
        if found:
            return Hole(prefix, suffix)
    codestral = fim_template("codestral")
    if codestral is not None and prompt.startswith(codestral.suffix):
        suffix, found, prefix = prompt.removeprefix(codestral.suffix).partition(codestral.prefix)
        if found:
            return Hole(prefix, suffix)
    return None
