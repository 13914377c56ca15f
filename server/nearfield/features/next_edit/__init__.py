"""Next edits: what else in a document has to change after what the user has just changed."""
