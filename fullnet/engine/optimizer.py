"""One optimizer step for all members of an ensemble, each with a rate, a decay and betas of its own.

Where only some columns decay, the rules are given none, and the decay is done beside them: by one more pass
over the weights, or, where it goes through the gradient, over that. Rules are in `fullnet/engine/rules`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from groktime.fullnet.engine.rules import UPDATES, Rows
from groktime.fullnet.engine.rules.update import Setting as Setting
from groktime.fullnet.engine.rules.update import Shapes, Update

RULES = tuple(UPDATES)


class Optimizer:
    """Moments and settings of the members; `step` updates their parameters in place.

    Parameters
    ----------
    rule : one of RULES.
    flat : Tensor [member, parameter], contiguous.
    settings : one a member. Neighbours with equal settings cost one kernel call together; on an accelerator
        those that differ in a decoupled decay alone, too.
    decays : Tensor [parameter] of bool, or None: which columns decay (all).
    rates : Tensor [parameter], what the rate is multiplied by, or None: the same for all.
    shapes : of the parameters, one after the other; none: one vector.
    update : what the rule is, where it is a user's own.
    """

    def __init__(
        self,
        rule: str,
        flat: Tensor,
        settings: Sequence[Setting],
        decays: Tensor | None = None,
        rates: Tensor | None = None,
        shapes: Shapes = (),
        update: Update | None = None,
    ) -> None:
        self.rule, self.flat, self.settings = rule, flat, list(settings)
        self._rates = None if rates is None else rates.to(flat)
        self._share = None if decays is None else decays.to(flat)
        self.update, self._shapes = UPDATES[rule] if update is None else update, shapes
        self.moments = torch.zeros((self.update.moments, *flat.shape), dtype=flat.dtype, device=flat.device)
        self.steps = 0
        # on the CPU one more pass over the weights costs more than the calls
        self.decays_at_once = flat.device.type != "cpu" and self.update.decays and not self.update.coupled
        self._group()

    def _group(self) -> None:
        self._groups: list[tuple[slice, Setting, Tensor]] = []
        self._decay: Tensor | None = None  # ηγ, [member, 1] or [member, parameter], if it is done at once
        settings, first = self.settings, 0
        if self.decays_at_once:
            each = self.flat.new_tensor([setting.rate * setting.decay for setting in settings]).unsqueeze(1)
            self._decay = each if self._share is None else each * self._share
            settings = [replace(setting, decay=0.0) for setting in settings]
        for setting, same in itertools.groupby(settings):
            rows = slice(first, first + len(list(same)))
            # torch counts the steps of each call in a tensor of its own
            count = torch.tensor(float(self.steps), device=self.flat.device)
            self._groups.append((rows, setting, count))
            first = rows.stop

    @torch.no_grad()
    def step(self, gradient: Tensor, factor: float = 1.0) -> None:
        """Update all members by their gradients [member, parameter]; `factor` scales every rate."""
        rates, before = self._rates, None if self._rates is None else self.flat.clone()
        if self._decay is not None:  # not multiplied by 1 - ηγ, which in float32 may be a few per cent off
            self.flat.addcmul_(self.flat, self._decay, value=-factor)
        for rows, setting, count in self._groups:
            # A gradient that does not share its parameter's layout makes fused kernels silently wrong.
            weights, slopes = self.flat[rows], gradient[rows]
            rate, decay = setting.rate * factor, setting.decay if self.update.decays else 0.0
            if self._share is not None and decay:
                if self.update.coupled:
                    slopes = torch.addcmul(slopes, weights, self._share, value=decay)
                else:  # not multiplied by 1 - ηγ, which in float32 may be a few per cent off
                    weights.addcmul_(weights, self._share, value=-rate * decay)
                decay = 0.0
            moments = [moment[rows] for moment in self.moments]
            self.update.step(Rows(weights, slopes, moments, setting, rate, decay, count, self._shapes))
        if rates is not None and before is not None:  # a step is proportional to its rate, whatever the rule
            self.flat.copy_(torch.addcmul(before, self.flat - before, rates))
        self.steps += 1

    @torch.no_grad()
    def age(self, gradient: Tensor, more: Tensor, least: Tensor) -> None:
        """Let Adam's second moments forget as they would in `more` [member] further steps along the same
        gradients, but remember `least` [member] steps; of the other rules nothing."""
        second = self.update.second
        if second is None:
            return
        beta = torch.tensor([setting.betas[1] for setting in self.settings], dtype=torch.float64)
        kept = torch.maximum(beta ** more.cpu().double(), (1 - 1 / least.cpu().double()) / beta)
        kept = kept.clamp(max=1.0).to(self.moments).unsqueeze(1)
        self.moments[second].mul_(kept).addcmul_(gradient.square(), 1 - kept)

    def keep(self, rows: Tensor, flat: Tensor) -> None:
        """Retire all other members; `flat` holds the parameters of those that stay."""
        self.flat, self.moments = flat, self.moments[:, rows].contiguous()
        self.settings = [self.settings[k] for k in rows.tolist()]
        self._group()

    def state(self) -> Mapping[str, Tensor]:
        """What a checkpoint needs beside the parameters."""
        return {"moments": self.moments, "steps": torch.tensor(self.steps)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint."""
        self.moments.copy_(state["moments"])
        self.steps = int(state["steps"])
        self._group()


def weight_norm(flat: Tensor, decays: Tensor | None = None) -> Tensor:
    """L2 norm of each member's parameters, or of the columns that decay [parameter], [member]."""
    norm: Tensor = torch.linalg.vector_norm(flat if decays is None else flat[:, decays], dim=1)
    return norm


def project(flat: Tensor, target: Tensor, decays: Tensor | None = None) -> None:
    """Rescale each member to its target norm [member], in place; the columns that do not decay stay."""
    scale(flat, target / weight_norm(flat, decays), decays)


def scale(flat: Tensor, factor: Tensor, decays: Tensor | None = None) -> None:
    """Multiply each member's decaying columns by its factor [member], in place."""
    each = factor.unsqueeze(1)
    flat.mul_(each if decays is None else torch.where(decays, each, torch.ones_like(each)))


def clip(gradient: Tensor, most: float) -> None:
    """Cut each member's gradient to the norm `most`, in place, as torch's `clip_grad_norm_` does."""
    share = most / (weight_norm(gradient) + 1e-6)
    gradient.mul_(share.clamp(max=1.0).unsqueeze(1))


def tangent(gradient: Tensor, flat: Tensor, norm: Tensor, decays: Tensor | None = None) -> Tensor:
    """Take from each member's gradient its radial part, in place: g - (g·w)w/|w|², w the columns that decay;
    along the others it stays.

    Returns g·w = ∂l/∂u, u = ln w, [member]; `norm` is |w|, [member].
    """
    held = flat if decays is None else flat * decays
    radial = (gradient * held).sum(1)
    gradient.addcmul_(held, (radial / norm.square()).unsqueeze(1), value=-1)
    return radial
