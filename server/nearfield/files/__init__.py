"""Files of a workspace and of the user: reading, ignore rules, git, private files."""
