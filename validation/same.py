"""Forms of a source that say what the source says: no table of a report has them twice."""

from __future__ import annotations

import numpy as np
import xarray as xr

_SAME = 0.005  # of t_grok: below what it is measured to


def told_once(rows: xr.Dataset, of: xr.Dataset) -> xr.Dataset:
    """Without the forms that say of every run what their source says, as the closed forms of a landscape of w
    alone do: the source's own lines are theirs, too."""
    told = {str(k): rows["predicted"].sel(predictor=k).values for k in rows["predictor"].values}
    source = {str(k): str(rows["form_of"].sel(predictor=k).item()) for k in told}
    same = [
        k for k in told
        if source[k] in told and np.allclose(told[k], told[source[k]], rtol=_SAME, equal_nan=True)
    ]  # fmt: skip
    return of.sel(predictor=[k for k in told if k not in same])


def same_as(rows: xr.Dataset) -> str:
    """Which forms have no lines of their own."""
    left = set(told_once(rows, rows)["predictor"].values.tolist())
    forms = [str(k) for k in rows["predictor"].values if k not in left]
    if not forms:
        return ""
    sources_of = sorted({str(rows["form_of"].sel(predictor=k).item()) for k in forms})
    return f"{', '.join(forms)}: as {', '.join(sources_of)} in every run, and not shown again."
