"""The Agent Client Protocol over the same features: chats, and next edits (`nes/*`)."""
