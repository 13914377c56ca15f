"""The part of a document that a model sees."""
