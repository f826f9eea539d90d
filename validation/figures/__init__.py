"""The figures of runs, comparisons and ladders, and `plot`, which here knows them and those of `reduced`."""

from __future__ import annotations

from groktime.reduced.figures import Panels, plot, save
from groktime.reduced.figures.plot import load

load(__name__, __path__)

__all__ = ["Panels", "plot", "save"]
