"""The law of decay: how fast an optimizer shrinks the weights, and follows the gradient, from step to step.

Rates follow a schedule: the step k is done at η f(k). Decay and gradient are slowed alike, so that all that
theory says of t steps at the full rate η holds of the steps at which Σ f(k) has come to t.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.errors import InputError
from groktime.reduced.schema import Attribute, Checked

Floats = NDArray[np.float64]

SHAPES = ("constant", "step", "linear", "cosine")
EPS = 1e-8  # of Adam where nothing else is said
MOMENTUM = 0.9  # of the rule "momentum" where nothing else is said
MOMENTA = {"momentum": MOMENTUM, "sgdw": MOMENTUM, "muon": 0.95}  # of the rules that have one
OWN = "own"  # of a script, whose decay is decoupled
RULES = ("adamw", "adam", "adam_l2", "sgd", "momentum", "sgdw", "lion", "muon", OWN)
_COUPLED = ("sgd", "momentum", "adam_l2")  # they add γw to the gradient, before momentum and normalization
_BETAS = ("adamw", "adam", "adam_l2", "lion", "muon")  # with betas: of muon where a parameter is no matrix
_FAR = 2.0**53  # up to which whole numbers are exact; more steps than anybody makes
_SLOW = 1e-6  # ηγ below which an e-folding takes more than a million steps


@dataclass(frozen=True)
class Schedule:
    """What the learning rates are multiplied by, step after step.

    `shape` : "constant"; "step", multiplied by `factor` every `steps` steps; "linear" or "cosine", which fall
        from 1 to `factor` over `steps` steps and stay there.
    `warmup` : optimizer steps over which the rate first rises to its full size, evenly; the shape begins
        after them.
    `from_zero` : whether the rate rises from 0, as in Hugging Face's schedules and in `min(step / 10, 1)`:
        the first step then moves nothing.

    With `warmup` 0 these are torch's `StepLR`, `LinearLR` (start_factor=1) and `CosineAnnealingLR`.

    Raises
    ------
    InputError : on a setting that is none.
    """

    shape: str = "constant"
    steps: int = 0
    factor: float = 0.0
    warmup: int = 0
    from_zero: bool = False

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise InputError(f"schedule: shape = {self.shape!r}: expected one of {', '.join(SHAPES)}")
        for name, least in (("steps", int(self.shape != "constant")), ("warmup", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _FAR:
                raise InputError(f"schedule: {name} = {value!r}: expected a whole number, {least} or more")
        number = not isinstance(self.factor, bool) and isinstance(self.factor, int | float)
        drops = self.shape == "step"
        if not (number and 0 <= self.factor < math.inf and (not drops or 0 < self.factor <= 1)):
            expected = "a share in (0, 1]" if drops else "a finite number, 0 or more"
            raise InputError(f"schedule: factor = {self.factor!r}: expected {expected}")
        if not isinstance(self.from_zero, bool):
            raise InputError(f"schedule: from_zero = {self.from_zero!r}: expected True or False")

    @property
    def constant(self) -> bool:
        """Whether every step is done at the full rate."""
        return self.shape == "constant" and self.warmup <= (0 if self.from_zero else 1)

    @property
    def rising(self) -> Schedule:
        """Its warm-up alone."""
        return Schedule(warmup=self.warmup, from_zero=self.from_zero)

    def at(self, step: int) -> float:
        """f: what the rate is multiplied by at optimizer step `step` (the first is 0)."""
        first = 0 if self.from_zero else 1
        return (step + first) / self.warmup if step < self.warmup else self.settled(step)

    def settled(self, step: int) -> float:
        """The same, as if the warm-up were done at the full rate."""
        after = max(step - self.warmup, 0)
        if self.shape == "step":
            return float(self.factor ** (after // self.steps))
        if self.shape == "constant":
            return 1.0
        share = min(after / self.steps, 1.0)
        fallen = share if self.shape == "linear" else (1 - math.cos(math.pi * share)) / 2
        return 1 + (self.factor - 1) * fallen

    def spent(self, steps: ArrayLike) -> Floats:
        """Σ f(k) over so many steps, in steps at the full rate; linear within a step."""
        t = np.asarray(steps, float)
        if self.constant:
            return t
        finite = np.where(np.isinf(t), 0.0, t)
        whole = np.floor(np.where(np.isfinite(t), t, 0.0))
        low, high = self._spent(whole), self._spent(whole + 1)
        found = low + (finite - whole) * (high - low)
        return np.asarray(np.where(np.isinf(t), self._limit, found))

    def steps_to(self, spent: ArrayLike) -> Floats:
        """The steps in which Σ f(k) comes to so much; infinite where it never does. Undoes `spent`."""
        wanted = np.asarray(spent, float)
        if self.constant:
            return wanted
        end = _FAR if self.shape == "step" else float(self.warmup + self.steps * (self.shape != "constant"))
        low, high = np.zeros(wanted.shape), np.full(wanted.shape, end)
        while np.any(high - low > 1):
            middle = np.floor((low + high) / 2)
            under = self._spent(middle) <= wanted
            low, high = np.where(under, middle, low), np.where(under, high, np.maximum(middle, low + 1))
        at_end = self._spent(np.array(end))
        last = 0.0 if self.shape == "step" else 1.0 if self.shape == "constant" else self.factor
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = low + (wanted - self._spent(low)) / (self._spent(low + 1) - self._spent(low))
            beyond = end + (wanted - at_end) / last
        return np.asarray(np.where(wanted > at_end, beyond, np.where(wanted == 0, 0.0, inside)))

    @property
    def _limit(self) -> float:
        """What Σ f(k) comes to in all steps that there can be."""
        if self.shape == "step":
            return math.inf if self.factor == 1 else float(self._spent(np.array(_FAR)))
        stays = self.shape == "constant" or self.factor > 0
        return math.inf if stays else float(self._spent(np.array(float(self.warmup + self.steps))))

    def _spent(self, steps: Floats) -> Floats:
        """`spent` of whole numbers of steps."""
        rising = np.minimum(steps, self.warmup)
        rises = rising * (rising + (-1 if self.from_zero else 1)) / (2 * max(self.warmup, 1))
        n, length, factor = np.maximum(steps - self.warmup, 0.0), self.steps, self.factor
        if self.shape == "constant":
            return np.asarray(rises + n)
        if self.shape == "step":
            drops, rest = np.divmod(n, length)
            power = np.power(float(factor), drops)
            whole = drops if factor == 1 else (1 - power) / (1 - factor)
            return np.asarray(rises + length * whole + rest * power)
        falling = np.minimum(n, length)
        if self.shape == "linear":
            fallen = falling * (falling - 1) / (2 * length)
        else:
            x = math.pi / length
            cosines = np.sin(falling * x / 2) * np.cos((falling - 1) * x / 2) / math.sin(x / 2)
            fallen = (falling - cosines) / 2
        return np.asarray(rises + falling + (factor - 1) * fallen + factor * (n - falling))

    def __str__(self) -> str:
        words = {
            "constant": "constant",
            "step": f"times {self.factor:g} every {self.steps:,} steps",
            "linear": f"linear to {self.factor:g} over {self.steps:,} steps",
            "cosine": f"cosine to {self.factor:g} over {self.steps:,} steps",
        }[self.shape]
        rises = f" after a warm-up of {self.warmup:,}" + (" from 0" if self.from_zero else "")
        return words + (rises if self.warmup > (0 if self.from_zero else 1) else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and text, for files, which say `from_zero` only where it is so."""
        return {name: value for name, value in asdict(self).items() if name != "from_zero" or value}

    @classmethod
    def of(cls, said: Any) -> Self:
        """A schedule from what a file says of it."""
        return cls(**_known(cls, "schedule", said))


CONSTANT = Schedule()


@dataclass(frozen=True)
class DecayLaw:
    """By which law an optimizer decays.

    rule : "adamw", "adam" (without decay), "adam_l2" (coupled decay), "sgd" or "momentum" (torch's SGD),
        "sgdw", "lion", "muon", "own" (a script's), "eq6", or another's name.
    momentum : the share of its velocity that SGD keeps from step to step, in [0, 1).
    coupled : whether decay is added to the gradient, and goes through the momentum, as in torch's SGD; where
        not, w becomes (1 - ηγ)w beside the step.
    betas : of Adam, None where not known.
    schedule : of the learning rates of a training.
    no_decay : names, or begins of names, of the parameters that do not decay.
    """

    rule: str = "adamw"
    momentum: float = 0.0
    coupled: bool = False
    betas: tuple[float, float] | None = None
    schedule: Schedule = CONSTANT
    no_decay: tuple[str, ...] = ()

    @property
    def pace(self) -> float:
        """How much faster than η the optimizer follows the gradient: momentum sums the last
        1/(1 - momentum) steps, unless, as in Muon, what is summed is normalized."""
        return 1.0 if self.rule == "muon" else 1 / (1 - self.momentum)

    @property
    def speed(self) -> float:
        """How much faster than ηγ the optimizer decays."""
        return self.pace if self.coupled else 1.0

    def tau(self, steps: ArrayLike, rate: ArrayLike) -> Floats:
        """τ = Σ ηγ over so many steps; `rate` is ηγ at the full rate."""
        return np.asarray(self.speed * np.asarray(rate, float) * self.schedule.spent(steps))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and text, for files."""
        plain = asdict(self) | {"no_decay": list(self.no_decay), "schedule": self.schedule.to_dict()}
        return plain | {"betas": None if self.betas is None else list(self.betas)}


def law_by(
    rule: str,
    momentum: float | None = None,
    betas: tuple[float, float] | None = None,
    schedule: Schedule = CONSTANT,
    no_decay: tuple[str, ...] = (),
) -> DecayLaw:
    """The law of one of groktime's own rules; `momentum` is that of those that have one."""
    value = MOMENTA.get(rule, 0.0) if momentum is None or rule not in MOMENTA else momentum
    coupled, known = rule in _COUPLED, betas if rule in _BETAS else None
    return DecayLaw(rule, value, coupled, known, schedule, no_decay)


# --- in files ------------------------------------------------------------------------------------

LAW = Attribute("law", "json", "by which law the weights decay; {} where the file does not say", default="{}")


def law_is_one(checked: Checked) -> None:
    """`law` says what a law has: rule, momentum, coupled, betas, schedule and no_decay, some or all."""
    try:
        law_of(checked.arrays.attrs)
    except InputError as error:
        checked.wrong(f"attribute law: {error}")


def stored(law: DecayLaw | Mapping[str, Any] | None) -> str:
    """A law, or what is known of one, as a file's attribute."""
    if law is not None and not isinstance(law, DecayLaw | Mapping):
        raise InputError(f"law: expected a DecayLaw or what is known of one, not {type(law).__name__}")
    known = law.to_dict() if isinstance(law, DecayLaw) else dict(law or {})
    if isinstance(known.get("schedule"), Schedule):
        known["schedule"] = known["schedule"].to_dict()
    try:
        return json.dumps(known, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise InputError(f"law: cannot be stored ({error}); expected numbers, text and lists") from error


def said_of(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """What a file's attribute says of the law, without what may be concluded from the others."""
    return _known(DecayLaw, "law", json.loads(str(attrs.get("law", "{}"))))


def law_of(attrs: Mapping[str, Any]) -> DecayLaw:
    """The law of a file, by its attributes; of older ones by their optimizer and configuration.

    Raises
    ------
    InputError : on a law that is none, or one of another rule than the file's optimizer.
    """
    said = said_of(attrs)
    named = str(attrs["optimizer"]).lower() if "optimizer" in attrs else None
    rule = str(said.get("rule", named or "adam")).lower()
    if named not in (None, rule):
        raise InputError(f"rule = {rule!r}: expected {named!r}, the file's optimizer")
    made = json.loads(str(attrs.get("configuration", "{}")))
    made = made if isinstance(made, dict) else {}
    older: dict[str, Any] = {"momentum": MOMENTA.get(rule, 0.0), "coupled": rule in _COUPLED}
    if rule.startswith("adam"):
        older["betas"] = made.get("betas")
    if isinstance(made.get("warmup"), int):
        older["schedule"] = {"warmup": made["warmup"]}
    known = older | said | {"rule": rule}
    return DecayLaw(
        rule=rule,
        momentum=_momentum(known["momentum"]),
        coupled=_flag(known["coupled"]),
        betas=_betas(known.get("betas")),
        schedule=Schedule.of(known.get("schedule", {})),
        no_decay=_names(known.get("no_decay", ())),
    )


def _known(kind: Any, what: str, said: Any) -> dict[str, Any]:
    names = [f.name for f in fields(kind)]
    if not isinstance(said, Mapping):
        raise InputError(f"{what} = {said!r}: expected settings by name: {', '.join(names)}")
    for name in said:
        if name not in names:
            raise InputError(f"{what}: {name!r} is none of {', '.join(names)}")
    return dict(said)


def _momentum(value: Any) -> float:
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if not (number and 0 <= value < 1):
        raise InputError(f"momentum = {value!r}: expected a number in [0, 1)")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"coupled = {value!r}: expected true or false")
    return value


def _betas(value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    pair = isinstance(value, list | tuple) and len(value) == 2
    if not (
        pair and all(isinstance(b, int | float) and not isinstance(b, bool) and 0 <= b < 1 for b in value)
    ):
        raise InputError(f"betas = {value!r}: expected two numbers in [0, 1)")
    return float(value[0]), float(value[1])


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise InputError(f"no_decay = {value!r}: expected names of parameters")


# --- the convention ------------------------------------------------------------------------------


def convention(gamma: float, eta_d: float) -> str:
    """A remark where γ may be meant as the decay of a step itself, λ = ηγ; "" where it does not look so."""
    if not 0 < eta_d * gamma < _SLOW or gamma > 0.01:
        return ""
    return (
        f"eta_d * gamma = {eta_d * gamma:.3g} decays over {1 / (eta_d * gamma):.3g} steps: gamma is "
        f"multiplied by the learning rate here; a decay of {gamma:g} in each step itself is "
        f"gamma = {gamma / eta_d:.3g}."
    )
