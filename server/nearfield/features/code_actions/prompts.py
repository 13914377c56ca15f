"""Prompts of actions.

They are short and plain, for small models: the code first, then what is wrong with it or what to
do, then the form of the answer. Measured with Qwen2.5-Coder 0.5B on 16 functions of
fix_humanevalfix: it repairs 5 with either order of code and question, and none if it has to name
the wrong line first. Half of its answers are the code unchanged. Given the signature and the
documentation alone (`from_signature`) it writes 11 of 16 correctly, so that is the second attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearfield.routing.request_context import Source
from nearfield.types import Message, Role, Snippet

__all__ = ["ActionPrompt", "documentation", "edit", "from_signature", "listed", "retry", "tests"]

_NAMES = {"typescriptreact": "typescript", "csharp": "c#", "shellscript": "bash", "cpp": "c++"}


@dataclass(frozen=True, slots=True)
class ActionPrompt:
    """The messages for a model. `sources` are the other files that they quote."""

    messages: tuple[Message, ...]
    sources: tuple[Source, ...] = ()


def edit(
    code: str, language: str, kind: str, goal: str, snippets: Sequence[Snippet] = ()
) -> ActionPrompt:
    """Ask to change `code` (a `kind`: function, class or code) as `goal` says."""
    shown = "".join(f"From {one.path}:\n{_fenced(one.text, language)}\n\n" for one in snippets)
    return _prompt(f"{shown}{_fenced(code, language)}\n\n{goal} {_form(kind)}", snippets)


def goal_of_fix(kind: str, problems: Sequence[str], is_documented: bool) -> str:
    """Return the sentence that says what is wrong. `problems` are reports of tools, each with its
    line."""
    if problems:
        said = "\n".join(f"- {problem}" for problem in problems)
        one = "this problem" if len(problems) == 1 else "these problems"
        return f"The {kind} above has {one}:\n{said}\n\nRewrite it so that they are gone."
    if is_documented:
        return (
            f"The {kind} above has a bug: it does not do what its documentation says. Rewrite it"
            " so that it is correct."
        )
    return f"The {kind} above has a bug. Rewrite it so that it is correct."


def retry(prompt: ActionPrompt, answer: str, complaint: str, kind: str) -> ActionPrompt:
    """Ask once more, and say what was wrong with the answer."""
    text = f"That cannot be used: {complaint}. Correct it. {_form(kind)}"
    said = (Message(Role.ASSISTANT, answer), Message(Role.USER, text))
    return ActionPrompt((*prompt.messages, *said), prompt.sources)


def from_signature(head: str, language: str, kind: str) -> ActionPrompt:
    """Ask for the body that `head`, a signature with its documentation, describes."""
    named = f"{language.capitalize()} " if language else ""
    return _prompt(f"{_fenced(head, language)}\n\nWrite this {named}{kind}. {_form(kind)}")


def documentation(
    code: str, language: str, kind: str, style: str, parameters: Sequence[str] = ()
) -> ActionPrompt:
    """Ask for a description of `code` in a comment of the language's `style`, with an entry for
    each of `parameters`."""
    each = f" with an entry for each of {listed(parameters)}" if parameters else ", if any"
    return _prompt(
        f"{_fenced(code, language)}\n\nWrite {style} for this {kind}: one sentence on what it does,"
        f" then its parameters{each}, its return value and the errors it raises, if any."
        " Answer with this comment alone in one code block, without the code."
    )


def listed(names: Sequence[str]) -> str:
    """Return `names` as a list of code in a sentence."""
    return ", ".join(f"`{name}`" for name in names)


def tests(
    code: str,
    language: str,
    name: str,
    framework: str,
    example: Snippet,
    advice: Sequence[str] = (),
) -> ActionPrompt:
    """Ask for tests of `code` with `framework`, in the style of `example`; `advice` are sentences
    about this code."""
    like = f"A test of this project looks like this:\n{_fenced(example.text, language)}\n\n"
    text = (
        f"{like if example.text else ''}{_fenced(code, language)}\n\nWrite three short tests for"
        f" `{name}` with {framework}. {' '.join([*advice, 'Do not repeat the code above.'])} Answer"
        " with the tests in one code block and nothing else."
    )
    return _prompt(text, (example,))


def _prompt(text: str, snippets: Sequence[Snippet] = ()) -> ActionPrompt:
    """Return a prompt of one message that quotes `snippets`; those of our own have no path."""
    sources = tuple(Source(one.path, None, one.text.rstrip()) for one in snippets if one.path)
    return ActionPrompt((Message(Role.USER, text),), sources)


def _fenced(code: str, language: str) -> str:
    """Return `code` in a block whose fence does not occur in it."""
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}{_NAMES.get(language, language)}\n{code.rstrip()}\n{fence}"


def _form(kind: str) -> str:
    return f"Answer with the whole {kind} in one code block and nothing else."
