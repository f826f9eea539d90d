"""What a recipe is, the decorator that declares one, and the catalogue of all."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from groktime.reduced.errors import InputError

FOLDERS = {"paper": "of the paper (P)", "poster": "of the poster (Q)", "results": "of our own"}

Function = TypeVar("Function", bound=Callable[..., None])

_functions: dict[str, Callable[..., None]] = {}


@dataclass(frozen=True)
class Recipe:
    """`line`: what it shows. `module`: where it is, such as "paper.fig2". `seeds`: how many unless asked
    otherwise, None where it has no choice. `minutes`: on two cores at its small sizes, as measured, None
    where not. `full`: whether it has the paper's sizes, too. `data`: the data sets that it needs."""

    name: str
    line: str
    module: str
    seeds: int | None = None
    minutes: float | None = None
    full: bool = False
    data: str | None = None

    @property
    def folder(self) -> str:
        """paper, poster or results."""
        return self.module.split(".")[0]

    @property
    def out(self) -> Path:
        """The folder of its files, unless another is asked for."""
        return Path("out") / self.module.split(".")[1]


def recipe(
    name: str,
    line: str,
    *,
    seeds: int | None = None,
    minutes: float | None = None,
    full: bool = False,
    data: str | None = None,
) -> Callable[[Function], Function]:
    """Declare `run(out: Path, seeds: int, full: bool, *, …)` as the recipe of that name.

    `run` has `seeds` and `full` only where they are declared; its keyword-only parameters,
    `name: Annotated[type, "help"] = default`, are options of the command line. All arguments here are
    literals: the catalogue reads them without importing anything. They are those of `Recipe`.
    """

    def register(run: Function) -> Function:
        takes = inspect.signature(run).parameters
        for parameter, declared in (("out", True), ("seeds", seeds is not None), ("full", full)):
            if (parameter in takes) != declared:
                raise TypeError(f"recipe {name}: {parameter!r} is declared or a parameter, but not both")
        _functions[name] = run
        return run

    return register


@cache
def catalogue() -> dict[str, Recipe]:
    """All recipes by name, folder by folder, read from the decorators in the sources: the list needs
    neither torch nor matplotlib."""
    here = Path(__file__).parent
    found = [one for folder in FOLDERS for file in (here / folder).glob("*.py") for one in _declared(file)]
    return {one.name: one for one in sorted(found, key=_place)}


def function_of(name: str) -> Callable[..., None]:
    """The function of a recipe of the catalogue; imports its module.

    Raises
    ------
    InputError : it needs PyTorch, which is not installed.
    """
    try:
        import_module(f"groktime.recipes.{catalogue()[name].module}")
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "tqdm", "cloudpickle"):
            raise
        raise InputError(f"recipe {name} needs PyTorch: pip install 'groktime[train]'") from error
    return _functions[name]


def _declared(file: Path) -> Iterator[Recipe]:
    source = file.read_text(encoding="utf-8")
    if "@recipe(" not in source:
        return
    for node in ast.parse(source).body:
        for call in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "recipe":
                name, line = (ast.literal_eval(value) for value in call.args)
                settings = {str(key.arg): ast.literal_eval(key.value) for key in call.keywords}
                yield Recipe(name, line, f"{file.parent.name}.{file.stem}", **settings)


def _place(one: Recipe) -> tuple[int, list[tuple[str, int]]]:
    """Folder by folder, fig2 before fig10a."""
    parts = re.findall(r"(\D+)(\d*)", one.name)
    return list(FOLDERS).index(one.folder), [(text, int(digits or 0)) for text, digits in parts]
