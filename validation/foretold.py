"""The networks of a forecast as runs: their curves at the finest resolution, on the clock of the training."""

from __future__ import annotations

import numpy as np

from groktime.fullnet.runs import Runs, import_runs
from groktime.reduced.decay_path import CURVES
from groktime.reduced.forecast import CELLS, Forecast


def foretold(found: Forecast) -> Runs:
    """Runs of which a log would hold the records of the forecast."""
    import pandas as pd

    rows = []
    for cell in np.ndindex(found.real_steps.shape):
        ran = np.flatnonzero(found["real_steps"].values[cell] > 0)
        if not len(ran):
            continue
        at = (*cell, int(ran[-1]))
        of = {name: found[name].values[k] for name, k in zip(CELLS, cell, strict=True)}
        known = np.isfinite(found["t"].values[at])
        curves = {name: found[name].values[at][known] for name in ("t", *CURVES) if name != "m"}
        name = ", ".join(f"{key} {of[key]:g}" for key in CELLS)
        rows.append(pd.DataFrame({"run": name, **of, **curves}))
    return import_runs(
        pd.concat(rows), columns={"step": "t", "alpha": "alpha"}, accuracy="share",
        task=str(found.attrs["task"]), loss=str(found.attrs["loss"]), optimizer=str(found.attrs["optimizer"]),
        n_train=int(found.attrs["n_train"]),
    )  # fmt: skip


def remark(found: Forecast) -> str:
    """What a reader of these runs has to know."""
    error = found.times().error
    worst = np.max(error[np.isfinite(error)], initial=0.0)
    return (
        "These are the curves of a forecast, at its finest resolution; the last two of them are up to "
        f"{100 * worst:.2g} % apart in t_grok. No network was trained so far."
    )
