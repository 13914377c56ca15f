"""The language server: the only place that knows LSP. One file a method; see `server.py`."""
