"""Numbers that a page prints, beside what comes out when they are computed again.

A claim is a phrase of the page with places for its numbers, written as Python formats: `{:.1f} %`. What is
computed is formatted alike, and has to be what stands there to the last digit. Every number of the page that
no claim covers has to be in a phrase that is declared as none (a setting, a version, a name).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen",
)  # fmt: skip
_SLOT = re.compile(r"\{:(.*?)\}")
_NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?"
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LEFT = re.compile(rf"{_NUMBER}|\b(?:{'|'.join(WORDS[2:])})\b", re.IGNORECASE)


@dataclass(frozen=True)
class Claim:
    """`phrase`: as on the page, with a place `{:…}` for each number; `{:word}` for one that is written out.
    `values`: the numbers, computed. `needs`: what has to be run to compute them, where the data of the
    networks is not kept and `values` are only those of another page, which a recipe wrote."""

    phrase: str
    values: Callable[[], Sequence[Any]]
    needs: str = ""

    @property
    def pattern(self) -> re.Pattern[str]:
        """Finds the phrase, whatever numbers stand in it."""
        parts = _SLOT.split(self.phrase)
        text = [re.escape(part) for part in parts[::2]]
        slots = [rf"({_NUMBER}|[A-Za-z]+)" if spec == "word" else rf"({_NUMBER})" for spec in parts[1::2]]
        return re.compile("".join(a + b for a, b in zip(text, [*slots, ""], strict=True)))

    def formatted(self) -> tuple[str, ...]:
        """What is computed, as the page would print it."""
        specs = _SLOT.findall(self.phrase)
        return tuple(_formatted(value, spec) for value, spec in zip(self.values(), specs, strict=True))


@dataclass(frozen=True)
class Verdict:
    """Of one claim: `mark` is "OK", "off" or "not checked"; `told`, a sentence."""

    mark: str
    told: str

    def __str__(self) -> str:
        return f"[{self.mark}] {self.told}"


def plain(page: str) -> str:
    """The words of a page of Markdown on one line: no commands and snippets, which tests run, no targets of
    links, comments, pictures and marks of emphasis; what a ```text block shows is kept."""
    page = _FENCED.sub(lambda block: block[2] if block[1] == "text" else " ", page)
    page = re.sub(r"<!--.*?-->|!\[[^]]*\]\([^)]*\)", " ", page, flags=re.DOTALL)
    page = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", page)
    return re.sub(r"\s+", " ", page.replace("*", "").replace("`", ""))


def judged(claim: Claim, page: str) -> tuple[Verdict, str]:
    """The verdict on a claim, and the page without it."""
    found = claim.pattern.findall(page)
    if len(found) != 1:
        return Verdict("off", f"{claim.phrase}: stands {len(found)} times on the page, expected once"), page
    (match,) = claim.pattern.finditer(page)
    rest = f"{page[: match.start()]}|{page[match.end() :]}"
    came = claim.formatted()
    same = all(a.lower() == b.lower() for a, b in zip(match.groups(), came, strict=True))
    if not same:
        return Verdict("off", f"{match[0]}: came out as {', '.join(came)}"), rest
    if claim.needs:
        return Verdict("not checked", f"{match[0]}: needs {claim.needs}"), rest
    return Verdict("OK", match[0]), rest


def left_over(page: str, no_claims: Sequence[str]) -> list[str]:
    """Numbers that neither a claim nor a declared phrase covers, each with what stands around it."""
    for phrase in no_claims:
        page = page.replace(phrase, "|")
    return [page[max(0, m.start() - 30) : m.end() + 30].strip() for m in _LEFT.finditer(page)]


def _formatted(value: Any, spec: str) -> str:
    return WORDS[int(value)] if spec == "word" else format(value, spec)
