"""What the commands do. Each imports what it needs, so that none pays for another."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groktime.ranges import values
from groktime.reduced.errors import InputError

if TYPE_CHECKING:
    from groktime.fullnet.task import Task
    from groktime.reduced.landscape import Landscape


def run(options: argparse.Namespace) -> None:
    """Run the chosen command."""
    _COMMANDS[options.command](options)


def _predict(options: argparse.Namespace) -> None:
    from groktime.reduced.either import open_either, predict

    source = open_either(options.landscape)
    if options.output:
        _check_figure(options)
    level = {} if options.level is None else {"level": options.level}
    given = {"gamma": options.gamma, **_start(options), **_which(options), **level}
    p = predict(source, **given)
    if options.output:
        p.plot(options.output, overwrite=options.overwrite)
    if options.json:
        print(json.dumps(p.to_dict()))
    else:
        print(p.report())
        if options.output:
            print(f"\nFigure      {options.output}")


def _what_if(options: argparse.Namespace) -> None:
    from groktime.reduced.either import open_either, what_if

    land = open_either(options.landscape)
    data = bool(options.output) and Path(options.output).suffix == ".nc"
    if options.output and not data:
        _check_figure(options, ".nc, ")
    elif options.output:
        from groktime.reduced.files import check_output

        check_output(Path(options.output), options.overwrite)
    swept: dict[str, Any] = {
        name: _one_or_many(name, getattr(options, name))
        for name in ("gamma", "eta_d", "eta_r", "alpha", "m")
        if getattr(options, name) is not None
    }
    ds = what_if(land, **swept, **_which(options), m_rate=options.m_rate, implicit=options.implicit)
    if data:
        from groktime.reduced.files import write_dataset

        write_dataset(ds, Path(options.output), options.overwrite)
    elif options.output:
        from groktime.reduced.figures import plot_what_if

        plot_what_if(ds, options.output, overwrite=options.overwrite)
    if options.json:
        print(json.dumps(_plain(ds.to_dict())))
    else:
        frame = ds.to_dataframe() if ds.dims else ds.expand_dims("start").to_dataframe()
        print(frame.to_string(float_format=lambda x: f"{x:.6g}", max_rows=60))


def _recommend(options: argparse.Namespace) -> None:
    from groktime.reduced.either import open_either
    from groktime.reduced.recommend import recommend

    start = _start(options)
    r = recommend(open_either(options.landscape), budget=options.budget, **start, **_which(options))
    if options.json:
        numbers = {k: getattr(r, k) for k in ("budget", "gamma", "cautious", "strongest")}
        print(json.dumps(_plain(numbers | {"prediction": r.prediction.to_dict()})))
    else:
        print(r.report())


def _sample(options: argparse.Namespace) -> None:
    from dataclasses import replace

    with _needs_torch():
        from groktime.fullnet.sampler import sample

    task = _task(options)
    if options.decay_every is not None:
        task = replace(task, optimizer=replace(task.optimizer, every=options.decay_every))
    land = sample(
        task,
        alpha=values("alpha", options.alpha),
        m=(1.0,) if options.m is None else values("m", options.m),
        n_train=options.n_train,
        steps=options.steps,
        budgets=options.budgets,
        gradient=options.gradient,
        start=options.start,
        refine=options.refine,
        **_work(options),
    )
    print(f"{options.output}: {land.task}, {len(land.seeds)} seeds, {len(land.m)} x {len(land.alpha)} cells")


def _train(options: argparse.Namespace) -> None:
    with _needs_torch():
        from groktime.fullnet.trainer import train

    task = _task(options)
    lists: dict[str, Any] = {
        name: values(name.replace("_", "-"), getattr(options, name))
        for name in ("gamma", "alpha", "eta_d", "eta_r", "m")
        if getattr(options, name) is not None
    }
    same = ("n_train", "steps", "paired", "optimizer", "representation", "batch", "resolution", "stop_at")
    taken = {name: getattr(options, name) for name in (*same, "constrained", "dtype", "members")}
    runs = train(task, **lists, **taken, **_work(options))
    diverged = int(runs.dataset["diverged"].sum())
    print(f"{options.output}: {runs.task}, {runs.dataset.sizes['run']} runs, {diverged} diverged")


def _sample_path(options: argparse.Namespace) -> None:
    with _needs_torch():
        from groktime.fullnet.decay_path import sample_path

    task = _task(options)
    lists: dict[str, Any] = {
        name: values(name, getattr(options, name))
        for name in ("alpha", "m")
        if getattr(options, name) is not None
    }
    same = ("n_train", "eta_d", "eta_r", "dtau", "refit", "tau", "fit", "fit_steps", "fit_loss", "optimizer")
    taken = {name: getattr(options, name) for name in (*same, "representation", "stop_at", "batch")}
    path = sample_path(task, **lists, **taken, **_work(options))
    diverged = int(path.dataset["diverged"].sum())
    print(
        f"{options.output}: {path.task}, {len(path.seeds)} seeds, {len(path.alpha)} alpha, "
        f"refit {', '.join(map(str, path.refit))}, {diverged} diverged"
    )


@contextmanager
def _needs_torch() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "tqdm", "cloudpickle"):
            raise
        raise InputError("training networks needs PyTorch: pip install 'groktime[train]'") from error


def _task(options: argparse.Namespace) -> Task:
    """The task of `sample` and `train`; a user's own is refused with what is wrong with it."""
    from groktime.fullnet.find import BUILT_IN, find_task, own

    names = {name for task in BUILT_IN.values() for name in task.settings}
    settings = {name: getattr(options, name) for name in sorted(names)}
    largest = max(options.n_train) if options.n_train else None
    task = find_task(options.task, settings, largest, options.preset)
    if own(options.task):
        from groktime.fullnet.check.task import check_task

        wrong = [finding for finding in check_task(task) if not finding.note]
        if wrong:
            raise InputError(f"task {options.task!r}: {wrong[0]}")
    if options.m is not None and not task.messiness:
        raise InputError(f"--m: {options.task} has no messiness")
    return task


def _work(options: argparse.Namespace) -> dict[str, Any]:
    """What `sample` and `train` are told alike."""
    if Path(options.output).suffix != ".nc":
        raise InputError(f"{options.output}: expected a name that ends in .nc")
    return {
        "seeds": range(options.seeds[0]) if len(options.seeds) == 1 else options.seeds,
        "out": options.output,
        "device": options.device,
        "workers": options.workers,
        "compiled": options.compiled,
        "progress": not options.quiet,
        "overwrite": options.overwrite,
    }


def _figure(options: argparse.Namespace) -> None:
    """The list of recipes, one of them, or a drawing of a landscape."""
    of_landscape = ("gamma", "eta_d", "eta_r", "alpha", "m", "seed", "n_train", "threshold", "sampled_steps")
    if options.name in _KINDS:
        _refuse(options, "full", "seeds", "write", "json", why="is for recipes and their list")
        _draw(options)
        return
    from groktime.recipes.listing import list_of_recipes
    from groktime.recipes.registry import catalogue

    recipes = catalogue()
    if options.name is not None and options.name not in recipes:
        raise InputError(
            f"figure {options.name!r}: expected one of {', '.join(recipes)}, or {', '.join(_KINDS)}"
        )
    _refuse(options, "landscape", *of_landscape, why="is for lu, sizes and gradients, drawn of a landscape")
    if options.name is None:
        _refuse(options, "output", "full", "seeds", "write", why="is for one figure; expected its name")
        figures = {name: asdict(recipe) for name, recipe in recipes.items()}
        print(json.dumps({"figures": figures}) if options.json else f"{list_of_recipes()}\n{_OF_LANDSCAPES}")
        return
    _refuse(options, "json", why="is for the list; leave out the figure's name")
    out, write = (Path(given) if given else None for given in (options.output, options.write))
    from groktime.recipes.runner import run_recipe

    run_recipe(options.name, out, options.seeds, options.full, write)


_OF_LANDSCAPES = """Figures of a landscape (groktime figure KIND LANDSCAPE -o FILE)
  lu         P Fig. 2a, of a landscape of w alone
  sizes      P Fig. 6e, of a landscape of (w, m)
  gradients  P Fig. 6d, of a landscape of (w, m)"""
_KINDS = ("lu", "sizes", "gradients")


def _refuse(options: argparse.Namespace, *names: str, why: str) -> None:
    """One sentence on an option that is given where it means nothing."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value is not False:  # 0 is given
            flag = name if name == "landscape" else "--" + name.replace("_", "-")
            raise InputError(f"{flag}: {why}")


def _draw(options: argparse.Namespace) -> None:
    if options.landscape is None:
        raise InputError(f"figure {options.name}: expected a landscape, by its shipped name or a .nc file")
    if options.output is None:
        raise InputError("-o: expected a name that ends in .png, .pdf or .svg")
    from groktime.reduced import figures
    from groktime.reduced.prediction import predict

    land = _open(options)
    _check_figure(options)
    if options.name == "lu":
        if land.two_dimensional:
            raise InputError(f"figure lu: {land.source} is a landscape of (w, m); expected one of w alone")
        figures.plot_lu(land, options.output, overwrite=options.overwrite)
        return
    if not land.two_dimensional:
        raise InputError(f"figure {options.name}: {land.source} has no m; expected a landscape of (w, m)")
    start = {
        "gamma": options.gamma if options.gamma is not None else 1e-3,
        "eta_d": options.eta_d if options.eta_d is not None else 1e-2,
        "eta_r": options.eta_r,
        "alpha": options.alpha if options.alpha is not None else float(land.alpha[-1]),
        "m": options.m if options.m is not None else float(land.m[-1]),
    }
    which = {k: v for k, v in _which(options).items() if k != "n_train"}
    if options.name == "gradients":
        p = predict(land, **start, n_train=options.n_train, **which)
        figures.plot_gradients(p, options.output, overwrite=options.overwrite)
    else:
        each = {n: predict(land, **start, n_train=n, **which) for n in land.n_train}
        figures.plot_sizes(each, options.output, overwrite=options.overwrite)


def _measure(options: argparse.Namespace) -> None:
    from groktime.fullnet.runs import open_runs
    from groktime.reduced.files import check_output, write_dataset
    from groktime.validation.measure import measure
    from groktime.validation.report import groups, report
    from groktime.validation.survival import summary

    runs = open_runs(options.runs)
    if options.output:
        if Path(options.output).suffix != ".nc":
            raise InputError(f"{options.output}: expected a name that ends in .nc")
        check_output(Path(options.output), options.overwrite)
    delays = measure(
        runs,
        threshold=options.threshold,
        persist=options.persist,
        metric=options.metric,
        train_threshold=options.train_threshold,
        rule=options.rule,
    )
    medians = summary(delays, by=groups(delays))
    if options.output:
        write_dataset(delays, Path(options.output), options.overwrite)
    if options.json:
        print(json.dumps(_plain({"delays": delays.to_dict(), "medians": medians.to_dict()})))
    else:
        print(report(delays, medians))
        if options.output:
            print(f"\nDelays      {options.output}")


def _compare(options: argparse.Namespace) -> None:
    from groktime.fullnet.runs import open_runs
    from groktime.reduced.decay_path import open_path
    from groktime.validation.compare import compare
    from groktime.validation.folder import check_folder

    if options.output:
        check_folder(Path(options.output), options.overwrite)
    same = ("threshold", "metric", "persist", "rule", "train_threshold", "m_rate", "sampled_steps")
    level = {} if options.level is None else {"level": options.level}
    path = None if options.path is None else open_path(options.path)
    comparison = compare(
        _open(options), open_runs(options.runs), path, **{k: getattr(options, k) for k in same}, **level
    )
    if options.output:
        comparison.report(options.output, overwrite=options.overwrite)
    if options.json:
        print(json.dumps(_plain(comparison.to_dict())))
    else:
        print(comparison.text())
        if options.output:
            print(f"\nReport      {options.output}")


def _tasks(options: argparse.Namespace) -> None:
    from groktime.listed import listed, text

    found = listed()
    print(json.dumps(found) if options.json else text(found))


_COMMANDS = {
    "predict": _predict,
    "whatif": _what_if,
    "recommend": _recommend,
    "sample": _sample,
    "sample-path": _sample_path,
    "train": _train,
    "figure": _figure,
    "measure": _measure,
    "compare": _compare,
    "tasks": _tasks,
}


def _open(options: argparse.Namespace) -> Landscape:
    from groktime.reduced.landscape import open_landscape

    return open_landscape(options.landscape)


def _check_figure(options: argparse.Namespace, also: str = "") -> None:
    """Before any work: the output can be written and is of a kind that can be drawn."""
    from groktime.reduced.files import check_output

    path = Path(options.output)
    if path.suffix not in (".png", ".pdf", ".svg"):
        raise InputError(f"{path}: expected a name that ends in {also}.png, .pdf or .svg")
    check_output(path, options.overwrite)


def _which(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "seed": options.seed,
        "n_train": options.n_train,
        "threshold": options.threshold,
        "metric": options.metric,
        "sampled_steps": options.sampled_steps,
    }


def _start(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "eta_d": options.eta_d,
        "eta_r": options.eta_r,
        "alpha": options.alpha,
        "m": options.m,
        "m_rate": options.m_rate,
        "implicit": options.implicit,
    }


def _one_or_many(name: str, texts: list[str]) -> float | list[float]:
    numbers = values(name.replace("_", "-"), texts)
    return numbers if len(numbers) > 1 or ":" in texts[0] else numbers[0]


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: None."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
