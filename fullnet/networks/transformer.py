"""A small decoder that answers at its last position (Omnigrok §5.1 and App. B; systems 8 and 9).

Only what the answer depends on is computed: in the last block, one query a sample and the MLP of the
last position. Positions are few, so attention is written as sums of products, which one core does
faster, mapped over members, than a batched product for each sample and head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from groktime.reduced.errors import InputError


class Transformer(nn.Module):
    """Logits [sample, vocabulary] at the last position, from tokens [sample, position].

    Tokens are whole numbers, or weights of all symbols, [sample, position, vocabulary], such as noisy
    one-hot vectors. Positions are learned, the unembedding is untied, and a position sees itself and
    those before it. Only the MLP has biases. Weights start at N(0, 1/d_model), those of the unembedding
    at N(0, 1/vocabulary), biases at 0.

    normed : False: ReLU and no LayerNorm (P App. B). True: LayerNorm before attention, before the MLP
        and before the unembedding, and GELU.

    Raises
    ------
    InputError : unless d_model is a multiple of heads.
    """

    def __init__(
        self,
        vocabulary: int,
        positions: int,
        d_model: int,
        heads: int,
        d_mlp: int,
        blocks: int = 1,
        normed: bool = False,
    ) -> None:
        super().__init__()
        if d_model % heads:
            raise InputError(f"d_model = {d_model}: expected a multiple of heads = {heads}")
        std = 1 / math.sqrt(d_model)
        self.embedding = nn.Parameter(std * torch.randn(vocabulary, d_model))
        self.position = nn.Parameter(std * torch.randn(positions, d_model))
        self.blocks = nn.ModuleList(Block(d_model, heads, d_mlp, std, normed) for _ in range(blocks))
        self.norm = _norm(d_model, normed)
        self.unembedding = Linear(d_model, vocabulary, 1 / math.sqrt(vocabulary))

    def forward(self, tokens: Tensor) -> Tensor:
        if tokens.is_floating_point():
            weights = tokens.flatten(0, 1).to(self.embedding.dtype)
            x = (weights @ self.embedding).view(*tokens.shape[:2], -1)
        else:
            x = self.embedding[tokens]
        x = x + self.position
        for k, block in enumerate(self.blocks, 1):
            x = block(x, last=k == len(self.blocks))
        out: Tensor = self.unembedding(self.norm(x[:, -1]))
        return out


class Block(nn.Module):
    """Attention and an MLP, each added to the stream [sample, position, d_model]."""

    def __init__(self, d_model: int, heads: int, d_mlp: int, std: float, normed: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(d_model, normed), _norm(d_model, normed)
        self.attention = Attention(d_model, heads, std)
        self.mlp = nn.Sequential(
            Linear(d_model, d_mlp, std, bias=True),
            nn.GELU() if normed else nn.ReLU(),
            Linear(d_mlp, d_model, std, bias=True),
        )

    def forward(self, x: Tensor, last: bool = False) -> Tensor:
        """The stream after the block; with `last`, only that of the last position, [sample, 1, d_model]."""
        seen = self.norm1(x)
        x = x[:, -1:] + self.attention(seen, last) if last else x + self.attention(seen)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Attention(nn.Module):
    """Causal attention: softmax of q·k/√(d_model/heads) over the positions up to the query's."""

    def __init__(self, d_model: int, heads: int, std: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (Linear(d_model, d_model, std) for _ in range(4))

    def forward(self, x: Tensor, last: bool = False) -> Tensor:
        """What is added at every position of x [sample, position, d_model], or at the last alone."""
        asking = x[:, -1:] if last else x
        split = (self.heads, x.shape[-1] // self.heads)
        q = self.query(asking).view(*asking.shape[:-1], *split)
        k, v = (side(x).view(*x.shape[:-1], *split) for side in (self.key, self.value))
        first = k.shape[1] - q.shape[1]  # the position of the first query
        seen = [_attended(q[:, i], k[:, : first + i + 1], v[:, : first + i + 1]) for i in range(q.shape[1])]
        out: Tensor = self.out(torch.stack(seen, 1).flatten(-2))
        return out


def _attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One query a sample [sample, head, d] on keys and values [sample, position, head, d]."""
    scores = (q.unsqueeze(1) * k).sum(-1) / math.sqrt(q.shape[-1])
    return (scores.softmax(1).unsqueeze(-1) * v).sum(1)


class Linear(nn.Module):
    """x W^T + b on the last axis, W ~ N(0, std²), b = 0.

    All other axes are flattened before the product: mapped over members it then is one product a
    member, where torch's own layer makes one a sample.
    """

    def __init__(self, inputs: int, outputs: int, std: float, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(std * torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x.flatten(0, -2), self.weight, self.bias).view(*x.shape[:-1], -1)


def _norm(d_model: int, normed: bool) -> nn.Module:
    return nn.LayerNorm(d_model) if normed else nn.Identity()
