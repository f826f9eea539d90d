"""The forecast file: networks trained until they fit, then with their decay hastened, on a clock t.

A forecast has dims `seed, gamma, eta_d, alpha, efold, record`. `efold` are the optimizer steps to an e-fold
of the time since the fit: the resolution (`fullnet.procedures.hastened`). Cells are refined one by one, so
that not every one has every resolution: one that was not run has no real steps.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.arguments import numbers
from groktime.reduced.crossings import passes_at
from groktime.reduced.decay_path import CURVES
from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status
from groktime.reduced.law import LAW, RULES, DecayLaw, law_is_one, law_of
from groktime.reduced.schema import (
    FROM_ONE,
    FROM_ZERO,
    SIZE,
    UNIT,
    Attribute,
    Axis,
    Checked,
    Column,
    Range,
    Schema,
)
from groktime.reduced.starts import POSITIVE
from groktime.reduced.stored import Gridded
from groktime.reduced.system import MEMORIZED

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]

SCHEMA = "groktime-forecast/1"
CELLS = ("seed", "gamma", "eta_d", "alpha")
RUNS = (*CELLS, "efold")
DIMS = (*RUNS, "record")


def _clocks_go_on(checked: Checked) -> None:
    """`t` ascends from the step of the start, and every curve that was measured ends with it."""
    t = np.asarray(checked.arrays["t"].values, float)
    known = ~np.isnan(t)
    gap = known != (np.arange(t.shape[-1]) < known.sum(-1)[..., None])
    checked.nowhere("t", gap, "a gap: it ascends up to where it ends, and is NaN from there on")
    back = np.zeros(t.shape, bool)
    begin = float(json.loads(checked.arrays.attrs["start"]).get("step") or 0)
    back[..., 0] = known[..., 0] & (t[..., 0] != begin)
    back[..., 1:] = known[..., 1:] & ~(np.diff(t, axis=-1) > 0)
    checked.nowhere("t", back, f"expected times that ascend from {begin:g}")
    for name in CURVES:
        values = np.asarray(checked.arrays[name].values, float)
        never = np.isnan(values).all(-1, keepdims=True)
        checked.nowhere(name, (np.isnan(values) == known) & ~never, "expected a number where t has one")


def _curve(name: str, meaning: str, unit: str = "1", range: Range = FROM_ZERO) -> Column:
    return Column(name, DIMS, meaning, unit, range=range, missing="somewhere", packed=True)


FORECAST = Schema(
    SCHEMA,
    "a groktime forecast",
    axes=(
        Axis("seed", "random seed", kind="integer"),
        Axis("gamma", "weight decay", range=SIZE),
        Axis("eta_d", "learning rate of the network, per optimizer step", range=SIZE),
        Axis("alpha", "weight norm relative to initialization", "w / w0", range=SIZE),
        Axis("efold", "optimizer steps to an e-fold of the time since the fit", "optimizer steps", "integer",
             FROM_ONE),
        Axis("record", "number of the record", kind="integer", range=FROM_ZERO),
    ),
    columns=(
        _curve("t", "time of the record, in steps of the training that is forecast", "optimizer steps"),
        _curve("train_loss", "training loss"),
        _curve("test_loss", "test loss"),
        _curve("train_accuracy", "training accuracy", range=UNIT),
        _curve("test_accuracy", "test accuracy", range=UNIT),
        _curve("weight_norm", "L2 norm of the weights that decay"),
        _curve("m", "messiness", range=Range()),
        Column("real_steps", RUNS, "optimizer steps that were taken, 0 where this resolution was not run",
               "optimizer steps", "integer", FROM_ZERO),
        Column("diverged", RUNS, "whether the network diverged", kind="flag"),
        Column("horizon", ("gamma", "eta_d"), "time up to which is forecast", "optimizer steps",
               range=FROM_ONE),
        Column("w0", ("seed",), "L2 norm of the weights that decay at initialization", range=SIZE),
    ),
    attributes=(
        Attribute("task", "text", "name of the task"),
        Attribute("loss", "text", "what the losses are"),
        Attribute("accuracy_threshold", "number", "test accuracy that counts as generalized",
                  Range(0, 1, open_low=True)),
        Attribute("threshold_relative", "flag", "whether the threshold is a fraction of the ceiling"),
        Attribute("n_train", "integer", "training-set size", FROM_ZERO),
        Attribute("m_start", "number", "messiness at the start", UNIT),
        Attribute("eta_ratio", "number", "learning rate of the representation over the network's", FROM_ZERO),
        Attribute("optimizer", "text", "what trained the networks", choices=RULES),
        Attribute("representation", "text", "how the representation moves"),
        Attribute("start", "json", "the checkpoint of a run that the networks start from; {} of none",
                  default="{}",
                  entries=(Attribute("step", "integer", "its step", FROM_ZERO),
                           Attribute("moments", "flag", "whether the optimizer's are known"))),
        Attribute("seconds", "number", "what the forecast took", FROM_ZERO),
        LAW,
        Attribute("configuration", "json", "settings of the forecast",
                  entries=(Attribute("batch", "integer", "samples a step, 0 for all", FROM_ZERO),)),
    ),
    rules=(_clocks_go_on, law_is_one),
)  # fmt: skip


@dataclass(frozen=True)
class Times:
    """When the networks of a forecast pass, [seed, gamma, eta_d, alpha], in steps of the training.

    `t_grok`, `t_mem` : at the finest resolution; NaN where there is none.
    `error` : the numerical error of ln t_grok, counted from the start: how far the two finest are apart; 0
        where no step of the finest was hastened, infinite where there is one resolution, or where one passes
        and the other does not.
    """

    status: NDArray[np.object_]
    t_grok: Floats
    t_mem: Floats
    error: Floats
    level: float


class Forecast(Gridded):
    """A forecast of one task, a source of `predict`, `what_if`, `recommend` and `compare`; `source` is the
    file it came from."""

    SCHEMA = FORECAST

    @staticmethod
    def join(forecasts: Sequence[Forecast | str | os.PathLike[str]]) -> Forecast:
        """One forecast of several, or of their files, such as of one setting each (`reduced.joining`)."""
        from groktime.reduced.joining import joined

        every = [Forecast.of(one) for one in forecasts]
        return Forecast(joined(every), " + ".join(one.source for one in every))

    @property
    def gamma(self) -> Floats:
        """Weight decays, ascending."""
        return np.asarray(self["gamma"].values, float)

    @property
    def eta_d(self) -> Floats:
        """Learning rates, ascending."""
        return np.asarray(self["eta_d"].values, float)

    @property
    def efold(self) -> list[int]:
        """Steps to an e-fold, ascending: the resolutions."""
        return self._whole("efold")

    @property
    def law(self) -> DecayLaw:
        """By which law the networks decay."""
        return law_of(self.attrs)

    @property
    def real_steps(self) -> NDArray[np.int64]:
        """Optimizer steps of each network, of all its resolutions together, [seed, gamma, eta_d, alpha]."""
        return np.asarray(self["real_steps"].values.sum(-1))

    @property
    def hastened(self) -> NDArray[np.bool_]:
        """Whether some step of a run was hastened, [seed, gamma, eta_d, alpha, efold]; one of which none was
        is the training, step by step."""
        t = np.asarray(self["t"].values, float)
        elapsed = np.where(np.isnan(t), -np.inf, t).max(-1) - self.start_step
        # of one that diverged the last times are not known; at the horizon no step is hastened
        unknown = self["diverged"].values.astype(bool)
        unknown &= np.array(self.efold) < self["horizon"].values[:, :, None, None]
        return np.asarray((self["real_steps"].values < elapsed) | unknown)

    @property
    def start(self) -> dict[str, Any]:
        """The checkpoint that its networks start from: its step, and whether it had moments; {} of none."""
        return dict(json.loads(self.attrs["start"]))

    @property
    def start_step(self) -> int:
        """The step of the run that its networks start from: 0, or that of a checkpoint."""
        return int(self.start.get("step") or 0)

    def check_size(self, n_train: int) -> None:
        """Refuse a training-set size that is not the forecast's."""
        there = int(self.attrs["n_train"])
        if n_train != there:
            raise InputError(f"n_train = {n_train}: the forecast has {there}")

    @property
    def seconds(self) -> float:
        """What it took."""
        return float(self.attrs["seconds"])

    def speed_up(self, threshold: float | None = None) -> Floats:
        """How many times fewer optimizer steps than training from the start to t_grok, [seed, gamma, eta_d,
        alpha]; NaN where it does not generalize."""
        return (self.times(threshold).t_grok - self.start_step) / self.real_steps

    def times(self, threshold: float | None = None, metric: str = "accuracy") -> Times:
        """When the networks pass the threshold (default: the file's, of which a relative one is a share of
        the accuracy at the end)."""
        run, hastened = self["real_steps"].values > 0, self.hastened
        shape = run.shape[:-1]
        t_grok, t_mem, error = (np.full(shape, np.nan) for _ in range(3))
        status = np.full(shape, Status.OUTSIDE, object)
        limit = float("nan")
        for cell in np.ndindex(*shape):
            ran = np.flatnonzero(run[cell])
            if not len(ran):
                continue
            found = [self._passes((*cell, int(k)), threshold, metric) for k in ran]
            status[cell], t_grok[cell], t_mem[cell], limit = found[-1]
            ends = [np.inf if np.isnan(each[1]) else each[1] for each in found]
            error[cell] = self._error(ends) if hastened[cell][ran[-1]] else 0.0
        return Times(status, t_grok, t_mem, error, limit)

    def _passes(
        self, run: tuple[int, ...], threshold: float | None, metric: str
    ) -> tuple[Status, float, float, float]:
        """Status, t_grok, t_mem and threshold of one network at one resolution."""
        t = np.asarray(self["t"].values[run], float)
        known = np.isfinite(t)
        t = t[known]
        train, test = (
            np.asarray(self[name].values[run], float)[known] for name in ("train_accuracy", f"test_{metric}")
        )
        limit = float("nan") if threshold is None else float(threshold)
        if threshold is None and metric == "accuracy":
            limit = float(self.attrs["accuracy_threshold"])
            if self.attrs["threshold_relative"] and len(test):
                limit *= float(test[-1])
        t_mem = _time(t, passes_at(train, MEMORIZED, "accuracy"))
        t_grok = _time(t, passes_at(test, limit, metric))
        if not np.isnan(t_grok):
            late = not np.isnan(t_mem) and t_grok > self.start_step
            return (Status.GENERALIZES if late else Status.ALREADY), t_grok, t_mem, limit
        # it goes fast from the first record at which it has fitted on, of which t_mem needs several in a row
        if not (train >= MEMORIZED).any():
            return Status.UNFITTED, t_grok, t_mem, limit
        lost = self["diverged"].values[run] or train[-1] < MEMORIZED
        return (Status.COLLAPSES if lost else Status.OUTSIDE), t_grok, t_mem, limit

    def _error(self, ends: list[float]) -> float:
        if len(ends) < 2:
            return np.inf
        before, last = (end - self.start_step for end in ends[-2:])
        if np.isinf(before) or np.isinf(last):
            return 0.0 if before == last else np.inf
        return float(abs(np.log(max(last, 1.0) / max(before, 1.0))))

    def summary(self, threshold: float | None = None, by: Sequence[float] = ()) -> xr.Dataset:
        """What `what_if` says of every setting, over gamma, eta_d and alpha, and, as medians over the seeds,
        `real_steps` (of all resolutions together), `speed_up` (what training takes over them) and `error`
        (numerical, of ln t_grok); from a checkpoint `to_go`, the steps from there to t_grok. `by`: times in
        steps; `probability` that a run of another seed has generalized by then."""
        import xarray as xr

        from groktime.reduced.forecast_source import ForecastSource
        from groktime.reduced.interval import probability
        from groktime.reduced.source import Lanes
        from groktime.reduced.what_if import what_if

        axes = {name: self[name].values for name in CELLS[1:]}
        table = what_if(self, gamma=self.gamma, eta_d=self.eta_d, alpha=self.alpha, threshold=threshold)
        times, steps = self.times(threshold), self.real_steps.astype(float)
        dims = CELLS[1:]
        table["real_steps"] = dims, np.median(steps, 0)
        table["speed_up"] = dims, ((table["t_grok"] - self.start_step) / np.median(steps, 0)).values
        if self.start_step:
            table["to_go"] = dims, (table["t_grok"] - self.start_step).values
        table["error"] = dims, np.median(np.where(np.isnan(times.t_grok), np.inf, times.error), 0)
        if by := times_of(by):
            mesh = np.meshgrid(*axes.values(), indexing="ij")
            lanes = Lanes(**{k: v.ravel() for k, v in zip(axes, mesh, strict=True)})
            found = ForecastSource(self).read(lanes, threshold=threshold)
            outside = found.status == Status.OUTSIDE
            known = found.t_grok, found.low, found.high, outside
            each = [probability(*known, t, found.model, found.least) for t in by]
            shares = np.reshape(each, (len(by), *mesh[0].shape))
            table["probability"] = xr.DataArray(shares, {"by": by}, ("by", *dims))
        return table

    def curves(self) -> xr.Dataset:
        """The curves at the finest resolution of each network, over seed, gamma, eta_d, alpha and record."""
        import xarray as xr

        run = self["real_steps"].values > 0
        last = np.where(run.any(-1), run.shape[-1] - 1 - np.argmax(run[..., ::-1], -1), 0)
        each = {
            name: (
                (*CELLS, "record"),
                np.take_along_axis(self[name].values, last[..., None, None], 4)[..., 0, :],
            )
            for name in ("t", *CURVES)
        }
        return xr.Dataset(each, {name: self[name].values for name in (*CELLS, "record")})


def times_of(by: Sequence[float]) -> list[float]:
    """Times by which a network may have generalized, in steps; refused where one is not above 0."""
    return numbers("by", by, *POSITIVE).tolist() if len(by) else []


def _time(t: Floats, at: float) -> float:
    """The time of a place among the records; NaN of none."""
    return float("nan") if np.isnan(at) else float(np.interp(at, np.arange(len(t)), t))


def open_forecast(path: str | os.PathLike[str]) -> Forecast:
    """Open a forecast file.

    Raises
    ------
    InputError : naming the file, the variable and what was expected.
    """
    return Forecast.open(path)
