"""`explore`: a page on which sliders move a prediction, whole in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

from numpy.typing import ArrayLike

from groktime.reduced.files import FileName, check_output, replacing
from groktime.reduced.flow_source import FlowSource
from groktime.reduced.law import Schedule
from groktime.reduced.source import Options, Source, about, check_options
from groktime.reduced.sources import Sourced, source_of
from groktime.reduced.value import Value
from groktime.validation.explorer.measured import Measured, points
from groktime.validation.explorer.page import Content, page
from groktime.validation.explorer.scene import scene
from groktime.validation.explorer.sliders import sliders
from groktime.validation.explorer.table import ROUNDS, Asked, Table, Tell, build, checked
from groktime.validation.explorer.ways import ways

_SLOW = 4  # rounds of refining a table of Eq. 6 on a landscape of (w, m), which may take minutes each


@dataclass(frozen=True, repr=False)
class Explorer(Value):
    """A page. `html` is the whole of it; `error` the largest relative error of what it reads from its table,
    beside `predict`, at `checks` settings that are no nodes of the table."""

    html: str = field(repr=False)
    source: str
    table: Table = field(repr=False)
    error: float
    checks: int

    def facts(self) -> dict[str, object]:
        size = f"{len(self.html.encode()) / 1e6:.2f} MB"
        return {
            "source": self.source,
            "settings": self.table.answers["t_grok"].size,
            "size": size,
            "error": self.error,
        }

    def report(self) -> str:
        """What was made, in two lines."""
        facts = self.facts()
        text = f"Explorer    {self.source}: {facts['settings']:,} predictions, {facts['size']}"
        if not self.checks:
            return text
        return (
            f"{text}\nReads       within {100 * self.error:.1g} % of predict, at {self.checks} settings "
            "that are not among them"
        )

    def save(self, path: FileName, overwrite: bool = False) -> Path:
        """Write the page whole, or not at all."""
        path = Path(path)
        check_output(path, overwrite)
        with replacing(path, overwrite) as temporary:
            temporary.write_text(self.html, encoding="utf-8")
        return path


def explore(
    source: Sourced,
    runs: Measured | Sequence[Measured] = (),
    *,
    out: FileName | None = None,
    overwrite: bool = False,
    gamma: ArrayLike | None = None,
    eta_d: ArrayLike | None = None,
    eta_ratio: ArrayLike | None = None,
    alpha: ArrayLike | None = None,
    m: ArrayLike | None = None,
    schedule: Schedule | None = None,
    tell: Tell = lambda words: None,
    **options: Unpack[Options],
) -> Explorer:
    """A page of HTML on which sliders move the prediction of a source: one file that needs no network.

    What it shows are the source's own predictions: a table over the sliders, refined until it reads as
    `predict` tells (`Explorer.error`), and the ways of the source's seeds.

    Parameters
    ----------
    source : a landscape, a decay path, a forecast, another source, or its name or file.
    runs : measured runs that stand on the page as points: trained networks or their file, or times that
        `measure` gave, as a dataset or its CSV.
    out : the file to write (.html); None: only returned.
    gamma, eta_d, eta_ratio, alpha, m : the two ends of a slider, or one value that stays (default: what the
        source was sampled at; of landscapes γ from 0.001 to 3, from 0.0001 to 0.3 where they have m, and η a
        factor 10 around the rate of their networks). `eta_ratio` is η_R/η_D, of landscapes of (w, m)
        (default 0.2 to 5).
    schedule, options : as in `predict`.
    tell : called with a line on what is being worked at.

    Raises
    ------
    InputError : naming the argument or the file, and what was expected.
    """
    if out is not None:
        check_output(Path(out), overwrite)
    this = source_of(source)
    given = {"gamma": gamma, "eta_d": eta_d, "eta_ratio": eta_ratio, "alpha": alpha, "m": m}
    chosen = check_options(this, options)
    course = about(this).schedule if schedule is None else schedule
    each = [runs] if isinstance(runs, str | Path) or not isinstance(runs, Sequence) else list(runs)
    measured = points(this, each, chosen)
    moved = sliders(this, given)
    asked = Asked(this, _with_wall(this, chosen), course, _looks_closer(this))
    table = build(
        asked, moved, tell, _SLOW if isinstance(this, FlowSource) and this.land.two_dimensional else ROUNDS
    )
    tell("checking the table beside predictions of its own")
    error, checks = checked(asked, table)
    tell("following the networks on their way")
    found = ways(this, moved, chosen)
    content = Content(
        this, chosen, course, asked, table, error, checks, found, scene(this, found, chosen), measured
    )
    made = Explorer(page(content), about(this).file, table, error, checks)
    if out is not None:
        made.save(out, overwrite)
    return made


def _with_wall(source: Source, options: Options) -> Options:
    """The options with which intervals are those of `predict`."""
    more: Any = {} if "wall" in about(source).refused else {"wall": True}
    return {**options, **more}


def _looks_closer(source: Source) -> bool:
    """Whether a remark needs the closer look that `predict` takes: of a direction that turns."""
    return isinstance(source, FlowSource) and "turning" in source.land.arrays
