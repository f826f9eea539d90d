"""The LSTM against torch's own, alone and mapped over members."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, vmap

from groktime.fullnet.networks.lstm import LSTM, _Scan

SIZES = (5, 7, 2)  # inputs, hidden, layers


def theirs_and_mine(seed: int = 0) -> tuple[torch.nn.LSTM, LSTM]:
    pair = []
    for make in (lambda: torch.nn.LSTM(*SIZES, batch_first=True), lambda: LSTM(*SIZES)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            pair.append(make())
    return pair[0], pair[1]


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_it_starts_from_the_same_bits() -> None:
    theirs, mine = (dict(module.named_parameters()) for module in theirs_and_mine())
    assert list(theirs) == list(mine)
    assert all(torch.equal(theirs[name], mine[name]) for name in theirs)


@pytest.mark.parametrize(("dtype", "digits"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("steps", [1, 2, 13])
def test_states_and_gradients_are_torchs(steps: int, dtype: torch.dtype, digits: float) -> None:
    x, along = draw(3, steps, 5).to(dtype).requires_grad_(), draw(3, steps, 7).to(dtype)
    results = []
    for module in theirs_and_mine():
        out = module.to(dtype)(x)
        states = out[0] if isinstance(out, tuple) else out
        slopes = torch.autograd.grad((states * along).sum(), [x, *module.parameters()])
        results.append((states, *slopes))
    for theirs, mine in zip(*results, strict=True):
        # Gradients are sums over samples and steps, so they are compared by their size.
        torch.testing.assert_close(mine, theirs, rtol=10 * digits, atol=10 * digits)
    torch.testing.assert_close(results[1][0], results[0][0], rtol=0, atol=digits)


def test_the_derivative_of_the_scan_is_that_of_differences() -> None:
    x, weight = draw(2, 4, 3, 12).requires_grad_(), draw(2, 12, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda *given: _Scan.apply(*given)[0], (x, weight))


@pytest.mark.parametrize("own", [0, None])
def test_members_are_as_torchs_alone(own: int | None) -> None:
    """With inputs of their own or the same, by both ways that the ensemble takes."""
    pairs = [theirs_and_mine(seed) for seed in range(3)]
    network = pairs[0][1].double()
    stacked = {
        name: torch.stack([dict(mine.named_parameters())[name].detach().double() for _, mine in pairs])
        for name, _ in network.named_parameters()
    }
    xs, along = draw(3, 4, 6, 5), draw(4, 6, 7)
    x = xs if own == 0 else xs[0]

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return (functional_call(network, parameters, (x,)) * along).sum()

    slopes, values = vmap(grad_and_value(loss), in_dims=(0, own))(stacked, x)
    views = {name: value.requires_grad_() for name, value in stacked.items()}
    outside = torch.autograd.grad(vmap(loss, in_dims=(0, own))(views, x).sum(), list(views.values()))
    for k, (theirs, _) in enumerate(pairs):
        alone = (theirs.double()(x[k] if own == 0 else x)[0] * along).sum()
        torch.testing.assert_close(values[k], alone.detach(), rtol=1e-12, atol=1e-12)
        expected = torch.autograd.grad(alone, list(theirs.parameters()))
        for name, slope, other in zip(slopes, expected, outside, strict=True):
            torch.testing.assert_close(slopes[name][k], slope, rtol=1e-11, atol=1e-11)
            torch.testing.assert_close(other[k], slope, rtol=1e-11, atol=1e-11)
