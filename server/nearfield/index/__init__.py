"""Index of a workspace: files, chunks, symbols and vectors, found in milliseconds."""
