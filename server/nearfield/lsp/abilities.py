"""The abilities of a client, where more is known of it than it says.

Kate 22.12 tells of code actions, but nothing of completion lists, nor that it applies edits. It
does; no other known client is like that.
"""

from __future__ import annotations

from lsprotocol import types


def applies_edits(capabilities: types.ClientCapabilities) -> bool:
    """Return whether the client applies an edit that the server asks it to apply."""
    workspace = capabilities.workspace
    if workspace is not None and workspace.apply_edit is not None:
        return workspace.apply_edit
    return _is_like_kate(capabilities)


def shows_markdown_of_items(capabilities: types.ClientCapabilities) -> bool:
    """Return whether Markdown is shown as such beside an item of a completion list. Helix names no
    format, and shows it."""
    document = capabilities.text_document
    item = document.completion.completion_item if document and document.completion else None
    if item is None or item.documentation_format is None:
        return not _is_like_kate(capabilities)
    return types.MarkupKind.Markdown in item.documentation_format


def _is_like_kate(capabilities: types.ClientCapabilities) -> bool:
    document = capabilities.text_document
    if document is None or document.completion is not None or document.code_action is None:
        return False
    return document.code_action.code_action_literal_support is not None
