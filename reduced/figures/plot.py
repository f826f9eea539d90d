"""`gt.plot`: one function for every figure, which finds the figure by the type of the value.

A figure is registered by the name of the type that it draws, so that no figure imports values and a new one
is one new file: a draw function under `@panel`, or a function that makes a figure of several under
`@composite`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, NamedTuple, TypeVar

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from groktime.reduced.arguments import file_name, flag, text
from groktime.reduced.errors import InputError
from groktime.reduced.figures.file import check_figure, save
from groktime.reduced.figures.style import entitle, legend_below, new_figure
from groktime.reduced.files import read_outline
from groktime.reduced.sources import open_value

MAPPING = "mapping"  # of keys to values, such as sizes to predictions
_F = TypeVar("_F", bound=Callable[..., Any])
_Test = Callable[[Any], bool]


class Panels(NamedTuple):
    """A figure of several panels, and its Axes in the order in which they were added."""

    figure: Figure
    axes: tuple[Axes, ...]

    def _repr_png_(self) -> bytes:
        return _png(self.figure)


class Panel(Axes):
    """The Axes of a figure of one panel: a notebook shows the figure."""

    def _repr_png_(self) -> bytes:
        return _png(self.figure.figure)


@dataclass(frozen=True)
class _Drawing:
    kind: str
    draw: Callable[..., Any]
    when: _Test
    title: Callable[[Any], str] | None = None  # of figures of one panel
    size: tuple[float, float] = (0.0, 0.0)
    columns: int = 3

    def check(self, options: Mapping[str, Any]) -> None:
        """Refuse options that the figure does not have, and none where it needs one."""
        parameters = inspect.signature(self.draw).parameters.values()
        known = {p.name: p.default is p.empty for p in parameters if p.kind is p.KEYWORD_ONLY}
        for name in options:
            if name not in known:
                words = ", ".join(known) or "none"
                raise InputError(f"{name}: is no option of the figure {self.kind!r}; expected {words}")
        for name, needed in known.items():
            if needed and name not in options:
                raise InputError(f"{name}: the figure {self.kind!r} needs it; expected {name}=…")


# How files are opened that `reduced` does not know, by their schema without the version.
OPENERS: dict[str, Callable[[Path], Any]] = {}
_DRAWINGS: dict[str, list[_Drawing]] = {}


def panel(
    of: str,
    kind: str,
    *,
    title: Callable[[Any], str],
    size: tuple[float, float],
    columns: int = 3,
    when: _Test = lambda _: True,
) -> Callable[[_F], _F]:
    """Registers `draw(ax, value, *, **options) -> handles of a legend` as a figure of one panel.

    of : the type that it draws ("groktime.reduced.prediction.Prediction"), of a prediction the type of its
        detail, of a Dataset its schema without the version, or `MAPPING`.
    kind : what `plot(kind=…)` calls it. when : whether it is the default for a value; the first that is, is.
    """
    return lambda draw: _register(of, _Drawing(kind, draw, when, title, size, columns))


def composite(of: str, kind: str, *, when: _Test = lambda _: True) -> Callable[[_F], _F]:
    """Registers `figure(value, *, **options) -> Figure` as a figure of several panels; see `panel`."""
    return lambda draw: _register(of, _Drawing(kind, draw, when))


def plot(
    x: Any,
    file: str | Path | None = None,
    ax: Axes | None = None,
    *,
    overwrite: bool = False,
    kind: str | None = None,
    **options: Any,
) -> Axes | Panels:
    """Draw a value: a prediction, the Dataset of `what_if`, a landscape, a decay path, a forecast, runs, a
    comparison, a ladder, or a mapping of training-set sizes to predictions.

    Parameters
    ----------
    x : the value, or the name or file of a landscape, a decay path, a forecast or runs.
    file : a name that ends in .png, .pdf or .svg; without it nothing is written.
    ax : Axes to draw into, for figures of one panel.
    overwrite : whether `file` may exist.
    kind : which figure, where a value has more than one: of a prediction from a landscape "prediction" or
        "gradients"; of a landscape "lu" (w alone) or "landscape" ((w, m)); of runs "runs" or "collapse"; of a
        comparison "predicted" (the default), "errors", "curves" or "trajectory".
    options : of the figure, such as `seed` and `field` of a landscape.

    Returns
    -------
    The Axes of a figure of one panel, or `Panels(figure, axes)`. Notebooks show both.

    Raises
    ------
    InputError : for a value without a figure, an unknown kind or option, `ax` for a figure of several panels,
        another suffix, a file that exists, or a folder that cannot be written to.
    """
    x = _opened(x) if isinstance(x, str | Path) else x
    kind = None if kind is None else text("kind", kind)
    overwrite = flag("overwrite", overwrite)
    file = None if file is None else file_name("file", file)
    drawing = _find(x, kind)
    drawing.check(options)
    if file is not None:
        check_figure(file, overwrite)
    if drawing.title is None:
        if ax is not None:
            raise InputError(
                f"ax: the figure {drawing.kind!r} has several panels; expected a figure of one, or no ax"
            )
        figure = drawing.draw(x, **options)
        panels = tuple(a for a in figure.axes if a.get_label() != "<colorbar>")
        drawn: Axes | Panels = Panels(figure, panels)
    else:
        drawn = ax = _one_panel(drawing, x, ax, options)
        figure = ax.figure.figure
    if file is not None:
        save(figure, file, overwrite)
    return drawn


def load(package: str, path: Iterable[str]) -> None:
    """Import the figures of a package, which register themselves."""
    for module in iter_modules(path):
        import_module(f"{package}.{module.name}")


def _register(of: str, drawing: _Drawing) -> Any:
    _DRAWINGS.setdefault(of, []).append(drawing)
    return drawing.draw


def _one_panel(drawing: _Drawing, x: Any, ax: Axes | None, options: Mapping[str, Any]) -> Axes:
    assert drawing.title is not None
    if ax is not None:
        handles: Sequence[Artist] = drawing.draw(ax, x, **options)
        ax.set_title(drawing.title(x), fontsize="medium")
        if handles:
            ax.legend(handles=handles, fontsize="small")
        return ax
    figure = new_figure(*drawing.size)
    ax = figure.add_subplot(axes_class=Panel)
    handles = drawing.draw(ax, x, **options)
    legend_below(figure, handles, drawing.columns)
    entitle(figure, drawing.title(x))
    return ax


def _opened(name: str | Path) -> Any:
    """What a name or a file stands for, by the schema of the file."""
    path = Path(name)
    if path.is_file():
        stem = str(read_outline(path, "groktime's").attrs.get("schema")).rpartition("/")[0]
        if stem in OPENERS:
            return OPENERS[stem](path)
    return open_value(name)


def _find(x: Any, kind: str | None) -> _Drawing:
    found = [drawing for name in _names(x) for drawing in _DRAWINGS.get(name, [])]
    if not found:
        raise InputError(
            f"plot: there is no figure of a {type(x).__name__}; expected a prediction, the result of "
            "what_if, a landscape, a decay path, a forecast, runs, a comparison, a ladder, or a mapping of "
            "sizes to predictions"
        )
    for drawing in found:
        if drawing.kind == kind or (kind is None and drawing.when(x)):
            return drawing
    known = ", ".join(repr(drawing.kind) for drawing in found)
    raise InputError(f"kind = {kind!r}: a {type(x).__name__} has {known}")


def _names(x: Any) -> Iterator[str]:
    """By what a value's figures are registered."""
    schema = getattr(x, "attrs", {}).get("schema")
    if schema is not None:
        yield str(schema).rpartition("/")[0]
    elif isinstance(x, Mapping):
        yield MAPPING
    for value in (x, getattr(x, "detail", None)):
        for each in type(value).__mro__:
            yield f"{each.__module__}.{each.__qualname__}"


def _png(figure: Figure) -> bytes:
    out = BytesIO()
    figure.savefig(out, format="png", dpi=100)
    return out.getvalue()
