"""Code from elsewhere in the workspace that a prompt is given."""
