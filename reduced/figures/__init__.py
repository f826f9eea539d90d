"""The figures of Omnigrok for landscapes, decay paths and predictions. Only figures import matplotlib.

`plot` draws any value that has a figure. Each module of this folder is one figure: `draw_…` draws one panel
into an Axes, `…_figure` makes a figure of several, and `plot.panel` or `plot.composite` says of what.
"""

from __future__ import annotations

from groktime.reduced.figures.file import save
from groktime.reduced.figures.plot import Panels, load, plot

load(__name__, __path__)

__all__ = ["Panels", "plot", "save"]
