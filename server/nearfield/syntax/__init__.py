"""Reading code: which language it is, and its syntax tree."""
