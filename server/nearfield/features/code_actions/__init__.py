"""Code actions: a change that is asked for, worked out on one unit of code, and checked."""
