"""Review: defects that a model sees in code, checked, and shown as findings."""
