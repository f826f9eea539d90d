"""Lets the tests of this folder import `walls`, and the studies that the recipes print as tables."""

import sys
from pathlib import Path

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parents[1] / "recipes")]
