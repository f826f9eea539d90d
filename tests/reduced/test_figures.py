"""Every figure is written whole, of the right kind, for every kind of landscape and end of the trajectory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_path import made_up
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from groktime.reduced.errors import InputError
from groktime.reduced.figures import Panels, plot, save
from groktime.reduced.figures.style import cell_edges, entitle, new_figure
from groktime.reduced.flow import Status
from groktime.reduced.landscape import Landscape
from groktime.reduced.phases import points
from groktime.reduced.prediction import Prediction, predict
from groktime.reduced.what_if import what_if

W0 = 9.0
START = {"gamma": 1e-3, "eta_d": 1e-2, "alpha": 3.9, "m": 0.08}
_HEADS = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}


def two_dimensional(bend: float = 0.3, **left_out: None) -> Landscape:
    """A steep wall from α = 2.7 at m = 0 to 3.6 at m = 0.1; test accuracy falls with m."""
    alpha, m = np.linspace(2.5, 4, 16), np.linspace(0, 0.1, 11)
    share = m / 0.1
    wall = np.log(2.7) + np.log(3.6 / 2.7) * (share + bend * share * (1 - share))
    falls = 1 / (1 + np.exp(60 * (np.log(alpha)[None] - wall[:, None])))
    noise = np.exp(0.5 * np.random.default_rng(0).standard_normal(falls.shape))
    fields = {
        "train_loss": 1e-5 * noise + 0.1 * falls,
        "test_loss": 0.1 + 0.1 * falls,
        "train_accuracy": (falls < 0.5) * 1.0,
        "test_accuracy": np.broadcast_to(np.clip(1 - 3 * m, 0, 1)[:, None], falls.shape),
    }
    return Landscape.from_arrays(
        alpha=alpha, m=m, w0=W0, delta_norm=1.0, threshold=0.97, **{**fields, **left_out}
    )


def one_dimensional(seeds: int = 3) -> Landscape:
    """An L and a U; the training loss is 0, without a logarithm, at some norms, as a sampled one may be."""
    alpha = np.geomspace(0.1, 10, 21)
    u = np.log(alpha)[None] + 0.05 * np.arange(seeds)[:, None]
    train = np.where(u < -1, 1e-2 * np.expm1(-1 - u), np.where(u < 1, 1e-8, 0.0))
    fields = {"train_loss": train, "test_loss": 1e-3 * np.cosh(u) ** 4}
    fields |= {"train_accuracy": np.ones_like(u), "test_accuracy": 1 / (1 + np.exp(6 * (u - 1)))}
    given = fields | {"train_loss": np.maximum(train, 1e-12)}  # arrays are refused where they are 0
    ds = Landscape.from_arrays(
        alpha=alpha, m=None, w0=np.full(seeds, W0), **{k: v[:, None] for k, v in given.items()}
    ).dataset.copy(deep=True)
    ds["train_loss"].values[:] = train[:, None, None, None]
    return Landscape(ds)


@pytest.fixture(scope="module")
def land() -> Landscape:
    return two_dimensional()


@pytest.fixture(scope="module")
def grown(land: Landscape) -> Prediction:
    p = predict(land, **START)
    assert p.status is Status.GENERALIZES
    return p


def written(path: Path) -> bool:
    """One whole file of its kind, and nothing else beside it."""
    assert path.read_bytes().startswith(_HEADS[path.suffix])
    return path.stat().st_size > 4000 and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_prediction_in_every_kind_of_file(grown: Prediction, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    drawn = grown.plot(path)
    assert isinstance(drawn, Panels)
    assert written(path)


@pytest.mark.parametrize(
    ("changed", "status", "moves"),
    [
        ({"gamma": 0.0}, Status.NEVER, False),
        ({"alpha": 5.0}, Status.OUTSIDE, False),
        ({"m": 0.0}, Status.ALREADY, False),
        ({"gamma": 200.0}, Status.COLLAPSES, False),  # η_D γ > 1
        ({"eta_r": 0.0}, None, True),
        ({"level": 1e-9}, None, True),  # no such contour
        ({"m_rate": "representation"}, Status.GENERALIZES, True),
    ],
)
def test_prediction_with_every_end(
    land: Landscape, tmp_path: Path, changed: dict[str, float], status: Status | None, moves: bool
) -> None:
    p = predict(land, **{**START, **changed})
    assert status in (None, p.status)
    assert (p.detail.trajectory is not None) == moves
    p.plot(tmp_path / "a.png")
    assert written(tmp_path / "a.png")


@pytest.mark.parametrize("missing", ["test_loss", "test_accuracy", "train_accuracy"])
def test_prediction_without_a_field(tmp_path: Path, missing: str) -> None:
    how = {"metric": "loss", "threshold": 0.11} if missing == "test_accuracy" else {}
    p = predict(two_dimensional(**{missing: None}), **START, **how)
    p.plot(tmp_path / "a.png")
    assert written(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("alpha", "gamma", "status"),
    [(5.0, 0.1, "generalizes"), (0.5, 0.1, "already"), (20.0, 0.1, "outside"), (5.0, 0.0, "never")],
)
def test_prediction_of_one_dimension(tmp_path: Path, alpha: float, gamma: float, status: str) -> None:
    p = predict(one_dimensional(), gamma=gamma, eta_d=1e-3, alpha=alpha)
    assert p.status == status
    p.plot(tmp_path / "a.png")
    assert written(tmp_path / "a.png")


@pytest.mark.parametrize("seeds", [1, 3])
def test_lu(tmp_path: Path, seeds: int) -> None:
    plot(one_dimensional(seeds), tmp_path / "a.svg")
    assert written(tmp_path / "a.svg")


def test_gradients(grown: Prediction, land: Landscape, tmp_path: Path) -> None:
    plot(grown, tmp_path / "a.png", kind="gradients")
    assert written(tmp_path / "a.png")
    still = predict(land, **{**START, "gamma": 0.0})
    words = {text.get_text() for text in plot(still, kind="gradients").figure.legends[0].get_texts()}
    assert "contour of loss 0.05" in words
    assert "trajectory of Eq. 6" not in words  # nothing moves


def test_gradients_without_a_contour(land: Landscape, tmp_path: Path) -> None:
    p = predict(land, **START, level=1e-9)
    with pytest.raises(InputError, match="no contour of training loss 1e-09"):
        plot(p, tmp_path / "a.png", kind="gradients")
    assert not list(tmp_path.iterdir())


def test_sizes(grown: Prediction, tmp_path: Path) -> None:
    lost = predict(two_dimensional(-0.3), **START, level=1e-9)
    several = {45: grown, 40: predict(two_dimensional(0.0), **START), 30: lost}
    plot(several, tmp_path / "a.png")
    assert written(tmp_path / "a.png")
    with pytest.raises(InputError, match="no predictions"):
        plot({}, tmp_path / "b.png")


_DECAYS = np.geomspace(1e-3, 300, 6)
_SWEEPS = {
    "map": {"gamma": _DECAYS, "eta_d": [1e-3, 1e-2]},
    "start": {"gamma": 1e-3, "alpha": [2.4, 3.2, 3.9], "m": [0.0, 0.05, 0.08]},
    "no decay": {"gamma": [0.0, 1e-3], "eta_d": [1e-3, 1e-2]},
    "one cell": {"gamma": [1e-3], "eta_d": [1e-2]},
    "line": {"gamma": _DECAYS},
    "line with the wall": {"gamma": _DECAYS, "wall": True},
    "never": {"gamma": [0.0, 500.0]},
    "unsorted": {"gamma": [1e-2, 1e-3, 1e-1]},
}


@pytest.mark.parametrize("name", _SWEEPS)
def test_what_if(land: Landscape, tmp_path: Path, name: str) -> None:
    ds = what_if(land, **{**START, **_SWEEPS[name]})
    plot(ds, tmp_path / "a.png")
    assert written(tmp_path / "a.png")


def test_what_if_over_seeds(tmp_path: Path) -> None:
    ds = what_if(one_dimensional(), gamma=_DECAYS, eta_d=1e-3, alpha=5.0)
    plot(ds, tmp_path / "a.png")
    assert written(tmp_path / "a.png")


@pytest.mark.parametrize("swept", [{}, {"gamma": [1e-3, 1e-2], "eta_d": [1e-3, 1e-2], "m": [0.05, 0.08]}])
def test_what_if_of_none_or_three(land: Landscape, tmp_path: Path, swept: dict[str, list[float]]) -> None:
    ds = what_if(land, **{**START, **swept})
    with pytest.raises(InputError, match=f"{len(swept)} settings are swept"):
        plot(ds, tmp_path / "a.png")


_WRITERS: dict[str, Callable[..., Any]] = {
    "prediction": plot,
    "gradients": lambda p, path: plot(p, path, kind="gradients"),
    "sizes": lambda p, path: plot({45: p}, path),
    "lu": lambda p, path: plot(one_dimensional(), path),
    "landscape": lambda p, path: plot(p.source.land, path),
    "path": lambda p, path: plot(made_up(), path),
    "what_if": lambda p, path: plot(what_if(p.source.land, **{**START, "gamma": [1e-3]}), path),
    "save": lambda p, path: save(Figure(), path),
}


@pytest.mark.parametrize("name", _WRITERS)
def test_refuses(grown: Prediction, tmp_path: Path, name: str) -> None:
    write = _WRITERS[name]
    there = tmp_path / "there.png"
    there.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        write(grown, there)
    assert there.read_text() == "mine"
    with pytest.raises(InputError, match=r"a\.jpg: expected .* \.png, \.pdf, \.svg"):
        write(grown, tmp_path / "a.jpg")
    with pytest.raises(InputError, match="does not exist"):
        write(grown, tmp_path / "no" / "a.png")
    assert list(tmp_path.iterdir()) == [there]


def test_overwrites_when_allowed(grown: Prediction, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("old")
    grown.plot(path, overwrite=True)
    assert written(path)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Figure, path: Path, **__: object) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(InputError, match="No space left"):
        save(Figure(), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_wrong_dimensions(grown: Prediction, tmp_path: Path) -> None:
    flat = predict(one_dimensional(), gamma=0.1, eta_d=1e-3, alpha=5.0)
    for write in (
        lambda path: plot(flat, path, kind="gradients"),
        lambda path: plot({45: flat}, path),
        lambda path: plot(grown.source.land, path, kind="lu"),
        lambda path: plot(flat.source.land, path, kind="landscape"),
    ):
        with pytest.raises(InputError, match="w alone"):
            write(tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_points_lie_on_the_trajectory_in_order(grown: Prediction) -> None:
    named = points(grown)
    assert [p.s for p in named] == sorted(p.s for p in named)
    assert (named[0].name, named[-1].name) == ("A", "E")
    assert {"A", "D", "E"} <= {p.name for p in named} <= set("ABCDE")
    assert (named[0].w / W0, named[0].m) == pytest.approx((3.9, 0.08))
    middle = next(p for p in named if p.name == "D")
    assert middle.m == pytest.approx((0.08 + named[-1].m) / 2, abs=1e-3)


def test_no_point_is_half_way_down_where_m_does_not_fall(tmp_path: Path) -> None:
    alpha, m = np.linspace(1, 4, 16), np.linspace(0, 1, 11)
    falls = np.broadcast_to((alpha / 4) ** 2, (11, 16))
    land = Landscape.from_arrays(
        alpha=alpha,
        m=m,
        w0=W0,
        train_loss=falls * (2 - m)[:, None],
        test_loss=falls,
        test_accuracy=1 - falls / 2,
    )
    p = predict(land, gamma=0.1, eta_d=1e-2, alpha=4.0, m=1.0, threshold=0.8)
    assert p.status is Status.GENERALIZES
    assert [point.name for point in points(p)] == ["A", "E"]
    plot(p, tmp_path / "p.png")
    assert written(tmp_path / "p.png")


def values(grown: Prediction) -> dict[str, tuple[Any, str | None]]:
    """A value of each type with a figure, and the figure's kind."""
    land, path = grown.source.land, made_up()
    swept = {**START, "gamma": [1e-3, 1e-2], "eta_d": [1e-3, 1e-2]}
    return {
        "prediction": (grown, None),
        "of w alone": (predict(one_dimensional(), gamma=0.1, eta_d=1e-3, alpha=5.0), None),
        "of a path": (predict(path, gamma=0.1, eta_d=1e-3, alpha=float(path.alpha[0])), None),
        "lu": (one_dimensional(), None),
        "path": (path, None),
        "gradients": (grown, "gradients"),
        "landscape": (land, None),
        "map": (what_if(land, **swept), None),
        "line": (what_if(land, **{**swept, "eta_d": 1e-2}), None),
        "sizes": ({45: grown}, None),
    }


_SINGLE = ("gradients", "landscape", "map", "line", "sizes")
_SEVERAL = ("prediction", "of w alone", "of a path", "lu", "path")


@pytest.mark.parametrize("name", _SINGLE)
def test_figures_of_one_panel_return_their_axes_or_draw_into_others(
    grown: Prediction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    x, kind = values(grown)[name]
    drawn = plot(x, kind=kind)
    assert isinstance(drawn, Axes)
    assert drawn._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    left, right = Figure().subplots(1, 2)
    assert plot(x, ax=right, kind=kind) is right
    assert right.get_title()
    assert not left.get_title()
    assert not right.figure.legends
    assert not list(tmp_path.iterdir())
    assert plot(x, tmp_path / "both.png", right, kind=kind) is right
    assert written(tmp_path / "both.png")


@pytest.mark.parametrize("name", _SEVERAL)
def test_figures_of_several_panels_return_figure_and_axes(
    grown: Prediction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    x, kind = values(grown)[name]
    figure, axes = drawn = plot(x, kind=kind)
    assert isinstance(figure, Figure)
    assert len(axes) >= 2
    assert all(isinstance(ax, Axes) for ax in axes)
    assert drawn._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"ax: the figure '.*' has several panels"):
        plot(x, ax=Figure().subplots(), kind=kind)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_drawn_is_refused(grown: Prediction) -> None:
    land = grown.source.land
    for call, words in (
        (lambda: plot(3), "plot: there is no figure of a int; expected a prediction"),
        (lambda: plot(grown, kind="lines"), "kind = 'lines': a Prediction has 'prediction', 'gradients'"),
        (lambda: plot(grown, seed=1), "seed: is no option of the figure 'prediction'; expected none"),
        (lambda: plot(land, level=1), "level: is no option of the figure 'landscape'; expected field, seed"),
        (lambda: plot(land, field="loss"), "field = 'loss': expected 'train_loss', "),
        (lambda: plot({45: 3}), "plot: 45 is no prediction from a landscape"),
        (lambda: plot(made_up(), metric="norm"), "metric = 'norm': expected 'accuracy' or 'loss'"),
        (lambda: plot(made_up(), alpha=77.0), "alpha = 77"),
    ):
        with pytest.raises(InputError, match=words):
            call()


def test_options_choose_what_is_drawn(grown: Prediction) -> None:
    ax = plot(grown.source.land, field="test_accuracy", seed=0)
    assert "test accuracy" in ax.figure.axes[1].get_ylabel()
    with pytest.raises(InputError, match="does not have it"):
        plot(two_dimensional(test_loss=None), field="test_loss")


def test_names_of_points_at_nearly_one_time_stand_together() -> None:
    p = predict("addition", gamma=1e-3, eta_d=1e-2, alpha=3.9, m=0.08)
    time = next(ax for ax in plot(p).axes if ax.get_title() == "(c) along the trajectory")
    assert [text.get_text() for text in time.texts] == ["C, D", "E"]
    assert (time.get_xscale(), len(plot(p).axes)) == ("linear", 4)  # none of prose


def test_cells_lie_around_their_centres() -> None:
    assert cell_edges(np.array([1.0, 2.0, 4.0])) == pytest.approx([0.5, 1.5, 3.0, 5.0])
    assert cell_edges(np.array([1.0, 10.0, 100.0]), True) == pytest.approx(
        10 ** np.array([-0.5, 0.5, 1.5, 2.5])
    )
    low, high = cell_edges(np.array([0.0]))
    assert low < 0 < high


def test_no_axis_of_rates_reaches_below_zero() -> None:
    ds = what_if("teacher-student", gamma=[0.1, 0.3], eta_d=[3e-4, 1e-3], alpha=3.0)
    ax = plot(ds)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert min(*ax.get_xlim(), *ax.get_ylim()) > 0
    assert [text.get_text() for text in ax.get_yticklabels()] == ["0.0003", "0.001"]


def test_a_heading_stays_within_its_figure() -> None:
    figure = new_figure(4.0, 3.0)
    entitle(figure, "one\n" + "word " * 40)
    figure.draw_without_rendering()
    box = figure._suptitle.get_window_extent()  # type: ignore[attr-defined]
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
    assert figure.get_suptitle().startswith("one\nword")
