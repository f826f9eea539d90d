"""The errors that are told in one sentence: what is the user's to mend."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input: one sentence that names the file or argument and what was expected.

    The command line prints the sentence and exits 2. It is one line that every terminal can show, whatever
    names and values it holds.
    """

    def __init__(self, sentence: object = "") -> None:
        super().__init__(one_line(str(sentence)))


class TaskError(RuntimeError):
    """A task's own code raised while its networks were made or trained: one sentence with the file and line,
    and what was raised as `__cause__` (of a worker process, its traceback).

    What was finished before is kept, and the same call goes on from there. The command line prints the
    sentence and exits 1.
    """

    def __init__(self, sentence: object = "") -> None:
        super().__init__(one_line(str(sentence)))


def one_line(text: str) -> str:
    """The text without line breaks, control characters and bytes that are no text; these are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
