"""`groktime tasks`: the built-in tasks with their presets and costs, and what ships."""

from __future__ import annotations

from typing import Any

from groktime.fullnet.built_in import BUILT_IN, BuiltIn
from groktime.reduced.decay_path import open_path
from groktime.reduced.landscape import open_landscape
from groktime.reduced.shipped import shipped


def listed() -> dict[str, dict[str, Any]]:
    """Tasks, landscapes and decay paths by name, as plain values."""
    return {
        "tasks": {name: _task(task) for name, task in BUILT_IN.items()},
        "landscapes": {name: _landscape(name) for name in shipped("landscapes")},
        "paths": {name: _path(name) for name in shipped("paths")},
    }


def _task(task: BuiltIn) -> dict[str, Any]:
    return {
        "line": task.line,
        "figures": task.figures,
        "settings": list(task.settings),
        "presets": {name: dict(settings) for name, settings in task.presets.items()},
        "run": f"groktime {task.run}",
        "member_steps": task.member_steps,
        "minutes": task.minutes,
    }


def _landscape(name: str) -> dict[str, Any]:
    land = open_landscape(name)
    return {
        "task": land.task,
        "seeds": len(land.seeds),
        "n_train": land.n_train,
        "alpha": [float(land.alpha[0]), float(land.alpha[-1]), len(land.alpha)],
        "m": [float(land.m[0]), float(land.m[-1]), len(land.m)],
        "budget": land.budgets[-1],
    }


def _path(name: str) -> dict[str, Any]:
    path = open_path(name)
    return {
        "task": path.task,
        "seeds": len(path.seeds),
        "n_train": path.n_train,
        "alpha": path.alpha.tolist(),
        "refit": path.refit,
        "tau": float(path.tau[-1]),
    }


def text(found: dict[str, dict[str, Any]]) -> str:
    """What `listed` gives, for a person."""
    lines = ["Tasks (groktime sample TASK …, groktime train TASK …), or MODULE:ATTRIBUTE, one of your own"]
    for name, facts in found["tasks"].items():
        lines.append(f"  {name:<22}{facts['line']}")
        options = ", ".join(f"--{s.replace('_', '-')}" for s in facts["settings"])
        presets = [f"{k} ({_settings(v)})" for k, v in facts["presets"].items()]
        steps, minutes = facts["member_steps"], facts["minutes"]
        time = "time on two cores not measured" if minutes is None else f"{_minutes(minutes)} on two cores"
        for word, value in (
            ("figures", facts["figures"]),
            ("settings", options),
            ("presets", ", ".join(presets)),
            ("for example", facts["run"]),
            ("", f"{steps:,} steps of one network, {time}"),
        ):
            lines.append(f"    {word:<20}{value or 'none'}")
    lines.append("Landscapes that ship (groktime predict NAME …)")
    for name, facts in found["landscapes"].items():
        a, m = facts["alpha"], facts["m"]
        size = f"{m[2]} x {a[2]}" if m[2] > 1 else f"{a[2]}"
        lines.append(
            f"  {name:<22}{facts['task']}, {facts['seeds']} seeds, N = {facts['n_train']}, {size} cells, "
            f"alpha {a[0]:g} to {a[1]:g}" + (f", m {m[0]:g} to {m[1]:g}" if m[2] > 1 else "")
        )
    lines.append("Decay paths that ship (groktime predict NAME …)")
    for name, facts in found["paths"].items():
        alpha, refit = (", ".join(f"{x:g}" for x in facts[k]) for k in ("alpha", "refit"))
        lines.append(
            f"  {name:<22}{facts['task']}, {facts['seeds']} seeds, N = {facts['n_train']}, alpha {alpha}, "
            f"refit {refit}, to tau = {facts['tau']:g}"
        )
    return "\n".join(lines)


def _settings(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def _minutes(minutes: float) -> str:
    return f"about {minutes:.0f} minutes" if minutes >= 1.5 else "a minute or less"
