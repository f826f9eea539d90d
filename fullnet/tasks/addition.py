"""Toy addition (Omnigrok §5.1, App. D, Fig. 6): the system with a representation.

Symbols 0..p-1; a sample is an unordered pair (i <= j) whose input is E_i + E_j and whose target is
a fixed Gaussian vector that belongs to the sum. The representation E lies on the line
R = m R_random + (1 - m) R_linear; the sampler trains the decoder at fixed m.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groktime.fullnet.networks import WIDEST
from groktime.fullnet.seeding import generator
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.reduced.arguments import choice, whole_number
from groktime.reduced.errors import InputError
from groktime.reduced.law import Schedule

_TARGET_DIMENSION = 30
_HIDDEN = 200


def addition(
    p: int = 10, n_train: int = 45, dim: int | None = None, variant: str = "paper", n_test: int = 0
) -> Task:
    """Toy addition as in the paper ("paper") or as in the authors' notebook ("official").

    paper: 2p - 1 classes (the sum), `dim` = 1, R_linear standardised, R_random ~ N(0, 1), ReLU,
    Adam 1e-3 for 10,000 steps. `n_test`: test pairs, of those whose sum occurs in training, which alone can
    be right; 0: all pairs that are left. official: p classes (the sum mod p), `dim` = 2, R_linear =
    linspace(-1, 1) in the first coordinate and uniform ±0.3 in the others, R_random uniform (-1, 1),
    LeakyReLU(0.2), Adam 1e-2 (x 0.2 every 5,000) for 15,000 steps.
    """
    variant = choice("variant", variant, ("paper", "official"))
    official = variant == "official"
    dim = whole_number("dim", dim if dim is not None else (2 if official else 1), 1, WIDEST)
    p = whole_number("p", p, 2, 1000)
    pairs = torch.tensor([(i, j) for i in range(p) for j in range(i, p)])
    n_train = whole_number("n_train", n_train, 1, len(pairs), f"the pairs of {p} symbols")
    n_test = whole_number("n_test", n_test, 0, len(pairs) - n_train, "the pairs that are left")
    classes = p if official else 2 * p - 1
    labels = pairs.sum(1) % classes

    def representations(seed: int) -> tuple[Tensor, Tensor]:
        g = generator(seed, "representation")
        linear = torch.zeros(p, dim)
        if official:
            linear[:, 0] = torch.linspace(-1, 1, p)
            linear[:, 1:] = 0.6 * torch.rand(p, dim - 1, generator=g) - 0.3
            return linear, 2 * torch.rand(p, dim, generator=g) - 1
        symbols = torch.arange(p, dtype=torch.float32)
        linear[:, 0] = (symbols - symbols.mean()) / symbols.std(correction=0)
        return linear, torch.randn(p, dim, generator=g)

    def problem(seed: int, n_train: int) -> Problem:
        linear, random = representations(seed)
        codebook = torch.randn(classes, _TARGET_DIMENSION, generator=generator(seed, "targets"))
        order = torch.randperm(len(pairs), generator=generator(seed, "split"))

        def split(rows: Tensor) -> Split:
            i, j = pairs[rows].unbind(1)
            label = labels[rows]
            targets = {"vector": codebook[label], "label": label, "codebook": codebook}
            inputs, ordered = random[i] + random[j], linear[i] + linear[j]
            return Split(inputs, targets, ordered, pairs[rows], common=frozenset({"codebook"}))

        train, rest = order[:n_train], order[n_train:]
        if n_test:
            rest = rest[torch.isin(labels[rest], labels[train])]
            if len(rest) < n_test:
                raise InputError(
                    f"n_test = {n_test}: seed {seed} leaves {len(rest)} pairs whose sum occurs in training; "
                    "expected no more"
                )
            rest = rest[:n_test]
        delta = float(torch.linalg.vector_norm(random - linear))
        return Problem(split(train), split(rest), delta, (random, linear))

    def network() -> nn.Module:
        activation = (lambda: nn.LeakyReLU(0.2)) if official else nn.ReLU
        return nn.Sequential(
            nn.Linear(dim, _HIDDEN),
            activation(),
            nn.Linear(_HIDDEN, _HIDDEN),
            activation(),
            nn.Linear(_HIDDEN, _TARGET_DIMENSION),
        )

    return Task(
        name="addition",
        network=network,
        problem=problem,
        loss=_squared_error,
        right=_nearest_target,
        loss_name="mse, mean over samples and outputs",
        n_train=n_train,
        n_total=len(pairs),
        optimizer=Adam(1e-2, sampling=Schedule("step", 5000, 0.2)) if official else Adam(1e-3),
        steps=15_000 if official else 10_000,
        relative=True,
        messiness=True,
        stop_loss=1e-5,
        settings={"p": p, "dim": dim, "variant": variant, **({"n_test": n_test} if n_test else {})},
    )


def _squared_error(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["vector"]).square().mean(-1)


def _nearest_target(output: Tensor, targets: Targets) -> Tensor:
    # ||y - c||² = ||y||² - 2 y·c + ||c||²; the first term does not change the order.
    codebook = targets["codebook"]
    distance = codebook.square().sum(-1) - 2 * output @ codebook.mT
    return distance.argmin(-1) == targets["label"]
