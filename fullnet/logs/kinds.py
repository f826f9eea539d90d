"""Which files are logs, by their names; looks into none."""

from __future__ import annotations

from pathlib import Path

TEXT = (".csv", ".tsv", ".txt")
RECORDS = (".json", ".jsonl", ".ndjson")
ARRAYS = (".npz",)
PACKED = (".gz", ".bz2", ".xz", ".zip")  # of text
EVENTS = "tfevents"  # is in the name of every event file of TensorBoard
WORDS = "CSV, JSON lines, trainer_state.json, .npz, or event files of TensorBoard and their folder"


def plain(path: Path) -> Path:
    """The name without that of a compression."""
    return path.with_suffix("") if path.suffix in PACKED else path


def holds_events(path: Path) -> bool:
    """Whether a file is one of TensorBoard's, or a folder has some."""
    return next(path.rglob(f"*{EVENTS}*"), None) is not None if path.is_dir() else EVENTS in path.name


def is_log(path: Path) -> bool:
    """Whether a file or folder goes by the name of a log."""
    return plain(path).suffix.lower() in (*TEXT, *RECORDS, *ARRAYS) or holds_events(path)
