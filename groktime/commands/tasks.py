"""`groktime tasks`."""

from __future__ import annotations

import argparse
import json

from groktime.option import Command
from groktime.options import JSON


def run(options: argparse.Namespace) -> None:
    """List tasks and landscapes."""
    from groktime.listed import listed, text

    found = listed()
    print(json.dumps(found) if options.json else text(found))


COMMAND = Command(
    name="tasks",
    help="the built-in tasks, their costs, and the landscapes that ship",
    description="The built-in tasks with their settings, presets and the cost of a typical run, and "
    "the landscapes that ship.",
    example="groktime tasks",
    options={"output": (JSON,)},
    run=run,
)
