"""Lets the tests of this folder import each other's modules, and `planted` of `validation`."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "validation")]
