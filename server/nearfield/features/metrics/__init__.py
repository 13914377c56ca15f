"""What became of suggestions, counted on this machine and never told to anybody."""
