"""One use case each, in plain data: what a face (lsp, cli, http) asks for and gets back."""
