"""What the many predictions of `what_if` have in common: the axes, every combination, and the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status
from groktime.reduced.prediction import check_each

Floats = NDArray[np.float64]

ORDER = ("gamma", "eta_d", "eta_r", "alpha", "m")
_EXPECTED: Mapping[str, tuple[str, Callable[[Floats], Any]]] = {
    "gamma": ("0 or more", lambda x: x >= 0),
    "eta_d": ("above 0", lambda x: x > 0),
    "eta_r": ("0 or more", lambda x: x >= 0),
    "alpha": ("above 0", lambda x: x > 0),
    "m": ("within [0, 1]", lambda x: 0 <= x <= 1),
}


@dataclass(frozen=True)
class Sweep:
    """Every combination of some settings. `axes` in `ORDER`, [n] each; `mesh` their values over all of
    them; `swept` those that were given as a list, which become dimensions."""

    axes: Mapping[str, Floats]
    mesh: Mapping[str, Floats]
    swept: tuple[str, ...]

    @staticmethod
    def of(given: Mapping[str, ArrayLike]) -> Sweep:
        """Settings by name, each one number or a list of them.

        Raises
        ------
        InputError : naming the setting and what was expected.
        """
        axes = {name: check_each(name, given[name], *_EXPECTED[name]) for name in ORDER if name in given}
        for name, values in axes.items():
            if values.ndim > 1 or not values.size:
                raise InputError(f"{name}: expected a number or a list of numbers")
        mesh = dict(zip(axes, np.meshgrid(*axes.values(), indexing="ij"), strict=True))
        return Sweep(axes, mesh, tuple(name for name in axes if np.ndim(given[name]) > 0))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(values.size for values in self.axes.values())

    def dataset(
        self,
        *,
        times: Floats,
        fitted: Floats,
        low: Floats,
        high: Floats,
        status: NDArray[np.object_],
        **attributes: str | float,
    ) -> xr.Dataset:
        """The result, from what each seed says, [seed, *shape]; times in optimizer steps."""
        never = np.where(np.isnan(times), np.inf, times)
        middle = np.median(never, axis=0)
        outer = tuple(self.axes[name].size for name in self.swept)
        fixed = {name: float(v[0]) for name, v in self.axes.items() if name not in self.swept}

        def variable(values: NDArray[Any], unit: str) -> Any:
            return self.swept, values.reshape(outer), {"units": unit}

        return xr.Dataset(
            {
                "t_grok": variable(np.where(np.isfinite(middle), middle, np.nan), "optimizer steps"),
                "t_mem": variable(_nanmedian(fitted), "optimizer steps"),
                "low": variable(np.quantile(low, 0.05, axis=0, method="lower"), "optimizer steps"),
                "high": variable(np.quantile(high, 0.95, axis=0, method="higher"), "optimizer steps"),
                "generalizing": variable(np.isfinite(times).mean(0), "share of seeds"),
                "status": variable(_most(status), "1"),
            },
            {name: self.axes[name] for name in self.swept},
            {**attributes, "schema": "groktime-what-if/1", **fixed},
        )


def _nanmedian(values: Floats) -> Floats:
    out = np.full(values.shape[1:], np.nan)
    some = np.isfinite(values).any(0)
    out[some] = np.nanmedian(values[:, some], axis=0)
    return out


def _most(status: NDArray[np.object_]) -> NDArray[np.str_]:
    names = [s.value for s in Status]
    votes = np.stack([(status == name).sum(0) for name in names])
    chosen: NDArray[np.str_] = np.array(names)[np.argmax(votes, axis=0)]
    return chosen
