"""What is done with a damaged file: it is opened, shown and asked, as a person would."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from damage import Damage
from outcome import ELSE, Outcomes, tried
from planted import flat, planted, planted_path

import groktime as gt
from groktime.reduced import json_text
from groktime.reduced.files import write_dataset
from groktime.reduced.flow import Status
from groktime.reduced.forecast import FORECAST, Forecast
from groktime.reduced.landscape import Landscape
from groktime.reduced.law import stored
from groktime.validation.measure import measure

KINDS = ("landscape", "plane", "path", "forecast", "runs", "comparison")
_DECAY = {"gamma": 0.1, "eta_d": 1e-3}


def _plane() -> Landscape:
    """A landscape of (w, m) as small as one can be."""
    alpha, m = np.linspace(2.4, 4.0, 7), np.linspace(0, 0.1, 4)
    on_plateau = 1 / (1 + np.exp(60 * (np.log(alpha)[None] - np.log(2.7 + 9 * m)[:, None])))
    return Landscape.from_arrays(
        alpha=alpha, m=m, train_loss=1e-5 + 0.1 * on_plateau, test_loss=0.01 + 0.1 * on_plateau,
        train_accuracy=1 - on_plateau, test_accuracy=np.broadcast_to((1 - 4 * m)[:, None], on_plateau.shape),
        w0=9.0, delta_norm=2.0,
    )  # fmt: skip


def _runs(**more: Any) -> gt.Runs:
    runs: gt.Runs = planted(
        [2000.0, 9000.0, np.nan], t_mem=500, gamma=[0.1, 0.2, 0.2], seed=[0, 1, 2], **more
    )
    return runs


def _forecast() -> Forecast:
    """Two seeds and two decays, at two resolutions."""
    shape = (2, 2, 1, 1, 2, 12)
    t = np.broadcast_to(np.r_[0.0, np.geomspace(10, 20_000, 11)], shape)
    passes = np.array([3000.0, 9000.0])[:, None, None, None, None, None] * np.array([1.1, 1.0])[:, None]
    after = 1 / (1 + (passes / np.maximum(t, 1)) ** 4)
    values: dict[str, Any] = {
        "seed": [0, 1], "gamma": [0.1, 0.3], "eta_d": [1e-3], "alpha": [3.0], "efold": [100, 200],
        "record": range(12), "t": t, "train_loss": 1e-3 + 0 * t, "test_loss": 1 - 0.9 * after,
        "train_accuracy": np.minimum(t / 100, 1), "test_accuracy": after, "weight_norm": 9 - 5 * after,
        "m": 1 + 0 * t, "real_steps": np.broadcast_to([700, 1200], shape[:5]),
        "diverged": np.zeros(shape[:5], bool), "horizon": np.full((2, 1), 20_000.0), "w0": [3.0, 3.0],
    }  # fmt: skip
    attrs = {
        "task": "planted", "loss": "loss", "accuracy_threshold": 0.9, "threshold_relative": 0, "n_train": 100,
        "m_start": 1.0, "eta_ratio": 1.0, "optimizer": "adamw", "representation": "fixed", "seconds": 1.0,
        "law": stored(None), "configuration": json_text.dump({}),
    }  # fmt: skip
    return Forecast(FORECAST.arrays(values, attrs, "planted"), "planted")


@cache
def whole() -> dict[str, bytes]:
    """A good file of each kind."""
    made: dict[str, Callable[[Path], object]] = {
        "landscape": flat(2).save,
        "plane": _plane().save,
        "path": planted_path(seeds=(0, 1), alpha=(2.0, 3.0)).save,
        "forecast": _forecast().save,
        "runs": _runs().save,
        "comparison": lambda path: write_dataset(gt.compare(flat(2), _runs()).table, path),
    }
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, save in made.items():
            save(Path(folder) / kind)
            found[kind] = (Path(folder) / kind).read_bytes()
    return found


def _predicted(path: Path, **more: float) -> bool:
    p = gt.predict(str(path), **_DECAY, **more)
    json.dumps(p.to_dict(), allow_nan=False)
    str(p.report())
    none = p.t_grok is None or np.isnan(p.t_grok)
    return none != (p.status in (Status.GENERALIZES, Status.ALREADY)) and (none or 0 <= p.t_grok < np.inf)


def _shown(value: Any) -> None:
    repr(value)
    value._repr_html_()
    json.dumps(value.to_dict(), allow_nan=False)
    assert value.dataset.sizes


def _landscape(path: Path) -> bool:
    _shown(gt.open_landscape(path))
    return _predicted(path, alpha=3.0)


def _of_plane(path: Path) -> bool:
    _shown(gt.open_landscape(path))
    return _predicted(path, alpha=3.5, m=0.06)


def _path(path: Path) -> bool:
    _shown(gt.open_path(path))
    return _predicted(path, alpha=3.0, m=1.0)


def _of_forecast(path: Path) -> bool:
    found = gt.open_forecast(path)
    _shown(found)
    assert found.summary(by=[1e3]).sizes
    return _predicted(path, alpha=3.0)


def _of_runs(path: Path) -> bool:
    runs = gt.open_runs(path)
    _shown(runs)
    delays = measure(runs, 0.9)
    times = delays["t_grok"].values
    return bool(np.all(np.isnan(times) | (times >= 0)))


def _compared(path: Path) -> bool:
    return bool(gt.compare(flat(2), path).report())


def _comparison(path: Path) -> bool:
    found = gt.open_comparison(path)
    return bool(found.report()) and "Comparison" in repr(found) and bool(len(found.to_dataframe()))


USES: dict[str, Callable[[Path], bool]] = {
    "landscape": _landscape,
    "plane": _of_plane,
    "path": _path,
    "forecast": _of_forecast,
    "runs": _of_runs,
    "compared runs": _compared,
    "comparison": _comparison,
}


def attempt(outcomes: Outcomes, kind: str, damages: Sequence[Damage], folder: Path) -> str | None:
    """Damage a good file, use it, and count what became of it; None where the damage could not be done."""
    path = folder / f"{kind.replace(' ', '-')}.nc"
    path.write_bytes(whole()[kind.rpartition(" ")[2]])
    # bytes last: h5py may not come back from writing to a file whose bytes are damaged
    for damage in sorted(damages, key=lambda d: d.name.startswith("bytes")):
        try:
            damage.act(path)
        except Exception:  # such as what h5py cannot write, or has lost by the damage before
            return None
    name = f"{damages[0].name.split()[0]} of {kind}: {', '.join(d.name for d in damages)}"
    found = tried(outcomes, name, lambda: USES[kind](path), [path.name], bool)
    if found == ELSE:
        keep = folder / "failed"
        keep.mkdir(exist_ok=True)
        (keep / f"{len(outcomes.failures)}.nc").write_bytes(path.read_bytes())
    return found
