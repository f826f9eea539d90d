"""Plain MLPs by hand: forward and backward passes of stacked members, into the flat gradient.

    a_l = f(z_l),  z_l = a_{l-1} W_lᵀ + b_l;   ∂W_l = d_lᵀ a_{l-1},  ∂b_l = Σ d_l,  d_{l-1} = d_l W_l ⊙ f'(z_{l-1})

with d_l = ∂loss/∂z_l, of which the last is autograd's: what the loss does is the task's. Products write where
their result belongs, so that nothing is copied, and activations have buffers that are made once.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import vmap

from groktime.fullnet.engine.recognised import Activation, Layer, Mlp
from groktime.fullnet.engine.representation import Representation
from groktime.fullnet.engine.samples import Samples

Named = Mapping[str, Tensor]

_NARROW = 16  # inputs of a layer up to which its gradient's transpose is the faster product, copied


class Dense:
    """Passes of the members whose stacked parameters `views` are, of which `gradients` are the places."""

    def __init__(self, mlp: Mlp, views: Named, gradients: Named) -> None:
        self.mlp = mlp
        self._layers = [_Stacked(layer, views, gradients) for layer in mlp.layers]
        self._seen: tuple[Samples, int, Tensor] | None = None

    def inputs(self, samples: Samples, representation: Representation, slow: Tensor) -> Tensor:
        """What the networks see, [member, sample, input]; with a derivative by `slow` where that is trained."""
        if not representation.trained and self._seen is not None:
            kept, version, seen = self._seen
            if kept is samples and version == slow._version:
                return seen
        of_one = vmap(representation.inputs, in_dims=(0, 0 if samples.mapped else None))
        seen = of_one(slow, samples.inputs)
        seen = seen.flatten(2) if self.mlp.flattened else seen
        if not representation.trained:
            self._seen = samples, slow._version, seen
        return seen

    @torch.no_grad()
    def outputs(self, seen: Tensor, keep: bool = False) -> Tensor:
        """What the networks give, [member, sample, output]; `keep`: for a backward pass, valid until the next."""
        state = seen
        for layer in self._layers:
            state = layer.forward(state, keep)
        return state

    @torch.no_grad()
    def backward(self, seen: Tensor, slope: Tensor, by_inputs: bool) -> Tensor | None:
        """Write the gradients, of that by the outputs of the forward pass; returns that by the inputs."""
        for layer, before in zip(reversed(self._layers), [*reversed(self._layers[:-1]), None], strict=True):
            slope = layer.backward(seen if before is None else before.state, slope)
            if before is not None or by_inputs:
                slope = torch.bmm(slope, layer.weight, out=None if before is None else before.slope)
        return slope if by_inputs else None


class _Stacked:
    """One layer of all members. `state` is its activation of the last forward pass, [member, sample, output];
    `slope` a buffer for the loss's derivative by it."""

    state: Tensor
    slope: Tensor

    def __init__(self, layer: Layer, views: Named, gradients: Named) -> None:
        self.weight = views[layer.weight].detach()
        self._by_weight = gradients[layer.weight]
        self._bias = None if layer.bias is None else views[layer.bias].detach().unsqueeze(1)
        self._by_bias = None if layer.bias is None else gradients[layer.bias]
        self._activation = layer.activation
        self._buffers = self.weight.new_empty(2, 0)
        self._graph: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor, keep: bool) -> Tensor:
        place = None
        if keep:
            shape = (2, *x.shape[:-1], self.weight.shape[1])
            if self._buffers.shape != shape:
                self._buffers = self.weight.new_empty(shape)
            place, self.slope = self._buffers
        if self._bias is None:
            z = torch.bmm(x, self.weight.mT, out=place)
        else:
            z = torch.baddbmm(self._bias, x, self.weight.mT, out=place)
        self.state = z if self._activation is None else self._activated(self._activation, z, keep)
        return self.state

    def _activated(self, activation: Activation, z: Tensor, keep: bool) -> Tensor:
        if activation.function is not None:
            with torch.set_grad_enabled(keep):
                z = z.detach().requires_grad_(keep)
                out = activation.function(z)
            self._graph = (z, out) if keep else None
            return out.detach()
        if activation.kind == "leaky":
            return torch.nn.functional.leaky_relu_(z, activation.slope)
        return z.tanh_() if activation.kind == "tanh" else z.relu_()

    def backward(self, x: Tensor, slope: Tensor) -> Tensor:
        """The derivative by z, of that by the activation; those by the parameters are written."""
        slope = slope if self._activation is None else self._before(self._activation, slope)
        if x.shape[-1] > _NARROW:
            torch.bmm(slope.mT, x, out=self._by_weight)
        else:
            self._by_weight.copy_(torch.bmm(x.mT, slope).mT)
        if self._by_bias is not None:
            torch.sum(slope, 1, out=self._by_bias)
        return slope

    def _before(self, activation: Activation, slope: Tensor) -> Tensor:
        if self._graph is not None:
            z, out = self._graph
            self._graph = None
            return torch.autograd.grad(out, z, slope)[0]
        by, place = torch.ops.aten, self.slope
        if activation.kind == "tanh":
            return by.tanh_backward.grad_input(slope, self.state, grad_input=place)
        if activation.kind == "relu":
            return by.threshold_backward.grad_input(slope, self.state, 0, grad_input=place)
        given = (slope, self.state, activation.slope, True)
        return by.leaky_relu_backward.grad_input(*given, grad_input=place)
