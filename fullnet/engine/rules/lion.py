"""Lion (arXiv 2302.06675): the sign of a mean of gradients, and decoupled decay."""

from __future__ import annotations

from groktime.fullnet.engine.rules.update import Rows, Update


def _step(rows: Rows) -> None:
    (beta1, beta2), (mean,) = rows.setting.betas, rows.moments
    sign = mean.lerp(rows.gradient, 1 - beta1).sign_()
    if rows.decay:
        rows.weights.add_(rows.weights, alpha=-rows.rate * rows.decay)
    rows.weights.add_(sign, alpha=-rows.rate)
    mean.lerp_(rows.gradient, 1 - beta2)


LION = Update(_step, moments=1, names=("exp_avg",))
