"""Completion: from a cursor position to a suggestion."""
