"""The size and the shape of the source: lines per room, long functions, import circles, duplicate blocks.

    python benchmarks/house.py [CHECKOUT]

Reads the Python files of the rooms with `ast` and imports nothing of them: any checkout can be compared.
"""

from __future__ import annotations

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOMS = ("groktime", "reduced", "fullnet", "validation", "recipes", "tests", "benchmarks")
PACKAGE = "groktime"
MOST_ARGUMENTS = 8
MOST_LINES = 60
BLOCK = 6  # equal lines in a row that count as a duplicate
LISTED = 10

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """A Python file of a checkout: its room, its module name in the installed package, its lines and tree."""

    path: Path
    room: str
    module: str
    lines: list[str]
    tree: ast.Module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkout", nargs="?", type=Path, default=Path(__file__).parents[1])
    checkout = parser.parse_args().checkout
    sources = [source for room in ROOMS for source in _sources(checkout, room)]
    print(f"{'room':<12}{'files':>7}{'lines':>9}{'code':>9}{'over 300 lines':>16}")
    for room in ROOMS:
        print(_row(room, [s for s in sources if s.room == room]))
    print(_row("all", sources))
    of_package = [s for s in sources if s.room not in ("tests", "benchmarks")]
    print("\npackage and recipes")
    long = sorted((pair for pair in _lengths(of_package) if pair[0] > MOST_LINES), reverse=True)
    _print(f"functions of more than {MOST_LINES} lines", long, "{1}: {0} lines")
    wide = sorted(_wide(of_package), reverse=True)
    _print(f"functions with more than {MOST_ARGUMENTS} arguments", wide, "{1}: {0}")
    duplicates = f"duplicate blocks of {BLOCK} or more equal lines"
    _print(duplicates, _duplicates(of_package), "{0} lines: {1} and {2}")
    circles = [(len(circle), ", ".join(circle)) for circle in _circles(_imports(of_package))]
    _print("import circles", circles, "{0} modules: {1}")
    print("\nwith tests and benchmarks")
    _print(duplicates, _duplicates(sources), "{0} lines: {1} and {2}")


def _sources(checkout: Path, room: str) -> Iterator[Source]:
    """Links are skipped: the package links to the rooms, which are counted as what they are."""
    folder = checkout / room
    for path in sorted(folder.rglob("*.py")):
        inside = [folder, *(folder / part for part in path.relative_to(folder).parents)]
        if any(p.is_symlink() for p in inside):
            continue
        text = path.read_text(encoding="utf-8")
        parts = path.relative_to(checkout).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        module = name if room in (PACKAGE, "tests", "benchmarks") else f"{PACKAGE}.{name}"
        yield Source(path.relative_to(checkout), room, module, text.splitlines(), ast.parse(text))


def _row(name: str, sources: list[Source]) -> str:
    lines = sum(len(s.lines) for s in sources)
    code = sum(len(_normalized(s)) for s in sources)
    long = sum(len(s.lines) > 300 for s in sources)
    return f"{name:<12}{len(sources):>7,}{lines:>9,}{code:>9,}{long:>16,}"


def _functions(source: Source) -> Iterator[tuple[str, Function]]:
    for node in ast.walk(source.tree):
        if isinstance(node, Function):
            yield f"{source.path}:{node.lineno} {node.name}", node


def _lengths(sources: list[Source]) -> Iterator[tuple[int, str]]:
    for source in sources:
        for name, node in _functions(source):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, name


def _wide(sources: list[Source]) -> Iterator[tuple[int, str]]:
    for source in sources:
        for name, node in _functions(source):
            a = node.args
            names = [x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
            count = len([n for n in names if n not in ("self", "cls")])
            if count > MOST_ARGUMENTS:
                yield count, name


def _normalized(source: Source) -> list[tuple[int, str]]:
    """Line numbers and lines without space around them: no empty ones, comments, docstrings or imports."""
    left_out: set[int] = set()
    for node in ast.walk(source.tree):
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and (text or isinstance(node, ast.Import | ast.ImportFrom)):
            left_out.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    numbered = ((k, line.strip()) for k, line in enumerate(source.lines, 1))
    return [(k, line) for k, line in numbered if line and not line.startswith("#") and k not in left_out]


def _duplicates(sources: list[Source]) -> list[tuple[int, str, str]]:
    """Runs of equal lines, the longest first; each is counted once for every pair of places."""
    lines = [_normalized(s) for s in sources]
    places: defaultdict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for file, numbered in enumerate(lines):
        for start in range(len(numbered) - BLOCK + 1):
            places[tuple(line for _, line in numbered[start : start + BLOCK])].append((file, start))
    pairs = {
        (a, b) for found in places.values() for k, a in enumerate(found) for b in found[k + 1 :] if a < b
    }
    blocks = []
    for (file, start), (other, second) in pairs:
        if ((file, start - 1), (other, second - 1)) in pairs or (file == other and second < start + BLOCK):
            continue
        length = BLOCK
        while ((file, start + length - BLOCK + 1), (other, second + length - BLOCK + 1)) in pairs:
            length += 1
        here, there = lines[file][start][0], lines[other][second][0]
        blocks.append((length, f"{sources[file].path}:{here}", f"{sources[other].path}:{there}"))
    return sorted(blocks, key=lambda block: (-block[0], *block[1:]))


def _imports(sources: list[Source]) -> dict[str, set[str]]:
    """What each module imports when it is imported: not inside functions, nor for type checkers alone."""
    modules = {s.module for s in sources}
    graph: dict[str, set[str]] = {}
    for source in sources:
        found: set[str] = set()
        for node in _executed(source.tree.body):
            for name in _named(node, source):
                found.add(_known(name, modules))
                found.add(_known(f"{PACKAGE}.{name}", modules))  # a room by its bare name
                if source.room == "recipes":  # scripts import those beside them
                    found.add(_known(f"{PACKAGE}.recipes.{name}", modules))
        graph[source.module] = found - {"", PACKAGE, f"{PACKAGE}.recipes", source.module}
    return graph


def _known(name: str, modules: set[str]) -> str:
    """The module that a dotted name is, or is a name in; empty if there is none."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def _executed(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from _executed(node.orelse)
        elif not isinstance(node, Function):
            yield node
            for field in ("body", "orelse", "finalbody"):  # handlers import what is missing, or raise
                yield from _executed(getattr(node, field, []))


def _named(node: ast.stmt, source: Source) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        home = node.module or ""
        if node.level:
            package = source.module.split(".")
            if source.path.name != "__init__.py":
                package.pop()
            home = ".".join([*package[: len(package) - node.level + 1], *([home] if home else [])])
        yield from (f"{home}.{alias.name}" for alias in node.names)


def _circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected groups of more than one module, by reachability."""
    reach = {module: _reached(graph, module) for module in graph}
    circles: list[list[str]] = []
    for module in graph:
        group = sorted(m for m in reach[module] if module in reach.get(m, ()))
        if group and group not in circles:
            circles.append(group)
    return circles


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += graph.get(module, ())
    return seen


def _print(title: str, rows: list[tuple[int, str]] | list[tuple[int, str, str]], form: str) -> None:
    print(f"  {title}: {len(rows)}")
    for row in rows[:LISTED]:
        print("    " + form.format(*row))
    if len(rows) > LISTED:
        print(f"    and {len(rows) - LISTED} more")


if __name__ == "__main__":
    main()
