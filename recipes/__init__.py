"""Recipes: each makes a published figure, or a study of our own, with its tables.

`groktime figure NAME` runs one, `python -m groktime.recipes NAME --help` tells what else it takes.
paper/ and poster/ hold the published figures, results/ our own, shared/ what several of them need.
A new recipe is one file with a function under the decorator `recipe` (recipes/registry.py).
"""
