"""`what_if`: many predictions at once from any source, over γ, the learning rates and the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.arguments import check_count, is_list
from groktime.reduced.law import Schedule
from groktime.reduced.remarks import ONE_SEED, of_lanes
from groktime.reduced.source import Lanes, Options, about, check_options, refuse, scheduled
from groktime.reduced.sources import Sourced, source_of
from groktime.reduced.starts import check_settings

if TYPE_CHECKING:
    import xarray as xr

SCHEMA = "groktime-what-if/2"
_STEPS = "optimizer steps"
_END = "end of the 90 % interval of t_grok, for a run of another seed"


def what_if(
    source: Sourced,
    *,
    gamma: ArrayLike,
    eta_d: ArrayLike,
    alpha: ArrayLike,
    eta_r: ArrayLike | None = None,
    m: ArrayLike | None = None,
    schedule: Schedule | None = None,
    **options: Unpack[Options],
) -> xr.Dataset:
    """Grokking times over every combination of the swept settings.

    What is given as a list becomes a dimension of the result, in the order gamma, eta_d, eta_r, alpha, m.

    Parameters
    ----------
    source, gamma, eta_d, alpha, eta_r, m : as in `predict`, each setting one number or a list of them.
    schedule, n_train, sampled_steps, seed, threshold, metric, m_rate, implicit, onset : as in
        `predict`.
    wall : of a landscape: carry the uncertainty of the wall's place into `low` and `high`, as `predict` does,
        at three times the cost; otherwise they do not hold it (attribute `interval_holds`).

    Returns
    -------
    Dataset with `t_grok` and `t_mem` (steps; median over seeds, NaN where half of them or more never
    generalize), `low` and `high` (90 % of the runs of other seeds; infinite where one may never generalize,
    NaN of one seed, or where an end would need a seed that is outside), `generalizing` (share of the seeds),
    `status`, and `remark`, sentences in one line, "" where there is nothing to say.

    Raises
    ------
    InputError : naming the argument and what was expected.
    """
    this = source_of(source)
    refuse(this, "eta_r", eta_r)
    refuse(this, "m", m)
    given: dict[str, Any] = {"gamma": gamma, "eta_d": eta_d, "eta_r": eta_r, "alpha": alpha, "m": m}
    axes = check_settings(**given)
    chosen = check_options(this, options)
    check_count("the settings", (values.size for values in axes.values()))
    mesh = dict(zip(axes, np.meshgrid(*axes.values(), indexing="ij"), strict=True))
    schedule = about(this).schedule if schedule is None else schedule
    lanes = Lanes(**{name: values.ravel() for name, values in mesh.items()})
    found = scheduled(this.read(lanes, **chosen), schedule)
    over = found.over_seeds()
    told = np.array([" ".join(each) for each in of_lanes(found, over, lanes)], np.str_)
    swept = tuple(name for name in axes if is_list(given[name]))
    shape = tuple(axes[name].size for name in swept)

    def variable(values: NDArray[Any], unit: str, name: str) -> Any:
        return swept, values.reshape(shape), {"units": unit, "long_name": name}

    import xarray as xr

    names = np.array([s.value for s in over.status])
    return xr.Dataset(
        {
            "t_grok": variable(over.t_grok, _STEPS, "grokking time, median over seeds"),
            "t_mem": variable(over.t_mem, _STEPS, "time to fit the training set, median over seeds"),
            "low": variable(over.low, _STEPS, f"lower {_END}"),
            "high": variable(over.high, _STEPS, f"upper {_END}"),
            "generalizing": variable(over.generalizing, "1", "share of the seeds that generalize"),
            "status": variable(names, "1", "what becomes of the network"),
            "remark": variable(told, "1", "what a reader has to know"),
        },
        {name: (name, axes[name], {"units": _UNITS[name], "long_name": _NAMES[name]}) for name in swept},
        {
            "schema": SCHEMA,
            "source": about(this).file,
            "kind": about(this).kind,
            "interval_holds": "; ".join(over.holds) or ONE_SEED,
            **{name: float(v[0]) for name, v in axes.items() if name not in swept},
            **{name: value for name, value in chosen.items() if name in ("implicit", "onset")},
            **({} if schedule.constant else {"schedule": str(schedule)}),
        },
    )


_NAMES = {
    "gamma": "weight decay",
    "eta_d": "learning rate of the network",
    "eta_r": "learning rate of the representation",
    "alpha": "start, weight norm over the norm at initialization",
    "m": "start, messiness",
}
_UNITS = {"gamma": "1", "eta_d": "1/step", "eta_r": "1/step", "alpha": "w / w0", "m": "1"}
