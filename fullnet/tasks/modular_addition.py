"""Addition modulo p by a one-layer transformer (Omnigrok §5.1, App. B and C, Figs 7, 9, 10a)."""

from __future__ import annotations

import functools

import torch
from torch import nn

from groktime.fullnet.networks import WIDEST
from groktime.fullnet.networks.transformer import Transformer
from groktime.fullnet.task import Adam, Problem, Split, Task
from groktime.fullnet.tasks.equations import LOSS_NAME, SYMBOLS, cross_entropy, drawn, largest_logit, samples
from groktime.reduced.arguments import whole_number


def modular_addition(
    p: int = 113,
    n_train: int | None = None,
    d_model: int = 128,
    heads: int = 4,
    d_mlp: int | None = None,
) -> Task:
    """(a + b) mod p from the tokens [a, b, =], all p² ordered pairs; full batch, Adam 1e-3.

    One block without LayerNorm, ReLU, `d_mlp` (4 d_model) wide; p + 1 symbols, of which "=" is the last.
    30 % of the pairs are trained on unless `n_train` says how many. Cross-entropy at the last position,
    in float64; a sample is right when its largest logit is that of the sum.
    """
    p, d_model, heads = (
        whole_number("p", p, 2, SYMBOLS),
        whole_number("d_model", d_model, 1, WIDEST),
        whole_number("heads", heads, 1, WIDEST),
    )
    d_mlp = whole_number("d_mlp", 4 * d_model if d_mlp is None else d_mlp, 1, 4 * WIDEST)

    def network() -> nn.Module:
        return Transformer(p + 1, 3, d_model, heads, d_mlp)

    def problem(seed: int, n_train: int) -> Problem:
        return drawn(_sums(p), seed, n_train)

    network()  # refuses a d_model that the heads cannot share
    return Task(
        name="modular-addition",
        network=network,
        problem=problem,
        loss=cross_entropy,
        right=largest_logit,
        loss_name=LOSS_NAME,
        n_train=samples(n_train, p * p, p),
        n_total=p * p,
        optimizer=Adam(1e-3, betas=(0.9, 0.98)),
        steps=10_000,
        parts={
            "embedding": ("embedding", "position"),
            "attention": ("blocks.0.attention",),
            "mlp": ("blocks.0.mlp",),
            "unembedding": ("unembedding",),
        },
        settings={"p": p, "d_model": d_model, "heads": heads, "d_mlp": d_mlp},
    )


@functools.cache
def _sums(p: int) -> Split:
    """All pairs, one object for all seeds so that they can share it in memory."""
    a, b = torch.cartesian_prod(torch.arange(p), torch.arange(p)).unbind(1)
    return Split(torch.stack([a, b, torch.full_like(a, p)], 1), {"label": (a + b) % p})
