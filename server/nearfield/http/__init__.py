"""The frontend for tools that speak to a local model server: the HTTP APIs of OpenAI, llama.cpp,
Anthropic and Ollama, on loopback.

A second entrance beside `lsp/`, to the same models by the same routing. It knows only the workspace
that it was started for, so every request stays on this machine unless the user has allowed
otherwise for that one.
"""
