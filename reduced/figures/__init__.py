"""The figures of Omnigrok for a landscape or a prediction of your own. Only here is matplotlib imported.

Every `plot_…` writes one PNG, PDF or SVG and returns its path; the paper's figure is named in its
docstring. `draw_…` draw into an axes of yours.
"""

from __future__ import annotations

from groktime.reduced.figures.curves import draw_lu, plot_lu
from groktime.reduced.figures.file import save
from groktime.reduced.figures.gradients import plot_gradients
from groktime.reduced.figures.landscape import draw_landscape
from groktime.reduced.figures.path import plot_path
from groktime.reduced.figures.prediction import plot_prediction
from groktime.reduced.figures.sizes import plot_sizes
from groktime.reduced.figures.what_if import plot_what_if

__all__ = [
    "draw_landscape",
    "draw_lu",
    "plot_gradients",
    "plot_lu",
    "plot_path",
    "plot_prediction",
    "plot_sizes",
    "plot_what_if",
    "save",
]
