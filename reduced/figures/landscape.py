"""Fig. 6a and 6b: the sampled landscape, the fitted boundary, and the trajectory of Eq. 6."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke

from groktime.reduced.arguments import choice
from groktime.reduced.errors import InputError
from groktime.reduced.figures.plot import panel
from groktime.reduced.figures.style import (
    ALPHA,
    BLACK,
    BLUE,
    GREEN,
    MESSINESS,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Floats,
    cell_edges,
    file_label,
    is_wide,
    literal,
    on_fine_grid,
    scale_x,
)
from groktime.reduced.flow import Status
from groktime.reduced.phases import points
from groktime.reduced.system import QUANTILE

if TYPE_CHECKING:
    from groktime.reduced.landscape import Landscape
    from groktime.reduced.prediction import Prediction
    from groktime.reduced.surface import Field, Surface

LEVELS = (1e-3, 0.02, 0.05, 0.1)
TITLES = {"train_loss": "training loss", "test_loss": "test loss", "test_accuracy": "test accuracy"}
FIELDS = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
_DECADES = 9.0  # of a loss that are told apart; below lies the rounding of the optimizer
_PLATEAU = 0.9  # of the greatest loss: a contour above it wanders about on the plateau
_LAST = 0.9  # of a trajectory, from where its last part is judged
_POINTS = 400
_DASH = (0, (3, 2))  # of the boundary: a contour below it is seen
# of the contours, in the order of their levels: all are seen on both ends of viridis or beside the wall
_CONTOURS = (SKY, BLUE, BLACK, PURPLE, GREEN)


def _heading(land: Landscape) -> str:
    return f"{file_label(land.source)}: {literal(land.task)}"


@panel(
    "groktime.reduced.landscape.Landscape",
    "landscape",
    title=_heading,
    size=(7.0, 5.5),
    when=lambda land: land.two_dimensional,
)
def draw_sampled(
    ax: Axes,
    land: Landscape,
    *,
    field: str = "train_loss",
    seed: int | None = None,
    n_train: int | None = None,
    sampled_steps: int | None = None,
) -> list[Artist]:
    """The sampled cells of one field of a landscape of (w, m): one seed (default: the first), at one size of
    the training set and one budget of steps (default: the largest).

    Raises
    ------
    InputError : for a landscape of w alone, or a field, seed, size or budget that it does not have.
    """
    if not land.two_dimensional:
        raise InputError(f"{land.source}: a landscape of w alone; expected one of (w, m) for this figure")
    choice("field", field, FIELDS)
    one = land.one(land.seeds[0] if seed is None else seed, n_train, sampled_steps)
    if np.isnan(one[field].values).all():
        raise InputError(f"field = {field!r}: {land.source} does not have it")
    return draw_landscape(ax, one, name=field)


def draw_landscape(
    ax: Axes,
    one: xr.Dataset,
    surface: Surface | None = None,
    name: str = "train_loss",
    levels: Sequence[float] = LEVELS,
) -> list[Artist]:
    """One field of a landscape with dims (m, alpha): sampled cells, and the surface fitted to them.

    The cells are as sampled, each around its grid point. Drawn over them, from the fitted surface if there is
    one: contours of the field at `levels`, where they exist, and the boundary with its 90 % band. Returns
    the handles of a legend.
    """
    alpha, m = np.asarray(one["alpha"].values, float), np.asarray(one["m"].values, float)
    values = np.asarray(one[name].values, float)
    accuracy = name.endswith("accuracy")
    norm: Normalize = Normalize(0, 1) if accuracy else _norm(values)
    cells = np.clip(values, norm.vmin, norm.vmax)
    edges = cell_edges(alpha, is_wide(alpha)), cell_edges(m)
    mesh = ax.pcolormesh(
        *edges, cells, norm=norm, cmap="cividis_r" if accuracy else "viridis", rasterized=True
    )
    low = not accuracy and bool((values < (norm.vmin or 0)).any())
    bar = ax.figure.colorbar(mesh, ax=ax, extend="min" if low else "neither")
    bar.set_label(f"{TITLES.get(name, name)} (sampled cells{'' if accuracy else ', log scale'})")
    handles: list[Artist] = []
    if surface is not None:
        handles = [*draw_contours(ax, one, surface, name, levels), *draw_boundary(ax, one, surface)]
    scale_x(ax, alpha)
    ax.set(xlabel=ALPHA, ylabel=MESSINESS)
    ax.set_xlim(edges[0][0], edges[0][-1])
    ax.set_ylim(edges[1][0], edges[1][-1])
    return handles


def _norm(values: Floats) -> LogNorm:
    top = float(values.max()) if (values > 0).any() else 1.0
    low = max(float(values[values > 0].min(initial=top)), top * 10**-_DECADES)
    return LogNorm(low, top) if low < top else LogNorm(top / 2, top * 2)


def draw_contours(
    ax: Axes, one: xr.Dataset, surface: Surface, name: str, levels: Sequence[float]
) -> list[Artist]:
    """Contours of the fitted field at those levels that it reaches."""
    field: Field | None = getattr(surface, name)
    if field is None:
        return []
    u, m, fitted = on_fine_grid(surface.domain, lambda u, m: field.derivatives(u, m, second=False)[0])
    alpha = np.exp(u) / float(one["w0"])
    handles: list[Artist] = []
    top = 1.0 if name.endswith("accuracy") else _PLATEAU
    for level, color in zip(sorted(set(levels)), cycle(_CONTOURS), strict=False):
        if fitted.min() < level < top * fitted.max():
            ax.contour(alpha, m, fitted, [level], colors=color, linewidths=1.3, linestyles="-")
            label = f"fitted {TITLES.get(name, name)} {level:g}"
            handles.append(Line2D([], [], color=color, linewidth=1.3, label=label))
    return handles


def draw_boundary(ax: Axes, one: xr.Dataset, surface: Surface) -> list[Artist]:
    """The fitted boundary with its 90 % band, as far as it lies on the grid."""
    d, w0 = surface.domain, float(one["w0"])
    m = np.linspace(d.m_low, d.m_high, _POINTS)
    u, half = surface.boundary.curve(m), QUANTILE * surface.boundary.deviation
    inside = (u >= d.u_low) & (u <= d.u_high)
    if not inside.any():
        return []
    u = np.where(inside, u, np.nan)
    ax.fill_betweenx(m, np.exp(u - half) / w0, np.exp(u + half) / w0, color=ORANGE, alpha=0.45, linewidth=0)
    ax.plot(np.exp(u) / w0, m, color=ORANGE, linewidth=2, linestyle=_DASH)
    return [
        Line2D([], [], color=ORANGE, linewidth=2, linestyle=_DASH, label="fitted boundary"),
        Patch(color=ORANGE, alpha=0.45, linewidth=0, label="its 90 % band"),
    ]


def _ends_level(p: Prediction) -> bool:
    """Whether the trajectory ends on its way to smaller norms, at nearly the same m."""
    trajectory, domain = p.detail.trajectory, p.detail.system.surface.domain
    if trajectory is None or trajectory.end <= 0:
        return False
    u, m = trajectory.at(trajectory.end * np.array([_LAST, 1]))
    along, down = (
        (u[0] - u[1]) / (domain.u_high - domain.u_low),
        (m[0] - m[1]) / (domain.m_high - domain.m_low),
    )
    return bool(along > abs(down))


def draw_trajectory(ax: Axes, p: Prediction) -> list[Artist]:
    """The trajectory of Eq. 6, with its points marked."""
    handles: list[Artist] = []
    outline = [Stroke(linewidth=4.0, foreground="white"), Normal()]
    trajectory, w0 = p.detail.trajectory, p.detail.system.w0
    if trajectory is not None and trajectory.end > 0:
        u, m = trajectory.at(np.linspace(0, trajectory.end, _POINTS))
        ax.plot(np.exp(u) / w0, m, color=VERMILLION, linewidth=2.2, path_effects=outline, zorder=4)
        handles.append(Line2D([], [], color=VERMILLION, linewidth=2.2, label="trajectory of Eq. 6"))
    # away from the wall, which the trajectory follows upwards to the right
    places = {"A": (0, 9, "center"), "C": (8, -9, "left"), "D": (10, -6, "left"), "E": (10, -1, "left")}
    if p.typical.status is not Status.GENERALIZES or _ends_level(p):
        places["E"] = (-9, 0, "right")  # the trajectory comes from the right
    for point in points(p):
        if point.name not in places:
            continue
        place = point.w / w0
        ax.plot(place, point.m, "o", color=VERMILLION, markeredgecolor="white", zorder=5)
        x, y, side = places[point.name]
        ax.annotate(
            point.name, (place, point.m), (x, y), textcoords="offset points", ha=side, va="center",
            weight="bold", color="white", zorder=6,
            path_effects=[Stroke(linewidth=2.5, foreground="black"), Normal()],
        )  # fmt: skip
    return handles
