"""What a reader has to know of a prediction: every rule once, with its sentence.

A rule marks lanes, [lane]; the sentences of a lane are its remarks, in `predict`, `what_if` and `compare`
alike. They hold no number of the lane, so that runs that are told the same can be counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.drift import CUTOFF, FIELDS, LOOP
from groktime.reduced.flow import Status
from groktime.reduced.system import DEEP

if TYPE_CHECKING:
    from groktime.reduced.path_reading import Readings as PathReadings
    from groktime.reduced.source import Lanes, OverSeeds, Readings
    from groktime.reduced.system import System

Floats = NDArray[np.float64]
Rules = Sequence[tuple[ArrayLike, str]]
Remarks = tuple[tuple[str, ...], ...]

LONG = 5.0  # a delay of so many t_mem is long against the fit
STEP = 0.1  # share of the norm that decays in a step, up to which ηγ is small
APART = 0.05  # numerical error, as a share of τ_c, up to which there is no remark
_MOST = 0.5  # of a way that a cell may be; of cells or seeds that a remark is of


# --- of all sources ------------------------------------------------------------------------------

ONE_SEED = "one seed: no interval"
NOT_SMALL = f"eta_d * gamma is above {STEP:g}: decay is not slow, and no time goes as 1/(eta_d gamma) there."
BEFORE_FIT = "t_grok is below t_mem: the threshold is passed before the training set is fitted."
NOT_FITTED = "The training set is not fitted by t_grok: there is no t_mem, and no delay."
SOME_OUTSIDE = "Some of the seeds are outside of what was sampled: no end of the interval is theirs."


def of_lanes(found: Readings, over: OverSeeds, lanes: Lanes) -> Remarks:
    """All remarks of each lane: those of the source, and those that any source has."""
    outside = found.status == Status.OUTSIDE
    goes = np.isfinite(over.t_grok)
    with np.errstate(invalid="ignore"):
        before = goes & (over.t_mem > over.t_grok)
    common = told(
        len(lanes),
        [
            (lanes.eta_d * lanes.gamma > STEP, NOT_SMALL),
            (before, BEFORE_FIT),
            (goes & np.isnan(over.t_mem), NOT_FITTED),
            (outside.any(0) & ~outside.all(0), SOME_OUTSIDE),
        ],
    )
    own = found.remarks or ((),) * len(lanes)
    listed = [(each,) if isinstance(each, str) else tuple(each) for each in own]
    return tuple(
        tuple(text for text in dict.fromkeys((*mine, *shared)) if text)
        for mine, shared in zip(listed, common, strict=True)
    )


def told(lanes: int, rules: Rules) -> Remarks:
    """The sentences of each lane, of rules that mark lanes, or all of them at once."""
    marked = [(np.broadcast_to(mark, lanes), text) for mark, text in rules]
    return tuple(tuple(text for mark, text in marked if mark[k]) for k in range(lanes))


# --- of landscapes -------------------------------------------------------------------------------

NO_VALLEY = (
    f"The training loss has no valley: nowhere on this landscape is it below {DEEP:g} of its largest value."
)
COARSE = "The grid is coarse around alpha_c: one of its cells is more than half of the way there."
UNCONVERGED = "Most cells {} had not converged when sampling ended."
BESIDE, ANYWHERE = "next to alpha_c", "of the landscape"
FAST = "gamma is above the decay that this landscape, sampled from above, amounts to: Eq. 6 is early there."


LOST = 0.1  # by which a turning direction may make the time longer without a remark
CLOCK = (
    "Eq. 6 has lost its clock: the direction of the weights turns on the way down, and w does not fall at "
    "eta_D gamma; `turning` is the time corrected for that."
)
LOOSE = (
    "Two ways to the start's sphere disagree on the drift of m by more than half of it: the time with drift "
    "hangs there on how the network came to its m."
)


def of_landscape(
    chosen: Sequence[System],
    lanes: Lanes,
    end: Floats,
    attrs: Mapping[str, object],
    turning: Floats | None = None,
) -> Remarks:
    """Remarks on what a landscape can tell of each lane; `end` [seed, lane]: u = ln w where it generalizes,
    NaN where it does not; `turning` [seed, lane]: the time with a turning direction over that of Eq. 6. A
    remark is of half of the seeds or more."""
    start = np.log(lanes.alpha * np.array([[s.w0] for s in chosen]))
    loose = [_loose(s, lanes, u) for s, u in zip(chosen, start, strict=True)]
    each = [_cells(s, u, v) for s, u, v in zip(chosen, start, end, strict=True)]
    coarse, open_cells = (np.mean([part[k] for part in each], axis=0) >= _MOST for k in (0, 1))
    settings = json.loads(str(attrs["configuration"]))
    above = settings.get("start") == "above"
    return told(
        len(lanes),
        [
            (np.mean([not s.valley for s in chosen]) >= _MOST, NO_VALLEY),
            (coarse, COARSE),
            # from above, the steps on a sphere are the decay, and are not meant to converge
            (
                open_cells & (not above),
                UNCONVERGED.format(ANYWHERE if chosen[0].surface.two_dimensional else BESIDE),
            ),
            (lanes.gamma > _from_above(settings, chosen[0]) if above else False, FAST),
            (False if turning is None else np.mean(turning > 1 + LOST, axis=0) >= _MOST, CLOCK),
            (np.mean(loose, axis=0) >= _MOST, LOOSE),
        ],
    )


def _loose(s: System, lanes: Lanes, start: Floats) -> NDArray[np.bool_]:
    """Whether dm/dτ of two ways to the cell next to a start differ by more than half, [lane]."""
    if lanes.m is None or LOOP not in s.layer:
        return np.zeros(len(lanes), bool)

    def of(name: str) -> Floats:
        return np.asarray(s.layer[name].values, float)

    gamma = np.maximum(lanes.gamma, of(CUTOFF)[0])
    grids = np.log(of(CUTOFF)), of("m"), np.log(of("alpha") * s.w0)
    cell = tuple(
        np.abs(grid[:, None] - at).argmin(0)
        for grid, at in zip(grids, (np.log(gamma), lanes.m, start), strict=True)
    )
    overlap, turn = (np.abs(of(name))[cell] for name in FIELDS[1:])
    return np.asarray(of(LOOP)[cell] * turn > _MOST * overlap)


def _cells(s: System, start: Floats, end: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the grid's cell at the end is too wide for the way to it, and whether most of the cells there
    (of a landscape of (w, m), of all) are not converged; [lane]."""
    u = np.log(np.asarray(s.layer["alpha"].values, float) * s.w0)
    known = np.isfinite(end) & (start > end)
    k = np.clip(np.searchsorted(u, np.where(known, end, u[0])), 1, len(u) - 1)
    coarse = known & (u[k] - u[k - 1] > _MOST * (start - end))
    done = np.asarray(s.layer["converged"].values, bool)
    if s.surface.two_dimensional:
        return coarse, known & (np.mean(~done) > _MOST)
    return coarse, known & ~done[0, k] & ~done[0, k - 1]


def _from_above(settings: Mapping[str, object], s: System) -> float:
    """The weight decay that spheres from above amount to: ln alpha from one to the next in so many steps."""
    optimizer, budgets = settings.get("optimizer"), settings.get("budgets")
    if not isinstance(optimizer, dict) or not isinstance(budgets, list) or not optimizer.get("rate"):
        return float("inf")
    apart = float(np.median(np.diff(np.log(np.asarray(s.layer["alpha"].values, float)))))
    return apart / (float(budgets[-1]) * float(optimizer["rate"]))


# --- of decay paths ------------------------------------------------------------------------------

ABOVE = "gamma is above what the path resolves: a smaller `refit` would resolve it."
SHORT = "The delay is not long against the fit: it is not as 1/gamma."
ERROR = f"The numerical error is above {APART:.0%} of tau_c: a larger `refit` would tell better."
ONE_RESOLUTION = "The path has one resolution, which tells nothing of its error."


def of_path(found: PathReadings, resolutions: int) -> Remarks:
    """Remarks on what a decay path can tell of each lane."""
    known = np.asarray(np.isfinite(found.t_grok).any(0))
    lasting = found.status == Status.GENERALIZES
    with np.errstate(invalid="ignore", divide="ignore"):
        short = (found.t_grok - found.t_mem < LONG * found.t_mem) & lasting
        rough = (found.tau_error > APART * found.tau_c) & (found.tau_c > 0)
    return told(
        len(known),
        [
            (~found.resolved & known, ABOVE),
            (short.sum(0) > _MOST * lasting.sum(0), SHORT),
            (rough.any(0), ERROR),
            (known & (resolutions == 1), ONE_RESOLUTION),
        ],
    )


# --- of forecasts --------------------------------------------------------------------------------

NOT_FORECAST = "The setting is not among those that were forecast, nor between them: nothing is extrapolated."
ROUGH = (
    f"The numerical error is above {STEP:.0%} of t_grok: a smaller `precision` or a larger `budget` "
    "would tell better."
)


def of_forecast(error: Floats, t_grok: Floats, inside: NDArray[np.bool_]) -> Remarks:
    """Remarks on what a forecast can tell of each lane: its error in ln t_grok, [seed, lane], and whether the
    lane lies among the settings that were forecast."""
    with np.errstate(invalid="ignore"):
        rough = inside & ((error > STEP) & np.isfinite(t_grok)).any(0)
    return told(len(inside), [(rough, ROUGH), (~inside, NOT_FORECAST)])
