"""The figures of Omnigrok for a landscape or a prediction of your own. Only here is matplotlib imported.

Every `plot_…` writes one PNG, PDF or SVG and returns its path; the paper's figure is named in its
docstring. `draw_…` draw into an axes of yours.
"""

from __future__ import annotations

from reduced.figures.curves import draw_lu, plot_lu
from reduced.figures.file import save
from reduced.figures.gradients import plot_gradients
from reduced.figures.landscape import draw_landscape
from reduced.figures.path import plot_path
from reduced.figures.prediction import plot_prediction
from reduced.figures.sizes import plot_sizes
from reduced.figures.what_if import plot_what_if

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
