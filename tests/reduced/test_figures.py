"""Every figure is written whole, of the right kind, for every kind of landscape and end of the path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from groktime.reduced import figures
from groktime.reduced.errors import InputError
from groktime.reduced.figures.landscape import points
from groktime.reduced.figures.style import cell_edges
from groktime.reduced.flow import Status
from groktime.reduced.landscape import Landscape
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
    """An L and a U; the training loss is 0, without a logarithm, at some norms."""
    alpha = np.geomspace(0.1, 10, 21)
    u = np.log(alpha)[None] + 0.05 * np.arange(seeds)[:, None]
    train = np.where(u < -1, 1e-2 * np.expm1(-1 - u), np.where(u < 1, 1e-8, 0.0))
    fields = {"train_loss": train, "test_loss": 1e-3 * np.cosh(u) ** 4}
    fields |= {"train_accuracy": np.ones_like(u), "test_accuracy": 1 / (1 + np.exp(6 * (u - 1)))}
    return Landscape.from_arrays(
        alpha=alpha, m=None, w0=np.full(seeds, W0), **{k: v[:, None] for k, v in fields.items()}
    )


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
    assert grown.plot(path) == path
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
    assert written(p.plot(tmp_path / "a.png"))


@pytest.mark.parametrize("missing", ["test_loss", "test_accuracy", "train_accuracy"])
def test_prediction_without_a_field(tmp_path: Path, missing: str) -> None:
    how = {"metric": "loss", "threshold": 0.11} if missing == "test_accuracy" else {}
    p = predict(two_dimensional(**{missing: None}), **START, **how)
    assert written(p.plot(tmp_path / "a.png"))


@pytest.mark.parametrize(
    ("alpha", "gamma", "status"),
    [(5.0, 0.1, "generalizes"), (0.5, 0.1, "already"), (20.0, 0.1, "outside"), (5.0, 0.0, "never")],
)
def test_prediction_of_one_dimension(tmp_path: Path, alpha: float, gamma: float, status: str) -> None:
    p = predict(one_dimensional(), gamma=gamma, eta_d=1e-3, alpha=alpha)
    assert p.status == status
    assert written(p.plot(tmp_path / "a.png"))


@pytest.mark.parametrize("seeds", [1, 3])
def test_lu(tmp_path: Path, seeds: int) -> None:
    assert written(figures.plot_lu(one_dimensional(seeds), tmp_path / "a.svg"))


def test_gradients(grown: Prediction, land: Landscape, tmp_path: Path) -> None:
    assert written(figures.plot_gradients(grown, tmp_path / "a.png"))
    still = predict(land, **{**START, "gamma": 0.0})
    assert figures.plot_gradients(still, tmp_path / "a.png", overwrite=True).is_file()


def test_gradients_without_a_contour(land: Landscape, tmp_path: Path) -> None:
    p = predict(land, **START, level=1e-9)
    with pytest.raises(InputError, match="no contour of training loss 1e-09"):
        figures.plot_gradients(p, tmp_path / "a.png")


def test_sizes(grown: Prediction, tmp_path: Path) -> None:
    lost = predict(two_dimensional(-0.3), **START, level=1e-9)
    several = {45: grown, 40: predict(two_dimensional(0.0), **START), 30: lost}
    assert written(figures.plot_sizes(several, tmp_path / "a.png"))
    with pytest.raises(InputError, match="no predictions"):
        figures.plot_sizes({}, tmp_path / "b.png")


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
    assert written(figures.plot_what_if(ds, tmp_path / "a.png"))


def test_what_if_over_seeds(tmp_path: Path) -> None:
    ds = what_if(one_dimensional(), gamma=_DECAYS, eta_d=1e-3, alpha=5.0)
    assert written(figures.plot_what_if(ds, tmp_path / "a.png"))


@pytest.mark.parametrize("swept", [{}, {"gamma": [1e-3, 1e-2], "eta_d": [1e-3, 1e-2], "m": [0.05, 0.08]}])
def test_what_if_of_none_or_three(land: Landscape, tmp_path: Path, swept: dict[str, list[float]]) -> None:
    ds = what_if(land, **{**START, **swept})
    with pytest.raises(InputError, match=f"{len(swept)} settings are swept"):
        figures.plot_what_if(ds, tmp_path / "a.png")


_WRITERS: dict[str, Callable[..., Path]] = {
    "prediction": figures.plot_prediction,
    "gradients": figures.plot_gradients,
    "sizes": lambda p, path: figures.plot_sizes({45: p}, path),
    "lu": lambda p, path: figures.plot_lu(one_dimensional(), path),
    "what_if": lambda p, path: figures.plot_what_if(
        what_if(p.source.land, **{**START, "gamma": [1e-3]}), path
    ),
    "save": lambda p, path: figures.save(Figure(), path),
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
    assert written(grown.plot(path, overwrite=True))


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Figure, path: Path, **__: object) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(InputError, match="No space left"):
        figures.save(Figure(), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_wrong_dimensions(grown: Prediction, tmp_path: Path) -> None:
    flat = predict(one_dimensional(), gamma=0.1, eta_d=1e-3, alpha=5.0)
    for write in (
        lambda path: figures.plot_gradients(flat, path),
        lambda path: figures.plot_sizes({45: flat}, path),
        lambda path: figures.plot_lu(grown.landscape, path),
    ):
        with pytest.raises(InputError, match="w alone"):
            write(tmp_path / "a.png")


def test_points_lie_on_the_path_in_order(grown: Prediction) -> None:
    named = points(grown)
    assert [p.s for p in named] == sorted(p.s for p in named)
    assert (named[0].name, named[-1].name) == ("A", "E")
    assert {"A", "D", "E"} <= {p.name for p in named} <= {"A", "C", "D", "E"}
    assert (named[0].alpha, named[0].m) == pytest.approx((3.9, 0.08))
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
    assert written(figures.plot_prediction(p, tmp_path / "p.png"))


def test_cells_lie_around_their_centres() -> None:
    assert cell_edges(np.array([1.0, 2.0, 4.0])) == pytest.approx([0.5, 1.5, 3.0, 5.0])
    assert cell_edges(np.array([1.0, 10.0, 100.0]), True) == pytest.approx(
        10 ** np.array([-0.5, 0.5, 1.5, 2.5])
    )
    low, high = cell_edges(np.array([0.0]))
    assert low < 0 < high
