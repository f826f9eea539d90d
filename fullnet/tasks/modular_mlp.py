"""Addition modulo p by networks that others trained: an MLP on two embeddings, and a transformer.

Both are of "The Weight Norm Sets the Grokking Timescale" (arXiv 2606.13753), whose runs are public: full
batch, AdamW, weights alone decay. Losses are in float32 there and here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from groktime.fullnet.networks import WIDEST
from groktime.fullnet.networks.transformer import Linear
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.tasks.equations import LOSS_NAME, SYMBOLS, drawn, largest_logit, samples
from groktime.reduced.arguments import whole_number
from groktime.reduced.errors import InputError

_BIAS = 1e-6  # standard deviation of the biases at the start


class ModularMLP(nn.Module):
    """Logits [sample, p] from pairs [sample, 2]: one embedding for both symbols, one hidden layer of GELU."""

    def __init__(self, p: int, d_model: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(p, d_model) / math.sqrt(d_model))
        self.hidden = Linear(2 * d_model, width, 1 / math.sqrt(2 * d_model), bias=True)
        self.out = Linear(width, p, 1 / math.sqrt(width), bias=True)
        for layer in (self.hidden, self.out):
            assert layer.bias is not None
            nn.init.normal_(layer.bias, std=_BIAS)

    def forward(self, pairs: Tensor) -> Tensor:
        # what each symbol adds to the hidden layer, once a symbol and not once a pair: a third of the time
        left, right = self.hidden.weight.chunk(2, 1)
        a, b = pairs.unbind(1)
        seen = (self.embedding @ left.T)[a] + (self.embedding @ right.T)[b]
        if self.hidden.bias is not None:
            seen = seen + self.hidden.bias
        out: Tensor = self.out(nn.functional.gelu(seen))
        return out


class NormedTransformer(nn.Module):
    """Logits [sample, p + 1] of the tokens a, b and "=" from pairs (a, b) [sample, 2]: one block with
    LayerNorms that have no parameters, GELU and no biases, of which only the last position asks.

    Keys and values are made once a symbol and place, not once a sample, which is half of the products.
    """

    def __init__(self, p: int, d_model: int, heads: int, d_mlp: int) -> None:
        super().__init__()
        std = 1 / math.sqrt(d_model)
        self.heads = heads
        self.embedding = nn.Parameter(std * torch.randn(p + 1, d_model))
        self.position = nn.Parameter(0.1 * std * torch.randn(3, d_model))
        self.query, self.key, self.value, self.attended = (Linear(d_model, d_model, std) for _ in range(4))
        self.rise = Linear(d_model, d_mlp, std)
        self.fall = Linear(d_mlp, d_model, 1 / math.sqrt(d_mlp))
        self.unembedding = Linear(d_model, p + 1, std)
        self.norm = nn.LayerNorm(d_model, elementwise_affine=False)

    def forward(self, pairs: Tensor) -> Tensor:
        symbols, equals = self.embedding[:-1], self.embedding[-1:]
        last = equals + self.position[2]
        asked = self._by_head(self.query(self.norm(last)))
        scores, values = [], []
        for place, tokens in enumerate((symbols, symbols, equals)):
            seen = self.norm(tokens + self.position[place])
            score = (self._by_head(self.key(seen)) * asked).sum(-1) / math.sqrt(asked.shape[-1])
            value = self._by_head(self.value(seen))
            scores.append(score[pairs[:, place]] if place < 2 else score.expand(len(pairs), -1))
            values.append(value[pairs[:, place]] if place < 2 else value)
        share = torch.stack(scores).softmax(0).unsqueeze(-1)
        found = share[0] * values[0] + share[1] * values[1] + share[2] * values[2]
        x = last + self.attended(found.flatten(1))
        x = x + self.fall(nn.functional.gelu(self.rise(self.norm(x))))
        out: Tensor = self.unembedding(self.norm(x))
        return out

    def _by_head(self, x: Tensor) -> Tensor:
        """[..., d_model] as [..., head, d]."""
        return x.view(*x.shape[:-1], self.heads, -1)


def modular_mlp(p: int = 59, n_train: int | None = None, d_model: int = 128, width: int = 256) -> Task:
    """(a + b) mod p from all p² ordered pairs, by an MLP of one hidden layer on two embeddings.

    Adam 1e-3. Half of the pairs is trained on unless `n_train` says how many, others for every seed. Biases
    do not decay: w is the norm of the rest. Done at 90 % of the test pairs.
    """
    p, d_model, width = (
        whole_number("p", p, 2, SYMBOLS),
        whole_number("d_model", d_model, 1, WIDEST),
        whole_number("width", width, 1, WIDEST),
    )

    def network() -> nn.Module:
        return ModularMLP(p, d_model, width)

    settings = {"p": p, "d_model": d_model, "width": width}
    return _task(
        "modular-mlp", network, p, samples(n_train, p * p, p, 0.5), settings, ("hidden.bias", "out.bias")
    )


def modular_transformer(
    p: int = 71, n_train: int | None = None, d_model: int = 128, heads: int = 4, d_mlp: int | None = None
) -> Task:
    """(a + b) mod p from the tokens [a, b, =], by a transformer of one block with LayerNorms.

    As `modular_mlp`, with 40 % of the pairs, and p + 1 symbols, of which "=" is the last; there are no
    biases, and all decays.
    `modular_addition` is that of Omnigrok, without LayerNorm.
    """
    p, d_model, heads = (
        whole_number("p", p, 2, SYMBOLS),
        whole_number("d_model", d_model, 1, WIDEST),
        whole_number("heads", heads, 1, WIDEST),
    )
    d_mlp = whole_number("d_mlp", 4 * d_model if d_mlp is None else d_mlp, 1, 4 * WIDEST)

    def network() -> nn.Module:
        return NormedTransformer(p, d_model, heads, d_mlp)

    if d_model % heads:
        raise InputError(f"d_model = {d_model}: expected a multiple of heads = {heads}")
    settings = {"p": p, "d_model": d_model, "heads": heads, "d_mlp": d_mlp}
    return _task("modular-transformer", network, p, samples(n_train, p * p, p, 0.4), settings)


def _task(
    name: str,
    network: Callable[[], nn.Module],
    p: int,
    n_train: int,
    settings: Mapping[str, int],
    no_decay: tuple[str, ...] = (),
) -> Task:
    def problem(seed: int, n_train: int) -> Problem:
        return drawn(_pairs(p), seed, n_train)

    return Task(
        name=name,
        network=network,
        problem=problem,
        loss=cross_entropy,
        right=largest_logit,
        loss_name=LOSS_NAME,
        n_train=n_train,
        n_total=p * p,
        optimizer=Adam(1e-3),
        steps=10_000,
        threshold=0.9,
        no_decay=no_decay,
        settings=settings,
    )


def cross_entropy(output: Tensor, targets: Targets) -> Tensor:
    return nn.functional.cross_entropy(output, targets["label"], reduction="none")


@functools.cache
def _pairs(p: int) -> Split:
    """All pairs, one object for all seeds."""
    pairs = torch.cartesian_prod(torch.arange(p), torch.arange(p))
    return Split(pairs, {"label": pairs.sum(1) % p})
