"""The reference: all public names in groups, each where it is defined; mkdocstrings writes the rest."""

from __future__ import annotations

import re

import groktime

GROUPS = {
    "Predicting": (
        "predict", "what_if", "recommend", "forecast", "sample", "sample_path", "shipped", "open_landscape",
        "open_path", "open_forecast", "Prediction", "Recommendation", "Forecast", "Landscape", "DecayPath",
    ),
    "Tasks and training": (
        "Task", "Problem", "Split", "Adam", "Rule", "Schedule", "Machine", "tasks", "check_task", "Finding",
        "train", "watch", "Runs", "open_runs", "import_runs",
    ),
    "Measuring and comparing": (
        "measure", "compare", "Comparison", "open_comparison", "ladder", "Ladder", "diagnose", "Diagnosis",
        "implicit_decay", "plot", "explore", "Explorer",
    ),
    "Sources of your own, and errors": ("Source", "Lanes", "Readings", "DecayLaw", "InputError", "TaskError"),
}  # fmt: skip

_SECTION = re.compile(
    r"^(?P<title>Parameters|Attributes|Returns|Raises)\n-+\n(?P<body>.*?)(?=\n\n|\Z)",
    re.DOTALL | re.MULTILINE,
)
_ENTRY = re.compile(r"^(?P<names>\w[^:\n]*?) : ", re.MULTILINE)
# A type after all, which what it means follows a line below.
_TYPED = re.compile(r"^(\w[^:\n]*? : .*[^.,;:\n])\n +(?=[A-Z`])", re.MULTILINE)


def pages() -> dict[str, str]:
    """Markdown by name of the page, relative to docs/."""
    return {f"reference/{_file(title)}.md": _page(title, names) for title, names in GROUPS.items()}


def _file(title: str) -> str:
    return title.lower().replace(",", "").replace(" ", "-")


def _page(title: str, names: tuple[str, ...]) -> str:
    blocks = [f"# {title}", "", f"`import groktime as gt`; below, `gt.{names[0]}` is called {names[0]}."]
    for name in names:
        blocks += _tasks() if name == "tasks" else ["", f"::: {groktime._HOME[name]}.{name}"]
    return "\n".join(blocks) + "\n"


def _tasks() -> list[str]:
    """Functions of a module, each where it is defined."""
    told = "The built-in tasks, `gt.tasks.addition` and so on: [the ten systems](../systems.md)."
    lines = ["", "## tasks", "", told]
    for name in groktime.tasks.__all__:
        home = getattr(groktime.tasks, name).__module__
        lines += ["", f"::: {home}.{name}", "    options: {heading_level: 3}"]
    return lines


def as_lists(text: str) -> str:
    """A docstring as Markdown."""
    return _SECTION.sub(_as_list, text)


def _as_list(section: re.Match[str]) -> str:
    body = section["body"]
    if section["title"] == "Attributes":
        body = _TYPED.sub(r"\1. ", body)
    return f"**{section['title']}**\n\n" + _ENTRY.sub(lambda entry: f"- `{entry['names']}`: ", body)
