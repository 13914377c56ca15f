"""What the workspace holds: files, chunks, symbols and vectors, found in milliseconds."""
