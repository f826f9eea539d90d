"""The figures of a comparison. Every `plot_…` writes one PNG, PDF or SVG and returns its path."""

from __future__ import annotations

from groktime.validation.figures.curves import plot_curves
from groktime.validation.figures.times import plot_errors, plot_predicted
from groktime.validation.figures.trajectory import plot_trajectory

__all__ = ["plot_curves", "plot_errors", "plot_predicted", "plot_trajectory"]
