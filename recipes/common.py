"""What the recipes share: work that is done once and then read, and the line that says on what."""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from fullnet.runs import Runs, open_runs
from fullnet.sampler import sample
from fullnet.task import Task
from fullnet.trainer import train
from reduced.landscape import Landscape, open_landscape


def folder(description: str, *arguments: tuple[str, dict[str, Any]]) -> argparse.Namespace:
    """The options of a recipe; `out` is made."""
    name = Path(description.split("`python recipes/")[1].split(".py")[0]).name
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("out") / name, help="folder of what is written"
    )
    parser.add_argument("--seeds", type=int, default=4, help="how many")
    for flag, how in arguments:
        parser.add_argument(flag, **how)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def trained(path: Path, task: Task, **settings: Any) -> Runs:
    """The runs of a file, trained first if it is not there (`fullnet.trainer.train`)."""
    if not path.exists():
        with _Clock(path):
            train(task, out=path, **settings)
    return open_runs(path)


def sampled(path: Path, task: Task, **settings: Any) -> Landscape:
    """The landscape of a file, sampled first if it is not there (`fullnet.sampler.sample`)."""
    if not path.exists():
        with _Clock(path):
            sample(task, out=path, **settings)
    return open_landscape(path)


class _Clock:
    """Writes beside a result how long it took and on what."""

    def __init__(self, path: Path) -> None:
        self.note = path.with_suffix(".txt")

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            seconds = time.perf_counter() - self.start
            self.note.write_text(f"{seconds:,.0f} s (since it was last started) on {machine()}\n")


def took(*paths: Path) -> None:
    """Print what the clocks of the results say."""
    print()
    for path in paths:
        note = path.with_suffix(".txt")
        print(f"{path.name}: {note.read_text().strip() if note.exists() else 'time not known'}")


def machine() -> str:
    """Processor or GPU, cores, torch."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, torch {torch.__version__}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A Markdown table; numbers with three digits, or thousands apart."""
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(x if isinstance(x, str) else number(x) for x in row) + " |")


def number(x: float) -> str:
    if not np.isfinite(x):
        return "–" if np.isnan(x) else "∞"
    if x == int(x) and abs(x) < 1e7:
        return f"{int(x):,}"
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def span(low: float, high: float) -> str:
    """An interval."""
    return f"{number(low)} – {number(high)}"


def of(ds: xr.Dataset, **settings: float) -> xr.Dataset:
    """The runs with these settings."""
    chosen: NDArray[np.bool_] = np.ones(ds.sizes["run"], bool)
    for name, value in settings.items():
        chosen &= np.isclose(ds[name].values, value)
    return ds.isel(run=chosen)
