"""What the figures share: colors that color-blind readers can tell apart, cells, and numbers."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from groktime.reduced.errors import one_line
from groktime.reduced.surface import Domain

Floats = NDArray[np.float64]

# The palette of Okabe and Ito (Color Universal Design, 2008)
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
BROWN, GREY = "#8C510A", "#7F7F7F"  # where the palette is spent

ALPHA = "relative norm  α = w / w₀"
MESSINESS = "messiness  m"
LOG_NORM = "u = ln w"
STEPS = "optimizer steps"
ETA_D, ETA_R = r"$\eta_D$", r"$\eta_R$"

_WIDE = 5.0  # a positive axis that spans more than this factor is drawn in logarithms
_PLAIN = 2000.0  # and up to this one its ticks are plain numbers
_NAME = 80  # letters of a name
_LETTERS = 11.5  # of a heading, to an inch
_FINE = (121, 241)


def new_figure(width: float, height: float) -> Figure:
    """A figure that belongs to no backend, its parts laid out without overlaps."""
    return Figure(figsize=(width, height), layout="constrained")


def legend_below(figure: FigureBase, handles: Sequence[Artist], columns: int = 3) -> None:
    """One legend for all panels, below them."""
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def entitle(figure: Figure, title: str) -> None:
    """What the figure shows, above all panels, in lines that its width holds."""
    most = int(_LETTERS * figure.get_figwidth())
    lines = (part for line in title.splitlines() for part in textwrap.wrap(line, most) or [""])
    figure.suptitle("\n".join(lines), fontsize="medium")


def literal(name: object) -> str:
    """A name of the user's as figures show it: as it is spelled, in one line, without the middle if it is
    long. matplotlib takes what is between two $ for mathematics."""
    words = one_line(str(name))
    words = words if len(words) <= _NAME else f"{words[: _NAME // 2]}…{words[-_NAME // 2 :]}"
    return words.replace("$", r"\$")


def file_label(path: object) -> str:
    """The name of a file, without its folder, as figures show it."""
    return literal(Path(str(path)).name)


def panels_of(figure: FigureBase, rows: int, columns: int, **options: Any) -> list[Axes]:
    """New panels, row by row."""
    return list(np.ravel(np.asarray(figure.subplots(rows, columns, **options), object)))


def is_wide(values: Floats) -> bool:
    """Whether an axis with these values is better drawn in logarithms."""
    return bool(values.min() > 0 and values.max() > _WIDE * values.min())


def cell_edges(centres: Floats, logarithmic: bool = False) -> Floats:
    """The edges [n + 1] of cells around the centres [n], ascending: half way between neighbours."""
    x = np.log(centres) if logarithmic else np.asarray(centres, float)
    if x.size == 1:
        half = math.log(2) if logarithmic else 0.5 * (abs(float(x[0])) or 1.0)
        edges = np.array([x[0] - half, x[0] + half])
    else:
        middle = (x[1:] + x[:-1]) / 2
        edges = np.concatenate([[2 * x[0] - middle[0]], middle, [2 * x[-1] - middle[-1]]])
    return np.exp(edges) if logarithmic else edges


def on_fine_grid(domain: Domain, field: Callable[[Floats, Floats], Floats]) -> tuple[Floats, Floats, Floats]:
    """Fine axes u and m over the domain, and the field over them [m, u], for contours."""
    u = np.linspace(domain.u_low, domain.u_high, _FINE[1])
    m = np.linspace(domain.m_low, domain.m_high, _FINE[0])
    return u, m, field(np.tile(u, len(m)), np.repeat(m, len(u))).reshape(len(m), len(u))


def positive(values: Floats) -> Floats:
    """The values with NaN where they have no logarithm."""
    return np.where(values > 0, values, np.nan)


def scale_x(ax: Axes, values: Floats) -> None:
    """A logarithmic x axis with plain numbers where the values are wide, else a linear one."""
    if is_wide(values):
        ax.set_xscale("log")
        if values.max() < _PLAIN * values.min():
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            ax.xaxis.set_minor_formatter(NullFormatter())


def number(x: float) -> str:
    """Three digits, thousands apart; a dash where there is none."""
    if not math.isfinite(x):
        return "–"
    return f"{x:,.0f}" if x >= 1000 else f"{x:.3g}"


def remark(ax: Axes, text: str) -> None:
    """An empty panel that says why it is empty."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", wrap=True)
