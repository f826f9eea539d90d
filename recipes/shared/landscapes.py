"""What several recipes ask of landscapes: the decay and rates on toy addition, and what goes with m."""

from __future__ import annotations

import numpy as np
import xarray as xr

GAMMA, ETA_D, ETA_R = 1e-3, 1e-2, 1e-2
REACHED = 0.45  # a test accuracy that N = 25 has nowhere, and N = 45 at m = 0


def along_m(loss: xr.DataArray) -> float:
    """The share of the variance of ln(loss) that α does not explain, [seed, m, alpha] -> mean of seeds."""
    y: xr.DataArray = xr.apply_ufunc(np.log, loss)
    return float((y.var("m").mean("alpha") / y.var(("m", "alpha"))).mean())
