"""The four operations modulo p by a decoder of two blocks (the poster; systems 9)."""

from __future__ import annotations

import functools
from dataclasses import replace

import torch
from torch import Generator, Tensor, nn

from groktime.fullnet.networks import WIDEST
from groktime.fullnet.networks.transformer import Transformer
from groktime.fullnet.task import Adam, Problem, Split, Task
from groktime.fullnet.tasks.equations import LOSS_NAME, SYMBOLS, cross_entropy, drawn, largest_logit, samples
from groktime.reduced.arguments import choice, number, whole_number
from groktime.reduced.errors import InputError

_BLOCKS = 2
_OPERATIONS = ("+", "-", "*", "/")


def four_operations(
    operation: str = "/",
    p: int = 97,
    noise: float = 0.0,
    n_train: int | None = None,
    batch: int = 512,
    d_model: int = 128,
    heads: int = 4,
) -> Task:
    """(x ∘ y) mod p from the tokens [x, ∘, y, =], ∘ one of + - * /; Adam 1e-3, warm-up of 10 steps.

    All p² ordered pairs; for "/" the p(p - 1) with y not 0, and p has to be prime: the answer is the z
    for which y z = x. 30 % are trained on unless `n_train` says how many, in batches of `batch` (all, if
    there are fewer). p + 2 symbols, of which "∘" and "=" are the last. Cross-entropy at the last
    position, in float64; a sample is right when its largest logit is that of the answer.

    `noise` is the standard deviation of Gaussian numbers that are added to the tokens' one-hot vectors,
    anew at every optimizer step; metrics are without it. With it, the inputs are these vectors, which take
    16 p³ bytes: 15 MB for p = 97, 3 GB for p = 563. Without, they are the tokens' numbers.

    The poster leaves the network's details open. Here each block is as in decoders of its kind: LayerNorm
    before attention and before the MLP, which is 4 d_model wide, GELU, and a LayerNorm at the end.
    """
    operation = choice("operation", operation, _OPERATIONS)
    p, d_model, heads = (
        whole_number("p", p, 2, SYMBOLS),
        whole_number("d_model", d_model, 1, WIDEST),
        whole_number("heads", heads, 1, WIDEST),
    )
    batch = whole_number("batch", batch, 0)
    if operation == "/" and any(p % k == 0 for k in range(2, int(p**0.5) + 1)):
        raise InputError(f"p = {p}: expected a prime number, modulo which one can divide")
    noise = number("noise", noise, "0 or more, a standard deviation", lambda x: x >= 0)

    def network() -> nn.Module:
        return Transformer(p + 2, 4, d_model, heads, 4 * d_model, blocks=_BLOCKS, normed=True)

    def problem(seed: int, n_train: int) -> Problem:
        return drawn((_one_hot if noise else _equations)(operation, p), seed, n_train)

    def noisy(inputs: Tensor, generator: Generator) -> Tensor:
        return inputs + noise * torch.randn(inputs.shape, generator=generator).to(inputs)

    network()  # refuses a d_model that the heads cannot share
    total = p * (p - 1) if operation == "/" else p * p
    n_train = samples(n_train, total, p)
    return Task(
        name="four-operations",
        network=network,
        problem=problem,
        loss=cross_entropy,
        right=largest_logit,
        loss_name=LOSS_NAME,
        n_train=n_train,
        n_total=total,
        batch=batch if batch < n_train else 0,
        optimizer=Adam(1e-3, betas=(0.9, 0.98), warmup=10),
        steps=10_000,
        augment=noisy if noise else None,
        parts={
            "embedding": ("embedding", "position"),
            **{f"attention{k + 1}": _query_key_value(k) for k in range(_BLOCKS)},
            **{f"mlp{k + 1}": (f"blocks.{k}.mlp",) for k in range(_BLOCKS)},
            "unembedding": ("unembedding",),
        },
        settings={"operation": operation, "p": p, "noise": noise, "d_model": d_model, "heads": heads},
    )


def _query_key_value(block: int) -> tuple[str, ...]:
    return tuple(f"blocks.{block}.attention.{name}" for name in ("query", "key", "value"))


@functools.cache
def _equations(operation: str, p: int) -> Split:
    """All equations, one object for all seeds so that they can share it in memory."""
    x, y = torch.cartesian_prod(torch.arange(p), torch.arange(1 if operation == "/" else 0, p)).unbind(1)
    if operation == "/":
        x, answer = x * y % p, x
    else:
        answer = {"+": x + y, "-": x - y, "*": x * y}[operation] % p
    tokens = torch.stack([x, torch.full_like(x, p), y, torch.full_like(x, p + 1)], 1)
    return Split(tokens, {"label": answer})


@functools.cache
def _one_hot(operation: str, p: int) -> Split:
    table = _equations(operation, p)
    return replace(table, inputs=nn.functional.one_hot(table.inputs, p + 2).float())
