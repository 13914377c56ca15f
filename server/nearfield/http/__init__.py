"""The face for tools that speak to a local model server: OpenAI's HTTP API on loopback.

A door beside `lsp/`, to the same models by the same routing. It knows no workspace but the one that
it was started for, so what it is asked stays on this machine unless the user has allowed otherwise
for that one.
"""
