"""A third side of the comparison: the same members in JAX, `jit(vmap)` of one network's step in a `lax.scan`.

Plain MLPs with a mean squared error alone, which the three tasks of engine.py are. Same data, initial
weights, minibatches and AdamW as the other sides. It needs jax: pip install -e ".[benchmarks]". With one
thread XLA is told to have one, too, by XLA_FLAGS, which have to be set before jax is imported.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sides import DECAY, Job, Together
from torch import nn

ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
EPS = 1e-8


def available(threads: int) -> bool:
    """Whether there is a JAX."""
    if threads == 1:
        os.environ.setdefault("XLA_FLAGS", ONE_THREAD)
    try:
        import jax
    except ImportError:
        return False
    jax.config.update("jax_enable_x64", True)  # for the check; what is timed is in float32
    return True


class Scanned:
    """The members of a job, compiled and ready to be trained from their start."""

    def __init__(self, job: Job) -> None:
        import jax

        together = Together(job)
        named = together.engine.unstack(together.flat)
        self._start = [jax.numpy.asarray(v.numpy()) for v in named.values()]
        self._zeros = [jax.numpy.zeros_like(v) for v in self._start]
        rows, of = _samples(job, together)
        self._rows = jax.numpy.asarray(rows)
        step = _step(job, _loss(list(together.engine.network.children())), of, _norm(self._start))
        self._program = jax.jit(lambda carry, rows: jax.lax.scan(step, carry, rows)[0])
        self._loss = jax.vmap(_loss(list(together.engine.network.children())))
        self._everything = _everything(job, together)
        self.train()

    def train(self, clock: Callable[[], float] = time.perf_counter) -> float:
        """Seconds of the training alone."""
        import jax

        start = clock()
        self._trained = self._program((self._start, self._zeros, self._zeros, 0.0), self._rows)
        jax.block_until_ready(self._trained)
        return clock() - start

    def losses(self) -> NDArray[np.float64]:
        """The training loss of each member."""
        return np.asarray(self._loss(self._trained[0], *self._everything))


def _loss(modules: list[nn.Module]) -> Callable[..., Any]:
    import jax

    def loss(parameters: list[Any], x: Any, y: Any) -> Any:
        given = iter(parameters)
        for module in modules:
            if isinstance(module, nn.Linear):
                x = x @ next(given).T + next(given)
            elif isinstance(module, nn.LeakyReLU):
                x = jax.nn.leaky_relu(x, module.negative_slope)
            else:
                x = jax.numpy.tanh(x) if isinstance(module, nn.Tanh) else jax.nn.relu(x)
        return jax.numpy.square(x - y).mean()

    return loss


def _norm(parameters: list[Any]) -> Any:
    import jax

    return jax.numpy.sqrt(sum((p**2).sum(tuple(range(1, p.ndim))) for p in parameters))


def _step(job: Job, loss: Callable[..., Any], of: Callable[[Any], Any], norm: Any) -> Callable[..., Any]:
    """AdamW, as the other sides have it."""
    import jax

    rate, (first, second) = job.task.optimizer.rate, job.task.optimizer.betas
    decay = 0.0 if job.sphere else DECAY
    gradient = jax.vmap(jax.grad(loss))

    def step(carry: Any, rows: Any) -> Any:
        weights, means, squares, count = carry
        slopes, count = gradient(weights, *of(rows)), count + 1
        means = [first * m + (1 - first) * g for m, g in zip(means, slopes, strict=True)]
        squares = [second * v + (1 - second) * g * g for v, g in zip(squares, slopes, strict=True)]
        whole, spread = 1 - first**count, jax.numpy.sqrt(1 - second**count)

        def moved(w: Any, m: Any, v: Any) -> Any:
            by = (rate / whole) * m / (jax.numpy.sqrt(v) / spread + EPS)
            return (w * (1 - rate * decay) - by).astype(w.dtype)

        weights = [moved(*each) for each in zip(weights, means, squares, strict=True)]
        if job.sphere:
            share = (norm / _norm(weights)).astype(norm.dtype)
            weights = [w * share.reshape(-1, *[1] * (w.ndim - 1)) for w in weights]
        return (weights, means, squares, count), None

    return step


def _samples(job: Job, together: Together) -> tuple[NDArray[np.int64], Callable[[Any], Any]]:
    """Which rows [step, member, sample] the steps take, and the samples of such; full batches take none."""
    import jax

    if not job.task.batch:
        x, y = _everything(job, together)
        return np.zeros((job.steps, 1), np.int64), lambda _: (x, y)
    data = together.data
    numbers = replace(data, inputs={"x": torch.arange(len(data.inputs["x"]))}, targets={}, common={})
    rows = [together.batches.of_step(numbers, step).inputs["x"].numpy() for step in range(job.steps)]
    x, y = _rows_of(data)
    x, y = jax.numpy.asarray(x), jax.numpy.asarray(y)
    return np.stack(rows), lambda some: (x[some], y[some])


def _rows_of(data: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Inputs and targets of all rows."""
    x = data.inputs["x"]
    y = data.targets["vector"] if "vector" in data.targets else nn.functional.one_hot(data.targets["label"])
    return x.numpy(), y.to(x.dtype).numpy()


def _everything(job: Job, together: Together) -> tuple[Any, Any]:
    """All samples of each member, [member, sample, ...]."""
    import jax

    x, y = _rows_of(together.data)
    rows = together.data.rows.numpy()
    x = x[rows]
    if "ordered" in together.data.inputs:
        m = np.array([c.m for c in job.cells], x.dtype)[:, None, None]
        x = m * x + (1 - m) * together.data.inputs["ordered"].numpy()[rows]
    return jax.numpy.asarray(x), jax.numpy.asarray(y[rows])
