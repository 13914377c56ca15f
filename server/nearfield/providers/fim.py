"""Writing an infill request in a model family's own control tokens.

Prompt parts come in the order of how seldom they change: repository, snippets, the file above the
cursor, below it. Only text that comes from the template is `special`; a document that contains
"<|fim_middle|>" is plain text to the model.
"""

from __future__ import annotations

from collections.abc import Sequence

from nearfield.types import FimTemplate, InfillRequest, Segment


def render(
    template: FimTemplate | None, request: InfillRequest, *, last: str = ""
) -> tuple[Segment, ...]:
    """Return the prompt for `request`. Without a template it is the text before the cursor alone.

    `last` is the end of the prefix that is written after the middle token, where the model
    continues it. Further typing then changes nothing before it, and only the typed text is new.
    """
    if template is None:
        return _filled([*_loose_snippets(request), Segment(request.prefix)])
    head = _repository(template, request)
    if template.order == "spm":
        inside = head if template.files_inside else []
        return _filled(
            [
                *([] if inside else head),
                Segment(template.suffix, special=True),
                Segment(request.suffix),
                Segment(template.prefix, special=True),
                *inside,
                Segment(request.prefix),
                Segment(template.middle, special=True),
            ]
        )
    above = request.prefix[: len(request.prefix) - len(last)]
    return _filled(
        [
            *head,
            Segment(template.prefix, special=True),
            Segment(above),
            Segment(template.suffix, special=True),
            Segment(request.suffix),
            Segment(template.middle, special=True),
            Segment(last),
        ]
    )


def as_text(segments: Sequence[Segment]) -> str:
    """The prompt as one string, for a server that parses control tokens in raw prompts itself."""
    return "".join(segment.text for segment in segments)


def heal_index(
    template: FimTemplate | None, request: InfillRequest, segments: Sequence[Segment]
) -> int:
    """Return the index of the segment that ends at the cursor and should be healed. -1 if the
    cursor's line is empty before it, as the cursor is then at a token's boundary anyway.
    """
    if not request.typed:
        return -1
    last = len(segments) - 1
    if template is None or not segments[last].special:
        return last
    before = [i for i, s in enumerate(segments) if not s.special and s.text == request.prefix]
    return before[-1] if before else -1


def _repository(template: FimTemplate, request: InfillRequest) -> list[Segment]:
    """Snippets in the repository-level form; before the prefix token where the family has none."""
    if not request.snippets:
        return []
    if not template.file_sep:
        return _loose_snippets(request)
    parts: list[Segment] = []
    if template.repo_name and request.repo:
        parts += [Segment(template.repo_name, special=True), Segment(request.repo + "\n")]
    for snippet in request.snippets:
        parts.append(Segment(template.file_sep, special=True))
        parts.append(Segment(f"{snippet.path}\n{snippet.text.rstrip()}\n"))
    parts.append(Segment(template.file_sep, special=True))
    parts.append(Segment(request.path + "\n"))
    return parts


def _loose_snippets(request: InfillRequest) -> list[Segment]:
    return [Segment(snippet.text.rstrip() + "\n\n") for snippet in request.snippets]


def _filled(segments: list[Segment]) -> tuple[Segment, ...]:
    return tuple(segment for segment in segments if segment.text)
