"""`python -m groktime.recipes NAME …`: a recipe with all of its options; without a name, the list."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from groktime.recipes.listing import list_of_recipes
from groktime.recipes.registry import catalogue
from groktime.recipes.runner import parser_of, run_recipe
from groktime.reduced.errors import InputError


def main(arguments: Sequence[str]) -> int:
    """0 done, 2 a user's error in one sentence."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"Usage: python -m groktime.recipes NAME [--help]\n\n{list_of_recipes()}")
        return 0
    name, *rest = arguments
    try:
        if name not in catalogue():
            raise InputError(f"{name!r}: expected one of {', '.join(catalogue())}")
        given: dict[str, Any] = vars(parser_of(name).parse_args(rest))
        given = {option: tuple(v) if isinstance(v, list) else v for option, v in given.items()}
        run_recipe(name, **given)
    except InputError as error:
        print(f"groktime.recipes: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
