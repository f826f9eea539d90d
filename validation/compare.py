"""`compare`: what sources say of trained networks beside what became of them, run by run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.fullnet.runs import Runs, runs_of
from groktime.reduced.errors import InputError
from groktime.reduced.files import FileName
from groktime.reduced.landscape import Landscape
from groktime.reduced.source import Source, about
from groktime.reduced.sources import Sourced, source_of
from groktime.reduced.starts import check_option
from groktime.reduced.system import LEVEL, MEMORIZED, systems
from groktime.validation.ask import Predictor, ask, check_options, file_of, options_for, predictors_of
from groktime.validation.baselines import baselines
from groktime.validation.comparison import Comparison
from groktime.validation.match import check_match, configuration
from groktime.validation.measure import measure
from groktime.validation.score import summary
from groktime.validation.table import Column, assemble, baseline_column, measured, source_columns

Floats = NDArray[np.float64]


def compare(
    sources: Sourced | Sequence[Sourced],
    runs: Runs | FileName,
    *,
    threshold: float | None = None,
    metric: str = "accuracy",
    persist: int = 3,
    rule: str = "persist",
    train_threshold: float | None = None,
    level: float = LEVEL,
    m_rate: str = "eq6",
    sampled_steps: int | None = None,
) -> Comparison:
    """Predicted and measured times of each run, and how good the predictions were.

    Sources get the run's settings (gamma, eta_d, eta_r, alpha, m_start, N) and nothing else: nothing is
    fitted. A run whose seed a source has is predicted from that seed, another from the median over the
    source's seeds. Beside them stand baselines, which are fitted, and say on what.

    Parameters
    ----------
    sources : one or many: landscapes, decay paths, other sources, or names or files of the first two. Several
        landscapes are one predictor, "flow", as those that were sampled from above, each from another start:
        each run is predicted from the one whose largest alpha is next at or above its start. To compare
        landscapes, give them names: `FlowSource(land, "fine")`.
    runs : the trained networks, or their file.
    threshold, metric : what counts as generalized, of prediction and measurement alike (default: the
        files' accuracy; one relative to the ceiling is taken from a landscape, seed by seed).
    persist, rule, train_threshold : of the measurement, see `measure`.
    level, m_rate, sampled_steps : of the prediction, see `predict`; for the sources that take them.

    Raises
    ------
    InputError : naming an argument, or what keeps a source and the runs from being compared: another task or
        its settings, loss, threshold, n_train, network, law of decay, or one that is not known.
    """
    runs, every = runs_of(runs), _sources(sources)
    given = {
        "threshold": threshold, "metric": metric, "level": level, "m_rate": m_rate,
        "sampled_steps": sampled_steps,
    }  # fmt: skip
    options: dict[str, Any] = {name: check_option(name, value) for name, value in given.items()}
    check_options(every, options)
    threshold, metric = options["threshold"], options["metric"]
    remarks = [text for one in every for text in check_match(file_of(one), runs, threshold, metric)]
    predictors = predictors_of(every, runs)
    delays = measure(runs, _limits(predictors, runs, options), persist, metric, train_threshold, rule)
    count = runs.dataset.sizes["run"]
    limits = np.broadcast_to(np.asarray(delays.attrs["threshold"], float), count)
    remarks += _stopped_below(runs, limits, metric)
    rate = runs.law.speed * runs.dataset["eta_d"].values
    rows = measured(runs, delays, rate * runs.dataset["gamma"].values)
    columns: list[Column] = []
    holds: list[str] = []
    for predictor in predictors:
        answer = ask(predictor, runs, limits, options)
        if not all(_fits_alike(one, delays) for one in predictor.sources):
            answer.t_mem[:] = np.nan
            remarks.append(_another_fit(predictor))
        if answer.holds:
            holds.append(f"{predictor.name}: {answer.holds}")
        taken = [c.name for c in columns] + [p.name for p in predictors]
        columns += source_columns(predictor.name, answer, _facts(predictor, options), taken)
    columns += [baseline_column(name, made) for name, made in baselines(rows, runs.law.schedule).items()]
    table = assemble(
        rows,
        columns,
        {
            "runs": runs.source,
            **{k: delays.attrs[k] for k in ("task", "loss", "metric", "rule", "persist", "train_threshold")},
            "level": options["level"],
            "m_rate": options["m_rate"],
            "remarks": "\n".join(dict.fromkeys(remarks)),
            "interval_holds": "\n".join(holds),
        },
    )
    return Comparison(table, summary(table), predictors, runs, options)


def _sources(given: Sourced | Sequence[Sourced]) -> list[Source]:
    each: Sequence[Any] = given if isinstance(given, list | tuple) else [given]
    if not each:
        raise InputError("sources: expected a landscape, a decay path or another source, or several")
    return [source_of(one) for one in each]


def _facts(predictor: Predictor, options: Mapping[str, Any]) -> dict[str, str]:
    """What the table says of a predictor beside its name."""
    last = predictor.sources[-1]
    settings = getattr(last, "settings", dict)(options_for(last, options))
    kept = {k: v for k, v in settings.items() if k not in ("n_train", "seed", "metric") and v is not None}
    return {
        "kind": about(last).kind,
        "file": ", ".join(dict.fromkeys(about(one).file for one in predictor.sources)),
        "options": ", ".join(f"{k} = {v}" for k, v in kept.items()),
    }


def _limits(predictors: Sequence[Predictor], runs: Runs, options: Mapping[str, Any]) -> ArrayLike | None:
    """The test threshold of the measurement: one for all, or that of each run's seed in the landscape that
    has one relative to its ceiling."""
    for predictor in predictors:
        lands = [one for one in map(file_of, predictor.sources) if isinstance(one, Landscape)]
        relative = any(land.dataset.attrs["threshold_relative"] for land in lands)
        if relative and options["threshold"] is None and options["metric"] == "accuracy":
            return _relative([lands[k] for k in predictor.which], runs, options["sampled_steps"])
    threshold: float | None = options["threshold"]
    return threshold


def _relative(lands: Sequence[Landscape], runs: Runs, budget: int | None) -> list[float]:
    """The threshold of each run, [run]: that of its seed, or the median over the landscape's seeds."""
    found: dict[tuple[str, int], tuple[dict[int, float], float]] = {}
    limits = []
    for land, size, seed in zip(lands, runs.dataset["n_train"].values, runs.seeds, strict=True):
        n = 0 if land.n_train == [0] else int(size)
        if (land.source, n) not in found:
            each = {s.seed: s.threshold for s in systems(land, n_train=n, sampled_steps=budget)}
            found[land.source, n] = each, float(np.median(list(each.values())))
        each, middle = found[land.source, n]
        limits.append(each.get(int(seed), middle))
    return limits


def _stopped_below(runs: Runs, limits: Floats, metric: str) -> list[str]:
    stop = configuration(runs).get("stop_at")
    if metric != "accuracy" or stop is None or not runs.finished.any() or np.all(limits <= stop):
        return []
    return [
        f"the runs were stopped at test accuracy {stop:g}, below the threshold: those that had not "
        "passed it by then count as censored"
    ]


def _fits_alike(source: Source, delays: Any) -> bool:
    """Whether "memorized" means the same to the source and in the measurement."""
    limit, land = np.unique(delays.attrs["train_threshold"]), file_of(source)
    accuracies = not isinstance(land, Landscape) or not np.isnan(land.dataset["train_accuracy"].values).all()
    if delays.attrs["metric"] == "accuracy":
        return accuracies and bool(np.all(limit == MEMORIZED))
    return not accuracies and bool(np.all(limit == LEVEL))


def _another_fit(predictor: Predictor) -> str:
    return (
        f"t_mem is measured by another threshold than that of {predictor.name} (train accuracy "
        f"{MEMORIZED:g}, or of a landscape without accuracies loss {LEVEL:g}): it and the delay are not "
        "predicted"
    )
