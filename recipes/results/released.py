"""Networks of toy addition that are fitted at a frozen m, and then released to gradient descent with
decay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from groktime.fullnet.engine.optimizer import Setting, tangent, weight_norm
from groktime.fullnet.engine.valley import valley
from groktime.fullnet.members import Member, Members, Setup
from groktime.fullnet.task import Task

Floats = NDArray[np.float64]

CURVES = ("m", "ln_w", "train_loss", "test_loss", "test_accuracy")


@dataclass(frozen=True)
class Start:
    """Seed, α, m and training pairs of a network, and the steps of Adam in which it is fitted at this m on
    its sphere; 0: it is released as it was initialized."""

    seed: int
    alpha: float
    m: float
    n_train: int
    fit: int


@dataclass(frozen=True)
class Release:
    """γ, η_D and η_R/η_D of a run, and the ηγt at which it ends; the rule of its optimizer, and what of the
    representation is trained ("line": m, "free": all of it). `lump`: of a decay path, the τ of which the
    weights are shrunk at once, which then has as many steps without decay to refit; 0: decay in every step.
    """

    gamma: float
    rate: float
    ratio: float
    tau: float
    rule: str = "sgd"
    representation: str = "line"
    lump: float = 0.0

    @property
    def refit(self) -> int:
        """Steps to a lump."""
        return round(self.lump / (self.gamma * self.rate))


def released(
    task: Task, start: Start, runs: Sequence[Release], taus: Floats, project: bool = False
) -> dict[str, Floats]:
    """The curves [run, τ] at `taus`, NaN beyond a run's end; `prefit`, the loss at the start; with `project`,
    `drift` [τ]: -dm/dτ of the first run by the projection at the network's own place. The rule and the
    representation are those of the first run.
    """
    members = [
        Member(r.gamma, r.rate, r.rate * r.ratio, start.alpha, start.m, start.n_train, start.seed)
        for r in runs
    ]
    how, betas = runs[0], task.optimizer.betas
    decayed = [Setting(r.rate, 0.0 if r.lump else r.gamma, betas) for r in runs]
    slowly = [Setting(c.eta_r, betas=betas) for c in members]
    some = Members(Setup(task, representation=how.representation), members, how.rule, decayed, slowly)
    if start.fit:
        _fit(some, task, start)
    first = some.ensemble.metrics(some.train)[0].double().numpy()
    curves, drift = np.full((len(CURVES), len(runs), len(taus)), np.nan), np.full(len(taus), np.nan)
    due = [
        {round(t / (r.gamma * r.rate)): k for k, t in enumerate(taus) if t <= r.tau * (1 + 1e-9)}
        for r in runs
    ]
    while len(some.rows):
        rows = some.rows.tolist()
        looks = [k for k, row in enumerate(rows) if some.step in due[row]]
        if looks:
            record, lost = some.measured()
            each = np.array([record[5], np.log(record[4]), record[0], record[1], record[3]])
            places = [due[rows[k]][some.step] for k in looks]
            curves[:, [rows[k] for k in looks], places] = each[:, looks]
            if project and rows[looks[0]] == 0:
                drift[places[0]] = _own_drift(some, runs[0])
            done = lost | np.array([some.step >= max(due[row]) for row in rows])
            if done.any():
                some.retire(done)
                continue
        _shrink(some, runs)
        _, gradient, slow = some.gradient()
        some.advance(gradient, slow)
    return dict(zip(CURVES, curves, strict=True)) | {"prefit": first[:1], "drift": drift}


@torch.no_grad()
def _shrink(some: Members, runs: Sequence[Release]) -> None:
    """The lumps that are due."""
    for k, row in enumerate(some.rows.tolist()):
        if runs[row].lump and some.step % runs[row].refit == 0:
            some.flat[k] *= np.exp(-runs[row].lump)


def _fit(some: Members, task: Task, start: Start) -> None:
    """Give all rows the weights of one network, fitted by the task's Adam with its sampling schedule."""
    one = Members(
        Setup(task), some.starts[:1], "adam", [Setting(task.optimizer.rate, betas=task.optimizer.betas)]
    )
    one.norm = weight_norm(one.flat, one.decays)
    for step in range(start.fit):
        _, gradient, _ = one.gradient()
        tangent(gradient, one.flat, one.norm, one.decays)
        one.advance(gradient, factor=task.optimizer.sampling.at(step * task.steps // start.fit))
    with torch.no_grad():
        some.flat.copy_(one.flat.expand_as(some.flat))


def _own_drift(some: Members, run: Release) -> float:
    """-dm/dτ of the first row."""
    found = valley(some, [run.gamma])
    return float(-found.overlap[0, 0] / (1 / run.ratio + found.turn[0, 0]))
