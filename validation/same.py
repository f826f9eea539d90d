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


def same_as(rows: xr.Dataset) -> list[str]:
    """Which forms have no lines of their own, a sentence a source."""
    left = set(told_once(rows, rows)["predictor"].values.tolist())
    own: dict[str, list[str]] = {}
    for name in rows["predictor"].values:
        if name not in left:
            own.setdefault(str(rows["form_of"].sel(predictor=name).item()), []).append(str(name))
    return [f"{', '.join(v)}: as {k} in every run, and not shown again." for k, v in own.items()]
