"""The Agent Client Protocol over the same features: so far its next edits, `nes/*`."""
