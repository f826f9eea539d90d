"""The rungs of the ladder: approximations in the order in which they drop an assumption each."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Rung:
    """One approximation; `drops` is the assumption of the rung above that it does without."""

    name: str
    words: str
    drops: str


PRINTED = Rung("printed", "closed form as printed", "")
CORRECTED = Rung("corrected", "closed form, corrected", "η_D = η_R w², and a contour of fixed loss")
EQ6 = Rung("eq6", "Eq. 6 on the landscape", "a wall that is met and slid along in two strokes")
DRIFT = Rung("drift", "Eq. 6 on the network's own metric", "a direction that turns at no cost")
LOOP = Rung("loop", "Eq. 6, network in the loop", "a sampled and interpolated landscape")
RESTRICTED = Rung(
    "restricted", "restricted network, SGD", "a direction that is at its minimum, from the start on"
)
GD = Rung("gd", "full network, SGD", "a representation that stays on the line")
ADAMW = Rung("adamw", "full network, AdamW", "plain gradient descent")
TWO_DIMENSIONAL = (PRINTED, CORRECTED, EQ6, LOOP, RESTRICTED, GD, ADAMW)
# Without m nothing slides: both closed forms are ln(w/w_c)/(ηγ), and the restricted network is the full one.
FLAT = Rung("printed", "closed form", "")
FREE = Rung("eq6", "Eq. 6 on the landscape", "a loss without slope right of w_c")
WHOLE = Rung("gd", "full network, SGD", "a direction that is at its minimum, from the start on")
ONE_DIMENSIONAL = (FLAT, FREE, LOOP, WHOLE, ADAMW)
PATH = Rung("path", "decay path, SGD", RESTRICTED.drops)


def with_drift(rungs: tuple[Rung, ...]) -> tuple[Rung, ...]:
    """Eq. 6 on the network's own metric, of a landscape that measured it, below the literal one. What comes
    next is beside it, not below: its network has the flat metric of Eq. 6."""
    after, loop = _after(rungs, EQ6), replace(LOOP, drops=f"{LOOP.drops}; from Eq. 6 as it is")
    return (*rungs[:after], DRIFT, loop, *rungs[after + 1 :])


def with_path(rungs: tuple[Rung, ...]) -> tuple[Rung, ...]:
    """The decay path below the network in the loop. What trains next then drops an assumption less: the path
    has no direction that is at its minimum, but refits its networks in full between two bits of decay."""
    after = _after(rungs, LOOP)
    trained = replace(rungs[after], drops="a refit that is done before decay acts again")
    return (*rungs[:after], PATH, trained, *rungs[after + 1 :])


def _after(rungs: tuple[Rung, ...], rung: Rung) -> int:
    return [r.name for r in rungs].index(rung.name) + 1
