"""Stochastic gradient descent, by torch's fused kernel: plain, whose decay is decoupled; with momentum,
through which torch's decay goes; and with momentum and decoupled decay, SGDW (arXiv 1711.05101)."""

from __future__ import annotations

from typing import Any

from torch.optim.sgd import sgd

from groktime.fullnet.engine.rules.update import Rows, Update


def _step(rows: Rows, momentum: float, decay: float) -> None:
    velocity: list[Any] = list(rows.moments) or [None]
    sgd(
        [rows.weights], [rows.gradient], velocity,
        fused=True, momentum=momentum, lr=rows.rate, weight_decay=decay, dampening=0.0, nesterov=False,
        maximize=False,
    )  # fmt: skip


def _plain(rows: Rows) -> None:
    _step(rows, 0.0, rows.decay)


def _momentum(rows: Rows) -> None:
    _step(rows, rows.setting.momentum, rows.decay)


def _decoupled(rows: Rows) -> None:
    if rows.decay:
        rows.weights.add_(rows.weights, alpha=-rows.rate * rows.decay)
    _step(rows, rows.setting.momentum, 0.0)


SGD = Update(_plain, moments=0)
MOMENTUM = Update(_momentum, moments=1, names=("momentum_buffer",), coupled=True)
SGDW = Update(_decoupled, moments=1, names=("momentum_buffer",))
