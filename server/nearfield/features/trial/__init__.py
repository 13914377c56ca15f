"""A trial of two models for completions."""
