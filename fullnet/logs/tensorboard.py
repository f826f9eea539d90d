"""TensorBoard's event files, read by its own reader: a folder with event files is a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from groktime.fullnet.logs.kinds import EVENTS
from groktime.reduced.errors import InputError


def read_events(path: Path) -> pd.DataFrame:
    """The scalars of an event file, or of all in a folder and the folders within: a column a tag.

    Raises
    ------
    InputError : where TensorBoard is not installed, or there are no scalars.
    """
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.util.tensor_util import make_ndarray
    except ModuleNotFoundError:
        raise InputError(
            f"{path}: event files are read by TensorBoard's own reader; expected it to be installed: "
            "pip install 'groktime[tensorboard]'"
        ) from None
    places = sorted({file.parent for file in path.rglob(f"*{EVENTS}*")}) if path.is_dir() else [path]
    frames = []
    for place in places:
        events = EventAccumulator(str(place), size_guidance={"scalars": 0, "tensors": 0}).Reload()
        tags = events.Tags()
        found: dict[str, list[tuple[int, Any]]] = {
            tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags["scalars"]
        }
        for tag in tags["tensors"]:
            values = [(e.step, make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)]
            found[tag] = [(step, v.item()) for step, v in values if v.size == 1 and v.dtype.kind == "f"]
        run = place.name if place == path else str(place.relative_to(path))
        frames += [
            pd.DataFrame(pairs, columns=["step", tag]).assign(run=run)
            for tag, pairs in found.items()
            if pairs
        ]
    if not frames:
        raise InputError(f"{path}: holds no scalars of TensorBoard; expected curves")
    return pd.concat(frames, ignore_index=True)
