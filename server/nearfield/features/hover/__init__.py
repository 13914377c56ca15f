"""Explanations: what is under the pointer, what is known of it, and what a model says about it."""
