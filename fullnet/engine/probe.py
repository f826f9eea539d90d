"""How much of decay's pull on the norm the runs' own optimizer lets through: the drift of w alone, probed.

`fullnet.engine.valley` projects as gradient descent does. Adam weighs each component by its own gradients and
goes back to the valley at another angle, so that the norm falls at another speed. Here it is measured: the
networks are trained on from where they are by the optimizer of the runs, with decay γ and, on the same
samples, without. What has become of their norms after the same steps differs by

    u_γ - u_0 = -a Δτ,    τ = ηγt,    normal = 1 - a.

The optimizer needs as long to take up the decay as it needs to go back to the valley: a piece of the way,
`settle` steps, goes before the piece that is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from groktime.fullnet.engine.optimizer import RULES, Setting, weight_norm
from groktime.fullnet.members import Members

Floats = NDArray[np.float64]

# Adam has no decay, and Adam with L2 none that shrinks the weights by ηγ a step, which is what τ counts.
PROBES = tuple(rule for rule in RULES if rule not in ("adam", "adam_l2"))


class Probe(NamedTuple):
    """By which optimizer a probe trains, for how many steps before it measures, and for how many then."""

    rule: str
    settle: int
    steps: int


class Probed(NamedTuple):
    """`normal`, 1 - a, and `below`, how far in u below its start each network is in the middle of what is
    measured, [row, cutoff]."""

    normal: Floats
    below: Floats


def probed(members: Members, cutoffs: Sequence[float], probe: Probe) -> Probed:
    """What decay does to the norm of each row from its present weights on, for weight decays γ > 0."""
    task, still = members.setup.task, np.diff(_norms(members, 0.0, probe), axis=0)[1]
    normal, below = [], []
    for gamma in cutoffs:
        tau = task.law(probe.rule).speed * task.optimizer.rate * gamma * probe.steps
        start, settled, end = _norms(members, gamma, probe)
        normal.append(1 + (end - settled - still) / tau)
        below.append(start - (settled + end) / 2)
    return Probed(np.stack(normal, 1), np.stack(below, 1))


def _norms(members: Members, gamma: float, probe: Probe) -> Floats:
    """ln w at the start, when the decay is taken up, and at the end, [3, row]."""
    some = _again(members, gamma, probe.rule)
    norms = []
    for steps in (0, probe.settle, probe.steps):
        for _ in range(steps):
            _, gradient, _ = some.gradient()
            some.advance(gradient)
        norms.append(weight_norm(some.flat, some.decays).double().log().cpu().numpy())
    return np.array(norms)


def placed(u: Floats, normal: Floats, below: Floats) -> Floats:
    """1 - a at the spheres u, ascending, from what was measured `below` them, [..., sphere] each: straight
    between those places, and beyond them as at the last."""
    found = np.empty_like(normal)
    for place in np.ndindex(normal.shape[:-1]):
        order = np.argsort(u - below[place])
        found[place] = np.interp(u, (u - below[place])[order], normal[place][order])
    return found


def _again(members: Members, gamma: float, rule: str) -> Members:
    """The same networks, free to leave their spheres. Adam's moments go with them: without, its first step is
    a whole learning rate along every component, however small the gradient."""
    adam, setup = members.setup.task.optimizer, members.setup
    starts = [members.starts[k] for k in members.rows.tolist()]
    setting = Setting(adam.rate, gamma, adam.betas, setup.task.law(rule).momentum, adam.eps)
    some = Members(setup, starts, rule, [setting] * len(starts))
    with torch.no_grad():
        some.flat.copy_(members.flat)
    if some.optimizer.update.names == members.optimizer.update.names:
        some.optimizer.restore({k: v.clone() for k, v in members.optimizer.state().items()})
    some.step = members.step
    return some
