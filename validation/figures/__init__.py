"""The figures of runs, comparisons and ladders, and `plot`, which here knows them and those of `reduced`."""

from __future__ import annotations

from groktime.fullnet.runs import open_runs
from groktime.reduced.figures import Panels, plot, save
from groktime.reduced.figures.plot import OPENERS, load

load(__name__, __path__)
OPENERS["groktime-runs"] = open_runs

__all__ = ["Panels", "plot", "save"]
