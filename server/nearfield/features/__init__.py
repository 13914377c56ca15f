"""Use cases in plain data, one a module: what a frontend (lsp, cli, http) asks for and
gets back.
"""
