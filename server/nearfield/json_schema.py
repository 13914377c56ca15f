"""Checks JSON schemas that somebody else has written, before they are used."""
