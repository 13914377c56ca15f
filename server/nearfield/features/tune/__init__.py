"""A LoRA adapter trained on a repository's own history: `nearfield models tune`.

`history.py` reads what commits added, and `dataset.py` makes cases and held-out holes of it.
`network.py` and `train.py` train on PyTorch, and `plan.py` keeps the state of an interrupted run.
`adapter_file.py` writes the adapter. `tuner.py` decides by the held-out holes whether
it is kept.
Only `network.py` and `train.py` need PyTorch, which they import when they run.
"""
