"""Statistics of suggestions, kept on this machine and sent nowhere."""
