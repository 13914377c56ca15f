"""Conversations with a model that can use the workspace: sessions, functions, permission, audit."""
