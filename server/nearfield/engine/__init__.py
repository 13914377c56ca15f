"""The embedded engine: llama.cpp in a child process, scheduled for typing.

`client` is the only module that the layers above import. `worker` is the child's entry point; the
modules below it (`llama`, `lane`, `kv_cache`, `job`, `vocabulary`, `sampling`, `scheduler`) run in
the child only.
"""
