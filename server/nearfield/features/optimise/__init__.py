"""Make a model faster on this machine: a variant in tensor types with fast kernels, kept only when
it is measured to be faster and as good.

`plan` decides what to change, `corpus` has the code to measure with, `process` runs the engine's
part in a child process, `judge` decides, and `make` does it all for a model of the catalogue.
"""
