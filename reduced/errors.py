"""The one error that is the user's to mend."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input: one sentence that names the file or argument and what was expected.

    The command line prints the sentence and exits 2.
    """
