"""Where a run is taken up: weights, moments and step of a checkpoint that a person already has.

`Task.at` makes the task whose networks start there, for every verb. A checkpoint is read without running what
is in it: `torch.load(…, weights_only=True)`, or safetensors.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from groktime.reduced.arguments import file_name, shown, whole_number
from groktime.reduced.errors import InputError

Named = Mapping[str, Tensor]

_NO_STATE = "optimizer_state: expected what optimizer.state_dict() gives"

# where people's checkpoints keep what, in the order in which it is looked for
_WEIGHTS = ("state_dict", "model_state_dict", "model", "network", "net", "weights")
_OPTIMIZER = ("optimizer_state_dict", "optimizer", "optim", "optimizer_state", "optimizer_states")
_STEP = ("step", "global_step", "iteration", "iter", "steps")


@dataclass(frozen=True)
class Checkpoint:
    """Where a run is at `step`, in optimizer steps of the run.

    `weights`: parameters and buffers, by name. `moments`: what the optimizer keeps of each parameter, by name
    ("exp_avg", …); None where nobody knows, so that they begin at 0. `updates`: steps that the optimizer has
    counted, for Adam's bias.
    """

    weights: Named
    moments: Mapping[str, Named] | None = None
    step: int = 0
    updates: int = 0
    source: str = "start"

    def load(self, network: nn.Module) -> None:
        """Put a network there."""
        network.load_state_dict(dict(self.weights))

    def moments_of(self, rule: str, keys: Sequence[str], named: Named) -> Tensor | None:
        """The moments of an optimizer, [moment, parameter], by the keys that they have, of parameters in this
        order; None where nobody knows them, or there are none.

        Raises
        ------
        InputError : where they are those of another optimizer.
        """
        if self.moments is None:
            return None
        for name in named:
            for key in keys:
                if key not in self.moments.get(name, {}):
                    raise InputError(
                        f"optimizer_state: {self.source} has no {key!r} of {name}; expected the state of the "
                        f"optimizer, {rule!r}"
                    )
        each = [torch.cat([self.moments[name][key].reshape(-1) for name in named]) for key in keys]
        return torch.stack(each) if each else None

    def configuration(self) -> dict[str, Any]:
        """What the numbers depend on, for a file."""
        digest = hashlib.blake2b(digest_size=16)
        for kind, tensors in (("weights", self.weights), *sorted((self.moments or {}).items())):
            for name, tensor in tensors.items():
                digest.update(f"{kind} {name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        known = self.moments is not None
        return {"step": self.step, "updates": self.updates, "moments": known, "digest": digest.hexdigest()}


def read_checkpoint(
    start: str | Path | Mapping[str, Any],
    network: nn.Module,
    no_decay: Iterable[str] = (),
    optimizer_state: Mapping[str, Any] | None = None,
    step: int | None = None,
) -> Checkpoint:
    """The checkpoint of a file or of a `state_dict`, for a network like this one.

    Parameters
    ----------
    start : a file of `torch.save` or safetensors, or what is in it: a `state_dict`, or a dictionary that has
        one, as "model" or "state_dict", say; names may have a prefix, as Lightning, DataParallel and
        torch.compile put it.
    no_decay : names of the parameters that do not decay, by which the groups of an optimizer are told apart.
    optimizer_state : `optimizer.state_dict()` (default: that in the file, if there is one).
    step : optimizer steps that the run has done (default: what the file says, or the optimizer; else 0).

    Raises
    ------
    InputError : naming the file and the key, and what was expected.
    """
    source = "start" if isinstance(start, Mapping) else file_name("start", start)
    found = dict(start) if isinstance(start, Mapping) else _loaded(source)
    weights = _fitting(_weights(found, source), network.state_dict(), source)
    if optimizer_state is None:
        inside = next((found[key] for key in _OPTIMIZER if key in found), None)
        state = inside[0] if isinstance(inside, Sequence) and inside else inside
        optimizer_state = state if isinstance(state, Mapping) and "state" in state else None
    moments, updates = None, None
    if optimizer_state is not None:
        trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
        try:
            moments, updates = _moments(optimizer_state, trained, set(no_decay))
        except InputError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(_NO_STATE) from error
    if step is None:
        said = next((found[key] for key in _STEP if key in found), updates or 0)
        single = isinstance(said, int | float) or (isinstance(said, Tensor) and said.numel() == 1)
        step = int(said) if single else 0
    step = whole_number("step", step, 0)
    return Checkpoint(weights, moments, step, step if updates is None else updates, source)


def _loaded(source: str) -> dict[str, Any]:
    if not Path(source).is_file():
        raise InputError(f"{source}: there is no such file; expected a checkpoint")
    if source.endswith(".safetensors"):
        try:
            from safetensors import SafetensorError
            from safetensors.torch import load_file
        except ModuleNotFoundError as error:
            raise InputError(f"{source}: reading it needs safetensors: pip install safetensors") from error
        try:
            return dict(load_file(source))
        except (SafetensorError, OSError) as error:
            raise InputError(f"{source}: cannot be read as safetensors ({error})") from error
    try:
        found = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged file torch raises what it happens to meet
        other = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        held = f", since it holds a {other[1]}" if other else ""
        raise InputError(
            f"{source}: cannot be read as tensors alone{held}; expected what torch.save(model.state_dict(), "
            "…) writes, or a dictionary with it"
        ) from error
    if not isinstance(found, Mapping):
        raise InputError(f"{source}: holds {shown(type(found).__name__)}; expected a dictionary of tensors")
    return dict(found)


def _weights(found: Mapping[str, Any], source: str) -> dict[str, Tensor]:
    inside = next((found[k] for k in _WEIGHTS if isinstance(found.get(k), Mapping)), found)
    tensors = {str(k): v for k, v in inside.items() if isinstance(v, Tensor)}
    if not tensors:
        keys = ", ".join(map(str, found)) or "nothing"
        raise InputError(f"{source}: holds no tensors ({keys[:120]}); expected a state_dict")
    return tensors


def _fitting(found: dict[str, Tensor], wanted: Named, source: str) -> dict[str, Tensor]:
    """The tensors under the network's own names, all of them and no others."""
    first = next(iter(wanted), "")
    prefixes = ["", *(name.removesuffix(first) for name in found if name.endswith(f".{first}"))]
    prefix = max(prefixes, key=lambda p: sum(p + name in found for name in wanted))
    own = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}
    for here, there, words in ((wanted, own, "has no"), (own, wanted, "has also")):
        if other := [name for name in here if name not in there]:
            raise InputError(f"{source}: {words} {_few(other)}; expected those of the task, {_few(wanted)}")
    for name, tensor in wanted.items():
        if own[name].shape != tensor.shape:
            shape, expected = tuple(own[name].shape), tuple(tensor.shape)
            raise InputError(f"{source}: {name} has shape {shape}; expected {expected}, as in the network")
        if not torch.isfinite(own[name]).all():
            raise InputError(f"{source}: {name} is not finite; expected finite weights")
    return {name: own[name].detach().cpu().clone() for name in wanted}


def _few(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:4]) + (f" and {len(every) - 4} more" if len(every) > 4 else "")


def _moments(
    state: Mapping[str, Any], trained: Named, no_decay: set[str]
) -> tuple[dict[str, dict[str, Tensor]], int]:
    """What `optimizer.state_dict()` keeps of each parameter by name, and the steps that it has counted."""
    groups, kept = state.get("param_groups"), state.get("state")
    if not (isinstance(groups, Sequence) and groups and isinstance(kept, Mapping)):
        raise InputError(_NO_STATE)
    names = dict(zip(*_ordered(groups, trained, no_decay), strict=True))
    found, updates = {}, 0
    for number, values in kept.items():
        name = names.get(number)
        if name is None:
            continue
        tensors = {key: v for key, v in values.items() if isinstance(v, Tensor) and v.ndim}
        for key, tensor in tensors.items():
            if tensor.shape != trained[name].shape:
                raise InputError(
                    f"optimizer_state: {key} of {name} has shape {tuple(tensor.shape)}; expected "
                    f"{tuple(trained[name].shape)}, as the parameter"
                )
        found[name] = {key: tensor.detach().cpu().clone() for key, tensor in tensors.items()}
        updates = max(updates, int(values.get("step", 0) or 0))
    return found, updates


def _ordered(
    groups: Sequence[Mapping[str, Any]], trained: Named, no_decay: set[str]
) -> tuple[list[Any], list[str]]:
    """The numbers by which the optimizer knows its parameters, and their names."""
    numbers = [number for group in groups for number in group["params"]]
    said = [name for group in groups for name in group.get("param_names", ())]
    if len(said) == len(numbers) and set(said) == set(trained):
        return numbers, said
    if len(groups) == 1:
        names = list(trained)
    else:  # of each group, all that decays or all that does not, in the network's order
        names = []
        for group in groups:
            still = group.get("weight_decay", 0) == 0
            names += [name for name in trained if (name in no_decay) == still]
    if len(names) != len(numbers) or set(names) != set(trained):
        raise InputError(
            f"optimizer_state: has {len(numbers)} parameters in {len(groups)} groups; expected the "
            f"{len(trained)} of the network, in one group, or in two, those that decay and those that do not"
        )
    return numbers, names
