"""JSON: a line an evaluation, a list of them, columns as lists, or the trainer_state.json of Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from groktime.reduced.errors import InputError

_END = "train_runtime"  # is in the record that sums up a training, whose train_loss is a mean over all of it


def read_records(path: Path) -> pd.DataFrame:
    """The records as a table; what lies within another is named by both ("train/loss")."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8; expected JSON") from None
    try:
        found = json.loads(text)
    except ValueError:
        found = _lines(text, path)
    except RecursionError:
        raise InputError(f"{path}: is nested too deep; expected records of numbers") from None
    if isinstance(found, dict):
        found = found.get("log_history", found)
    if isinstance(found, dict) and any(isinstance(v, list) for v in found.values()):
        return _columns(found, path)
    records = [found] if isinstance(found, dict) else found
    if not isinstance(records, list) or not records or not all(isinstance(r, dict) for r in records):
        raise InputError(f"{path}: holds no records; expected a JSON object for each evaluation")
    kept = [{k: v for k, v in r.items() if not (k == "train_loss" and _END in r)} for r in records]
    return pd.json_normalize(kept, sep="/")


def _lines(text: str, path: Path) -> list[Any]:
    lines = [(k, line) for k, line in enumerate(text.splitlines(), 1) if line.strip()]
    records = []
    for k, line in lines:
        try:
            records.append(json.loads(line))
        except (ValueError, RecursionError):
            if records and k == lines[-1][0]:
                break  # of a run that was stopped while it wrote
            raise InputError(
                f"{path}: line {k} is not JSON; expected an object for each evaluation"
            ) from None
    return records


def _columns(found: dict[str, Any], path: Path) -> pd.DataFrame:
    lists = {name: values for name, values in found.items() if isinstance(values, list)}
    if len({len(values) for values in lists.values()}) > 1:
        raise InputError(f"{path}: its lists are not equally long; expected a value for each evaluation")
    return pd.DataFrame(lists)
