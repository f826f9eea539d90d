"""Lets the tests of this folder import `made_up_path`."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent)]
