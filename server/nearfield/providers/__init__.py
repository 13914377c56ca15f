"""Ways to reach a model: one class each, behind the protocol of `base`."""
