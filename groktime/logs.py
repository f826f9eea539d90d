"""What a command is told of a log: options that `import`, `measure`, `check` and `compare` share."""

from __future__ import annotations

import argparse
from typing import Any

from groktime.completion import files
from groktime.option import Option, given, number
from groktime.options import RUNS

SUFFIXES = (".nc", ".csv", ".gz", ".tsv", ".json", ".jsonl", ".npz")
RUNS_OR_LOG = RUNS.but(help="a runs file (.nc), or a log (docs/logs.md)", completer=files(*SUFFIXES))


def column(text: str) -> tuple[str, str]:
    """QUANTITY=NAME, or argparse's error."""
    quantity, equals, name = text.partition("=")
    if not (equals and quantity and name):
        raise argparse.ArgumentTypeError(f"expected QUANTITY=NAME (test_accuracy=val/acc), not {text!r}")
    return quantity, name


_COLUMNS = Option("column", "names of columns that are not found by themselves: test_accuracy=val/acc",
                  column, many=True, metavar="QUANTITY=NAME")  # fmt: skip
LOG = (
    Option("accuracy", "unit of the accuracies", default="percent where one exceeds 1",
           choices=("share", "percent")),
    Option("gamma", "decoupled weight decay, one or one a run", number, many=True),
    Option("eta_d", "learning rate, per step, one or one a run", number, many=True),
    Option("alpha", "start: weight norm over its norm at initialization", number, many=True),
    Option("n_train", "training-set size, one or one a run", int, many=True, metavar="N"),
    Option("task", "name of what was trained, as a landscape has it"),
    Option("loss", "what the losses are, as a landscape has it"),
    Option("optimizer", "what trained the networks, such as adamw"),
)  # fmt: skip
OF_A_LOG = (_COLUMNS, *LOG)


def said(options: argparse.Namespace) -> dict[str, Any]:
    """What the line says of a log, as the arguments of `import_runs`."""
    found = given(options, LOG)
    return found | ({"columns": dict(options.column)} if options.column else {})
