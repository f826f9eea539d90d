"""Logs of training that others wrote, read as runs: a reader a kind of file, one table of names.

file -> reader (a data frame as the file has it) -> names (what its columns are) -> rows (one a run and
step) -> curves (arrays on one axis of steps, the arguments of `Runs.assemble`)
"""
