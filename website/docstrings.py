"""An extension of griffe: sections of docstrings as lists.

Types stand in the signatures; what follows `name :` in a docstring here is what it means, which griffe would
take for a type.
"""

from __future__ import annotations

from typing import Any

import griffe

from website.reference import as_lists


class Lists(griffe.Extension):
    """Rewrites every docstring once all is loaded, after the signatures were expanded."""

    def on_function(self, *, func: griffe.Function, **kwargs: Any) -> None:
        _rewrite(func)

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        _rewrite(cls)

    def on_attribute(self, *, attr: griffe.Attribute, **kwargs: Any) -> None:
        _rewrite(attr)

    def on_module(self, *, mod: griffe.Module, **kwargs: Any) -> None:
        _rewrite(mod)


def _rewrite(one: griffe.Object) -> None:
    if one.docstring:
        one.docstring = griffe.Docstring(as_lists(one.docstring.value), parent=one)
