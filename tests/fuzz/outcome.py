"""What became of each damaged input: right, one sentence, or anything else, which has to be none.

`tried` calls something with an input that was damaged; `command` does so with a command line. Both count
into an `Outcomes`, which prints the counts and, of anything else, which input it was and what happened.
"""

from __future__ import annotations

import contextlib
import io
import resource
import signal
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from groktime.reduced.errors import InputError

RIGHT, SENTENCE, ELSE = "right", "one sentence", "anything else"
SECONDS = 10.0  # of the processor's time, of one input
_PATIENCE = 20  # times longer may it take on a machine that does much else
MEGABYTES = 400  # by which one input may raise the peak of the memory
LONGEST = 600  # letters of a sentence


class _Hangs(BaseException):
    """Raised in what does not end; no `except Exception` keeps it."""


@dataclass
class Outcomes:
    """Counts of what became of the inputs, and of anything else the words, which may be `told` at once."""

    counts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    told: bool = False

    def add(self, name: str, found: str, words: str = "") -> str:
        """Count one; `name` is the input, of which the first word is its kind."""
        self.counts[found] += 1
        self.kinds[name.split()[0], found] += 1
        if found == ELSE:
            self.failures.append(f"{name}: {words}")
            if self.told:
                print(f"  ! {self.failures[-1]}", flush=True)
        return found

    def report(self, title: str) -> str:
        """The counts as text, kind by kind, and every failure."""
        lines = [f"{title}: {self.counts.total()} mutations"]
        lines += [f"  {found}: {self.counts[found]}" for found in (RIGHT, SENTENCE, ELSE)]
        for kind in sorted({kind for kind, _ in self.kinds}):
            each = ", ".join(f"{self.kinds[kind, f]} {f}" for f in (RIGHT, SENTENCE, ELSE))
            lines.append(f"    {kind}: {each}")
        return "\n".join([*lines, *(f"  ! {failure}" for failure in self.failures)])


def tried(
    outcomes: Outcomes,
    name: str,
    action: Callable[[], Any],
    words: Sequence[str],
    good: Callable[[Any], bool],
) -> str:
    """Call something: right if what it returns is `good`, one sentence if it raises an `InputError` of one
    line that holds one of the `words` (any, where there are none)."""
    said: list[str] = []
    with _watched(said):
        try:
            result = action()
            if not good(result):
                said.append(f"returned {result!r}"[:LONGEST])
            found = RIGHT
        except InputError as error:
            said += [f"sentence {wrong}: {error}" for wrong in _wrong(str(error), words)]
            found = SENTENCE
        except (Exception, SystemExit) as error:
            said.append(f"{type(error).__name__}: {error}")
            found = ELSE
    return outcomes.add(name, ELSE if said else found, "; ".join(said))


def command(
    outcomes: Outcomes, argv: Sequence[str], main: Callable[[Sequence[str]], int], words: Sequence[str] = ()
) -> str:
    """Run a command: right if it exits with 0, one sentence if with 2 and one line on stderr alone."""
    said: list[str] = []
    code: object = None
    with _watched(said, quiet=False) as (out, err):
        try:
            code = main(list(argv))
        except SystemExit as stopped:  # argparse's way
            code = stopped.code
        except Exception as error:
            said.append(f"{type(error).__name__}: {error}")
    if code == 2:
        lines = err.getvalue()
        said += [f"printed {out.getvalue()[:LONGEST]!r} beside its sentence"] if out.getvalue() else []
        said += [f"sentence {wrong}: {lines!r}" for wrong in _wrong(lines.removesuffix("\n"), words)]
    elif code == 0:
        said += [f"stderr beside exit 0: {err.getvalue()[:LONGEST]!r}"] if err.getvalue() else []
    elif not said:
        said.append(f"exit {code}: {err.getvalue()[:LONGEST]!r}")
    found = ELSE if said else {0: RIGHT, 2: SENTENCE}.get(code, ELSE)  # type: ignore[call-overload]
    return outcomes.add(" ".join(argv), found, "; ".join(said))


def _wrong(sentence: str, words: Sequence[str]) -> list[str]:
    """What keeps words from being one sentence."""
    found = []
    if not sentence.strip():
        found.append("is empty")
    if len(sentence.splitlines()) > 1 or not sentence.isprintable():
        found.append("is not one printable line")
    if len(sentence) > LONGEST:
        found.append(f"has {len(sentence)} letters")
    if words and not any(word in sentence for word in words):
        found.append(f"names none of {', '.join(words)}")
    return found


@contextlib.contextmanager
def _watched(said: list[str], quiet: bool = True) -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """Collects what was printed; warnings, long waits and much memory are said."""
    out, err = io.StringIO(), io.StringIO()
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()

    def stop(*_: object) -> None:
        raise _Hangs

    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE * SECONDS)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                yield out, err
    except _Hangs:
        said.append(f"did not end within {_PATIENCE * SECONDS:g} s")
        warned = []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    said += [f"{w.category.__name__}: {w.message}" for w in warned]
    if time.process_time() - start > SECONDS:
        said.append(f"took {time.process_time() - start:.1f} s")
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if more > MEGABYTES:
        said.append(f"took {more:.0f} MB more")
    if quiet and (out.getvalue() or err.getvalue()):
        said.append(f"printed {(out.getvalue() + err.getvalue())[:LONGEST]!r}")
