"""Plain MLPs by hand: forward and backward passes of stacked members, into the flat gradient.

    a_l = f(z_l),  z_l = a_{l-1} W_lᵀ + b_l;   ∂W_l = d_lᵀ a_{l-1},  ∂b_l = Σ d_l,
    d_{l-1} = d_l W_l ⊙ f'(z_{l-1})

with d_l = ∂loss/∂z_l, of which the last is autograd's: what the loss does is the task's. Products write where
their result belongs, so that nothing is copied, and activations have buffers that are made once. Where there
is a C compiler, a kernel of ours (`native`) does a layer in one go.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import vmap

from groktime.fullnet.engine import native
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
        known = [(one.native, one.activation) for one in self._layers if native.knows(one.activation)]
        whole = [(one, activation) for one, activation in known if one is not None]
        self._squared = native.Squared(whole) if len(whole) == len(self._layers) else None

    @property
    def width(self) -> int:
        """How many outputs a network has."""
        return self._layers[-1].weight.shape[1]

    def inputs(self, samples: Samples, representation: Representation, slow: Tensor) -> Tensor:
        """What the networks see, [member, sample, input]; with a derivative by `slow` if that is trained."""
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
        """What the networks give, [member, sample, output]; `keep`: for a backward pass, until the next."""
        state = seen
        for layer in self._layers:
            state = layer.forward(state, keep)
        return state

    @torch.no_grad()
    def squared(self, seen: Tensor, targets: Tensor) -> Tensor | None:
        """Mean squared error [member], of which the gradients are written; None where that is no one pass."""
        if self._squared is None or not (native.fits(seen) and native.fits(targets)):
            return None
        return self._squared(seen, targets)

    @torch.no_grad()
    def backward(self, seen: Tensor, slope: Tensor, by_inputs: bool) -> Tensor | None:
        """Write the gradients, of that by the outputs of the forward pass; returns that by the inputs."""
        slope = self._layers[-1].by_sum(slope)
        for layer, before in zip(self._layers[:0:-1], self._layers[-2::-1], strict=True):
            slope = layer.backward(before.state, slope, before)
        first = self._layers[0]
        first.write(seen, slope)
        return torch.bmm(slope, first.weight) if by_inputs else None


class _Stacked:
    """One layer of all members. `state` is its activation of the last forward pass, [member, sample, output];
    `slope` a buffer for the loss's derivative by it."""

    state: Tensor
    slope: Tensor

    def __init__(self, layer: Layer, views: Named, gradients: Named) -> None:
        self.weight = views[layer.weight].detach()
        self.activation = layer.activation
        self._by_weight = gradients[layer.weight]
        self._bias = None if layer.bias is None else views[layer.bias].detach()
        self._by_bias = None if layer.bias is None else gradients[layer.bias]
        self._place = self.weight.new_empty(0)
        self._graph: tuple[Tensor, Tensor] | None = None
        self.native = native.layer(self.weight, self._bias, self._by_weight, self._by_bias)

    def forward(self, x: Tensor, keep: bool) -> Tensor:
        shape = (*x.shape[:-1], self.weight.shape[1])
        if keep and self._place.shape != shape:  # apart, as autograd counts what is written to each
            self._place, self.slope = x.new_empty(shape), x.new_empty(shape)
        place = self._place if keep else x.new_empty(shape)
        activation = self.activation
        if self.native is not None and native.fits(x) and native.knows(activation):
            self.native.forward(x, place, activation)
            self.state = place
            return place
        if self._bias is None:
            torch.bmm(x, self.weight.mT, out=place)
        else:
            torch.baddbmm(self._bias.unsqueeze(1), x, self.weight.mT, out=place)
        self.state = place if activation is None else self._activated(activation, place, keep)
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

    def backward(self, x: Tensor, slope: Tensor, before: _Stacked) -> Tensor:
        """The derivative by the z of the layer before, of that by z; those by the parameters are written."""
        if self.native is not None and native.fits(x) and native.knows(before.activation):
            self.native.backward(x, slope, before.slope, before.activation)
            return before.slope
        self.write(x, slope)
        return before.by_sum(torch.bmm(slope, self.weight, out=before.slope))

    def write(self, x: Tensor, slope: Tensor) -> None:
        """Write the derivatives by the parameters, of that by z."""
        if self.native is not None and native.fits(x):
            self.native.backward(x, slope, None, None)
            return
        if x.shape[-1] > _NARROW:
            torch.bmm(slope.mT, x, out=self._by_weight)
        else:
            self._by_weight.copy_(torch.bmm(x.mT, slope).mT)
        if self._by_bias is not None:
            torch.sum(slope, 1, out=self._by_bias)

    def by_sum(self, slope: Tensor) -> Tensor:
        """The derivative by z, of that by the activation."""
        activation, place, by = self.activation, self.slope, torch.ops.aten
        if activation is None:
            return slope
        if self._graph is not None:
            z, out = self._graph
            self._graph = None
            return torch.autograd.grad(out, z, slope)[0]
        if activation.kind == "tanh":
            by.tanh_backward.grad_input(slope, self.state, grad_input=place)
        elif activation.kind == "relu":
            by.threshold_backward.grad_input(slope, self.state, 0, grad_input=place)
        else:
            by.leaky_relu_backward.grad_input(slope, self.state, activation.slope, True, grad_input=place)
        return place
