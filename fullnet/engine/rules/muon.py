"""Muon, as torch has it: the orthogonal factor of a matrix's momentum, and decoupled decay.

Parameters that are no matrices are stepped by AdamW at the same rate and decay, as people pair the two. The
Newton-Schulz iteration is torch's own in bfloat16, of all members at once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from groktime.fullnet.engine.rules.adam import ADAMW
from groktime.fullnet.engine.rules.update import Rows, Update

_COEFFICIENTS = (3.4445, -4.775, 2.0315)
_STEPS = 5
_EPS = 1e-7


def orthogonal(matrices: Tensor) -> Tensor:
    """About the orthogonal factors of matrices [row, m, n], in bfloat16."""
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.bfloat16()
    x = x.mT if tall else x
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=_EPS)
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def _step(rows: Rows) -> None:
    first = rows.moments[0]  # the second is AdamW's
    sizes = [math.prod(shape) for shape in rows.shapes] or [rows.weights.shape[1]]
    shapes = rows.shapes or [(rows.weights.shape[1],)]
    others, begin, momentum = [], 0, rows.setting.momentum
    for shape, size in zip(shapes, sizes, strict=True):
        columns, begin = slice(begin, begin + size), begin + size
        if len(shape) != 2:
            others.append(columns)
            continue
        weights, gradient, velocity = (x[:, columns] for x in (rows.weights, rows.gradient, first))
        velocity.lerp_(gradient, 1 - momentum)
        update = orthogonal(gradient.lerp(velocity, momentum).reshape(-1, *shape)).reshape(-1, size)
        if rows.decay:
            weights.add_(weights, alpha=-rows.rate * rows.decay)
        weights.add_(update.to(weights), alpha=-rows.rate * math.sqrt(max(1.0, shape[0] / shape[1])))
    if others:
        _adamw(rows, others)


def _adamw(rows: Rows, columns: list[slice]) -> None:
    """The columns that belong to no matrix."""

    def of(x: Tensor) -> Tensor:
        return torch.cat([x[:, some] for some in columns], 1)

    weights, gradient, *moments = map(of, (rows.weights, rows.gradient, *rows.moments))
    setting, given = rows.setting, (rows.rate, rows.decay, rows.count, rows.shapes)
    ADAMW.step(Rows(weights, gradient, moments, setting, *given))
    sizes = [place.stop - place.start for place in columns]
    for whole, some in zip((rows.weights, *rows.moments), (weights, *moments), strict=True):
        for place, values in zip(columns, torch.split(some, sizes, 1), strict=True):
            whole[:, place] = values


MUON = Update(_step, moments=2)
