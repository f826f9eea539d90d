"""An LSTM that `torch.func` can map over members; elsewhere torch's kernel, which it cannot map, runs it.

    i, f, o = σ(W x_t + U h_{t-1} + b),  g = tanh(…),  c_t = f c_{t-1} + i g,  h_t = o tanh(c_t)

The inputs of all time steps are projected (W x + b) in one product before the scan over time. The scan
has a derivative of its own: recorded operation by operation, a scan of 500 steps spends its time on
bookkeeping, and sums 500 gradients of U where one product over all steps does it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import linear


def faster_alone(weight: Tensor) -> bool:
    """Whether torch's kernel, which cannot be mapped, runs members with such weights faster one by one."""
    return weight.device.type == "cpu" and weight.dtype == torch.float32


class LSTM(nn.Module):
    """As `torch.nn.LSTM(inputs, hidden, layers, batch_first=True)`: the same parameters by name, order and
    initial values, from a start of h = c = 0; without dropout, projections or a second direction.
    """

    weight_hh_l0: nn.Parameter

    def __init__(self, inputs: int, hidden: int, layers: int = 1) -> None:
        super().__init__()
        self.layers = layers
        bound = 1 / math.sqrt(hidden)
        for layer in range(layers):
            shapes = {
                "weight_ih": (4 * hidden, hidden if layer else inputs),
                "weight_hh": (4 * hidden, hidden),
            }
            for name, shape in {**shapes, "bias_ih": (4 * hidden,), "bias_hh": (4 * hidden,)}.items():
                start = torch.empty(shape).uniform_(-bound, bound)
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(start))

    def forward(self, x: Tensor) -> Tensor:
        """The states h of the last layer [sample, time, hidden], of inputs [sample, time, input]."""
        if self.by_torch:
            return self._torchs(x)
        return self.scan(self.projected(x.transpose(-3, -2))).transpose(-3, -2)

    @property
    def by_torch(self) -> bool:
        """Whether torch's kernel runs it now: in float32 on the CPU, where that is the faster one, and not
        mapped over members."""
        weight = self.weight_hh_l0
        level = torch._C._functorch.maybe_current_level()
        return level is None and faster_alone(weight)

    def _torchs(self, x: Tensor) -> Tensor:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(self, f"{name}_l{layer}") for layer in range(self.layers) for name in names]
        start = x.new_zeros(self.layers, len(x), self.weight_hh_l0.shape[1])
        out: Tensor = torch.lstm(
            x, (start, start), weights, True, self.layers, 0.0, self.training, False, True
        )[0]
        return out

    def projected(self, x: Tensor, layer: int = 0) -> Tensor:
        """What inputs [..., input] add to a layer's gates, [..., 4 hidden], in the order of `scan`."""
        weight, bias = self._of(layer, "weight_ih"), self._of(layer, "bias_ih") + self._of(layer, "bias_hh")
        return linear(x, weight, bias)

    def scan(self, gates: Tensor) -> Tensor:
        """The states of the last layer [time, sample, hidden], of the projected inputs of the first one
        [time, sample, 4 hidden]."""
        states = gates
        for layer in range(self.layers):
            x = self.projected(states, layer) if layer else gates
            states = _Scan.apply(x, self._of(layer, "weight_hh"))[0]  # type: ignore[no-untyped-call]
        return states

    def _of(self, layer: int, name: str) -> Tensor:
        # torch has the gates as i, f, g, o; with o first, those of σ lie side by side, as do those of c.
        i, f, g, o = getattr(self, f"{name}_l{layer}").chunk(4)
        return torch.cat((o, i, f, g))


class _Scan(Function):
    """h [..., time, sample, hidden] of x [..., time, sample, 4 hidden] and U [..., 4 hidden, hidden], with
    the gates after their nonlinearity and c, which the derivative needs. Leading dimensions are members.
    """

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        members, (steps, samples, width) = x.shape[:-3], x.shape[-3:]
        hidden = width // 4
        x = x.reshape(-1, steps, samples, width)
        back = weight.reshape(len(x), width, hidden).transpose(1, 2).contiguous()
        # Time comes first, so that every step reads and writes one block of memory.
        gates = x.new_empty(steps, *x.shape[:1], samples, width)
        h, c = (x.new_empty(*gates.shape[:-1], hidden) for _ in range(2))
        # Views are made once: making them in the loop costs as much as the arithmetic of a small network.
        every, xs, hs, cs = gates.unbind(), x.unbind(1), h.unbind(), c.unbind()
        sigmas, tanhs = gates[..., : 3 * hidden].unbind(), gates[..., 3 * hidden :].unbind()
        each = zip(*(gate.unbind() for gate in gates.chunk(4, -1)), strict=True)
        for t, (o, i, f, g) in enumerate(each):
            if t:
                torch.baddbmm(xs[t], hs[t - 1], back, out=every[t])
            else:
                every[t].copy_(xs[t])
            sigmas[t].sigmoid_()
            tanhs[t].tanh_()
            torch.mul(i, g, out=cs[t])
            if t:
                cs[t].addcmul_(f, cs[t - 1])
            torch.tanh(cs[t], out=hs[t]).mul_(o)
        return _back(h, members), _back(gates, members), _back(c, members)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor, Tensor]) -> None:
        h, gates, c = output
        ctx.mark_non_differentiable(gates, c)
        ctx.save_for_backward(h, gates, c, inputs[1])

    @staticmethod
    def backward(ctx: Any, slope: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        return _ScanBackward.apply(slope, *ctx.saved_tensors)  # type: ignore[no-untyped-call, no-any-return]

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *given: Tensor) -> tuple[Any, Any]:
        return _Scan.apply(*_members_first(info, in_dims, given)), (0, 0, 0)  # type: ignore[no-untyped-call]


class _ScanBackward(Function):
    """The gradients by x and U, of the gradient by h and what `_Scan` kept."""

    @staticmethod
    def forward(slope: Tensor, h: Tensor, gates: Tensor, c: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        members = h.shape[:-3]
        slope, h, gates, c = (_front(v) for v in (slope, h, gates, c))
        steps, count, samples, hidden = h.shape
        weight = weight.reshape(count, 4 * hidden, hidden)
        # By the gates before their nonlinearity: dh · by_o for o, dc · by_c for i, f, g; dc has dh · by_h.
        o, i, f, g = gates.chunk(4, -1)
        tanh = c.tanh()
        by_o = tanh * o * (1 - o)
        by_h = o * (1 - tanh * tanh)
        by_c = h.new_empty(steps, count, samples, 3, hidden)
        by_c[..., 0, :] = g * i * (1 - i)
        by_c[0, ..., 1, :] = 0.0
        by_c[1:, ..., 1, :] = c[:-1] * f[1:] * (1 - f[1:])
        by_c[..., 2, :] = i * (1 - g * g)
        grad = torch.empty_like(gates)
        to_o = grad[..., :hidden].unbind()
        to_c = grad.view(steps, count, samples, 4, hidden)[..., 1:, :].unbind()
        grads, fs, slopes = grad.unbind(), f.unbind(), slope.unbind()
        by_os, by_hs, by_cs = by_o.unbind(), by_h.unbind(), by_c.unbind()
        dc = torch.zeros_like(c[0])
        for t in reversed(range(steps)):
            dh = slopes[t]
            if t + 1 < steps:
                dh = torch.baddbmm(dh, grads[t + 1], weight)
                dc.mul_(fs[t + 1])
            dc.addcmul_(dh, by_hs[t])
            torch.mul(dh, by_os[t], out=to_o[t])
            torch.mul(dc[..., None, :], by_cs[t], out=to_c[t])
        after, before = (v.transpose(0, 1).reshape(count, -1, v.shape[-1]) for v in (grad[1:], h[:-1]))
        by_weight = torch.bmm(after.transpose(1, 2), before)
        return _back(grad, members), by_weight.reshape(*members, 4 * hidden, hidden)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        return

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *given: Tensor) -> tuple[Any, Any]:
        return _ScanBackward.apply(*_members_first(info, in_dims, given)), (0, 0)  # type: ignore[no-untyped-call]


def _members_first(info: Any, in_dims: tuple[int | None, ...], given: tuple[Tensor, ...]) -> list[Tensor]:
    """The mapped dimension of all as their first."""
    return [
        v.expand(info.batch_size, *v.shape) if dim is None else v.movedim(dim, 0)
        for v, dim in zip(given, in_dims, strict=True)
    ]


def _front(v: Tensor) -> Tensor:
    """[..., time, sample, x] as [time, member, sample, x]."""
    return v.reshape(-1, *v.shape[-3:]).transpose(0, 1)


def _back(v: Tensor, members: torch.Size) -> Tensor:
    return v.transpose(0, 1).reshape(*members, v.shape[0], *v.shape[2:])
