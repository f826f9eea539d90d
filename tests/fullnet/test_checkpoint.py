"""Runs that are taken up from a checkpoint: equal to the run that was never stopped, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters

import groktime as gt
from groktime.cli import main
from groktime.fullnet.engine.fresh import fresh_network, initial_parameters
from groktime.fullnet.machine import Machine
from groktime.fullnet.procedures.training import Training
from groktime.fullnet.settings import members_of, setup_of
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.reduced.errors import InputError

AT, STEPS, RATE, GAMMA = 30, 60, 1e-2, 0.5
ONE = Machine(workers=1, progress=False)
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "momentum": lambda groups: torch.optim.SGD(groups, lr=RATE, momentum=0.9),
    "sgd": lambda groups: torch.optim.SGD(groups, lr=RATE),
}


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 1)).double()


def problem(seed: int, n_train: int) -> Problem:
    x = torch.randn(n_train + 6, 3, generator=torch.Generator().manual_seed(seed)).double()
    train, test = (Split(part, {"y": part[:, :1].sin()}) for part in (x[:n_train], x[n_train:]))
    return Problem(train, test)


def squared(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["y"]).square().mean(-1)


TASK = Task(
    name="of a user", network=network, problem=problem, loss=squared, loss_name="mse", n_train=20,
    right=lambda out, y: squared(out, y) < 0.1, optimizer=Adam(RATE), steps=10, threshold=0.5,
)  # fmt: skip


def grouped(task: Task, net: nn.Module) -> list[dict[str, Any]]:
    """Parameter groups as people make them: what decays, and what does not."""
    still = task.no_decay
    decays = [p for name, p in net.named_parameters() if name not in still]
    others = [p for name, p in net.named_parameters() if name in still]
    groups = [{"params": decays, "weight_decay": GAMMA, "lr": RATE}]
    return groups + ([{"params": others, "weight_decay": 0.0, "lr": RATE}] if others else [])


def looped(task: Task, rule: str) -> tuple[NDArray[np.float64], dict[str, Tensor], dict[str, Any]]:
    """A plain loop: the losses of all steps, and what a person saves at step AT."""
    net, data = fresh_network(task, 3), task.problem(3, task.n_train).train
    optimizer = OPTIMIZERS[rule](grouped(task, net))
    losses, saved, state = [], {}, {}
    for step in range(STEPS):
        if step == AT:
            saved = {name: tensor.clone() for name, tensor in net.state_dict().items()}
            state = {**optimizer.state_dict()}
            state["state"] = {
                k: {n: t.clone() if isinstance(t, Tensor) else t for n, t in v.items()}
                for k, v in state["state"].items()
            }
        losses.append(squared(net(data.inputs), data.targets).mean().item())
        optimizer.zero_grad()
        loss = squared(net(data.inputs), data.targets).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return np.array(losses), saved, state


def taken_up(task: Task, **settings: Any) -> gt.Runs:
    usual = {"gamma": GAMMA, "alpha": 1.0, "steps": STEPS, "resolution": 1e-3, "machine": ONE}
    return gt.train(task, **{**usual, **settings})


STILL = ("0.bias", "2.weight", "2.bias", "3.bias")


@pytest.mark.parametrize("rule", OPTIMIZERS)
@pytest.mark.parametrize("no_decay", [(), STILL])
def test_a_run_goes_on_as_if_it_had_never_been_stopped(rule: str, no_decay: tuple[str, ...]) -> None:
    task = replace(TASK, no_decay=no_decay)
    losses, weights, state = looped(task, rule)
    runs = taken_up(task.at(weights, state, AT), optimizer=rule, seeds=[3])
    assert runs.step.tolist() == list(range(AT, STEPS + 1))
    np.testing.assert_allclose(runs["train_loss"].values[0, :-1], losses[AT:], rtol=1e-9)


def test_minibatches_go_on_where_they_were() -> None:
    whole = taken_up(TASK, batch=7, seeds=[3], optimizer="sgd")
    procedure = Training(setup_of(TASK, ONE, {"batch": 7}, 3), STEPS, "sgd")
    state = procedure.init(members_of(TASK, {"gamma": GAMMA, "alpha": 1.0, "seeds": [3]}))
    for _ in range(AT):
        procedure.step(state)
    net = fresh_network(TASK, 3)
    vector_to_parameters(state.members.flat[0], net.parameters())
    later = taken_up(TASK.at(net.state_dict(), step=AT), batch=7, seeds=[3], optimizer="sgd")
    np.testing.assert_allclose(later["train_loss"].values[0], whole["train_loss"].values[0, AT:], rtol=1e-9)


def test_a_checkpoint_is_one_network_and_its_norm_is_that_of_alpha_1() -> None:
    _, weights, state = looped(TASK, "adamw")
    task = TASK.at(weights, state, AT)
    runs = taken_up(task)
    norm = float(torch.cat([p.flatten() for p in weights.values()]).norm())
    assert runs["seed"].values.tolist() == [0]
    assert runs["w0"].values == pytest.approx(norm)
    for seed in (0, 5):
        assert torch.equal(initial_parameters(task, seed), initial_parameters(task, 0))


def test_without_moments_they_begin_at_zero() -> None:
    _, weights, _ = looped(TASK, "adamw")
    runs = taken_up(TASK.at(weights, step=AT), seeds=[3])
    net = fresh_network(TASK.at(weights), 3)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=GAMMA)
    data = problem(3, 20).train
    squared(net(data.inputs), data.targets).mean().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    after = squared(net(data.inputs), data.targets).mean().item()
    assert runs["train_loss"].values[0, 1] == pytest.approx(after, rel=1e-9)


def saved(folder: Path, kind: str, weights: dict[str, Tensor], state: dict[str, Any]) -> Path:
    """A checkpoint as people keep them."""
    file = folder / ("run.safetensors" if kind == "safetensors" else "run.pt")
    if kind == "safetensors":
        save_file(weights, file)
        return file
    kinds: dict[str, Any] = {
        "weights": weights,
        "dictionary": {"model": weights, "optimizer": state, "step": AT},
        "tutorial": {"model_state_dict": weights, "optimizer_state_dict": state, "epoch": 3, "loss": 0.1},
        "lightning": {
            "state_dict": {f"net.{k}": v for k, v in weights.items()},
            "optimizer_states": [state], "global_step": AT,
        },
        "parallel": {f"module._orig_mod.{k}": v for k, v in weights.items()},
    }  # fmt: skip
    torch.save(kinds[kind], file)
    return file


@pytest.mark.parametrize(
    ("kind", "moments", "step"),
    [("weights", False, 0), ("dictionary", True, AT), ("tutorial", True, AT), ("lightning", True, AT),
     ("parallel", False, 0), ("safetensors", False, 0)],
)  # fmt: skip
def test_files_of_all_kinds_are_read(kind: str, moments: bool, step: int, tmp_path: Path) -> None:
    _, weights, state = looped(TASK, "adamw")
    start = TASK.at(saved(tmp_path, kind, weights, state)).start
    assert start is not None
    assert start.step == step and (start.moments is not None) == moments
    assert all(torch.equal(start.weights[name], weights[name]) for name in weights)
    if moments:
        assert start.moments is not None
        first = state["state"][0]["exp_avg_sq"]
        assert torch.equal(start.moments["0.weight"]["exp_avg_sq"], first)


class Unpicklable:
    """What weights_only refuses."""


def wrong(kind: str, weights: dict[str, Tensor], state: dict[str, Any], folder: Path) -> Any:
    file = folder / "run.pt"
    if kind == "missing":
        return {"start": {k: v for k, v in weights.items() if k != "3.bias"}}
    if kind == "more":
        return {"start": {**weights, "4.bias": torch.ones(1)}}
    if kind == "shape":
        return {"start": {**weights, "3.bias": torch.ones(2)}}
    if kind == "infinite":
        return {"start": {**weights, "3.bias": torch.tensor([torch.inf])}}
    if kind == "no file":
        return {"start": file}
    if kind == "objects":
        torch.save({"model": weights, "config": Unpicklable()}, file)
        return {"start": file}
    if kind == "bytes":
        file.write_bytes(b"not a checkpoint")
        return {"start": file}
    if kind == "safetensors":
        other = folder / "run.safetensors"
        other.write_bytes(b"not a checkpoint")
        return {"start": other}
    if kind == "list":
        torch.save([1, 2], file)
        return {"start": file}
    if kind == "empty":
        return {"start": {"epoch": 3}}
    if kind == "step":
        return {"start": weights, "step": -1}
    if kind == "number":
        return {"start": weights, "optimizer_state": 3}
    if kind == "parts":
        return {"start": weights, "optimizer_state": {"param_groups": [{"lr": 1e-3}], "state": {}}}
    if kind == "state":
        return {"start": weights, "optimizer_state": {"lr": 1e-3}}
    return {"start": weights, "optimizer_state": {**state, "param_groups": [{"params": [0, 1]}]}}


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("missing", r"^start: has no 3\.bias; expected those of the task, 0\.weight, .* and 2 more$"),
        ("more", r"^start: has also 4\.bias; expected those of the task"),
        ("shape", r"^start: 3\.bias has shape \(2,\); expected \(1,\), as in the network$"),
        ("infinite", r"^start: 3\.bias is not finite; expected finite weights$"),
        ("no file", r"run\.pt: there is no such file; expected a checkpoint$"),
        ("objects", r"run\.pt: cannot be read as tensors alone, since it holds a \S*Unpicklable; expected"),
        ("bytes", r"run\.pt: cannot be read as tensors alone"),
        ("safetensors", r"run\.safetensors: cannot be read as safetensors"),
        ("list", r"run\.pt: holds 'list'; expected a dictionary of tensors$"),
        ("empty", r"^start: holds no tensors \(epoch\); expected a state_dict$"),
        ("step", r"^step = -1: expected"),
        ("state", r"^optimizer_state: expected what optimizer\.state_dict\(\) gives$"),
        ("number", r"^optimizer_state: expected what optimizer\.state_dict\(\) gives$"),
        ("parts", r"^optimizer_state: expected what optimizer\.state_dict\(\) gives$"),
        ("groups", r"^optimizer_state: has 2 parameters in 1 groups; expected the 6 of the network"),
    ],
)
def test_what_does_not_fit_is_named(kind: str, sentence: str, tmp_path: Path) -> None:
    _, weights, state = looped(TASK, "adamw")
    given = wrong(kind, weights, state, tmp_path)
    with pytest.raises(InputError, match=sentence) as told:
        TASK.at(given.pop("start"), **given)
    assert "\n" not in str(told.value)


def test_moments_of_another_optimizer_and_an_end_before_the_start_are_refused() -> None:
    _, weights, state = looped(TASK, "momentum")
    task = TASK.at(weights, state, AT)
    with pytest.raises(InputError, match=r"^optimizer_state: start has no 'exp_avg' of 0\.weight; expected"):
        taken_up(task)
    with pytest.raises(InputError, match=rf"^steps = {AT}: expected more than {AT}, the step of the check"):
        taken_up(task, steps=AT, optimizer="momentum")
    with pytest.raises(InputError, match=r"^representation = 'line': a checkpoint holds none; expected"):
        taken_up(task, optimizer="momentum", representation="line")
    with pytest.raises(InputError, match=rf"^steps = {AT}: expected more than {AT}"):
        gt.forecast(task, gamma=GAMMA, steps=AT, machine=ONE)


def test_work_from_another_checkpoint_is_not_gone_on_with(tmp_path: Path) -> None:
    _, weights, state = looped(TASK, "adamw")
    moved = {name: 1.001 * tensor for name, tensor in weights.items()}
    starts = ((weights, state), (weights, None), (moved, state))
    found = [TASK.at(w, s, AT).handling["start"] for w, s in starts]
    assert len({one["digest"] for one in found}) == 3
    assert found[0] == TASK.at(weights, state, AT).handling["start"]


def valley() -> Task:
    """Of 20 weights the data hold 6 in place, and decay alone moves the others, as e^(-ηγt)."""
    basis = torch.linalg.qr(torch.randn(20, 6, generator=torch.Generator().manual_seed(0)))[0]
    rows, truth = basis.T * 6**0.5, basis @ torch.linspace(0.5, 1.5, 6)
    train, test = Split(rows, {"y": rows @ truth}), Split(torch.eye(20), {"y": truth})
    return Task(
        name="valley", network=lambda: nn.Sequential(nn.Linear(20, 1, bias=False), nn.Flatten(-2)),
        problem=lambda seed, n_train: Problem(train, test),
        loss=lambda output, targets: (output - targets["y"]).square(),
        right=lambda output, targets: (output - targets["y"]).square() < 0.1,
        loss_name="squared error", n_train=6, optimizer=Adam(0.1), steps=400, threshold=0.925,
    )  # fmt: skip


def test_a_forecast_tells_what_is_to_go_and_counts_from_the_checkpoint(tmp_path: Path) -> None:
    task, decay = valley(), {"gamma": 2e-3, "optimizer": "sgd", "seeds": [0], "machine": ONE}
    runs = gt.train(task, alpha=10.0, steps=10_000, stop_at=0.925, resolution=1e-3, **decay)
    t_grok, w0 = gt.measure(runs).t_grok.values[0], runs["w0"].values[0]
    procedure = Training(setup_of(task, ONE, {}, 0), 10_000, "sgd")
    state = procedure.init(members_of(task, {"gamma": 2e-3, "alpha": 10.0, "seeds": [0]}))
    step = int(t_grok) // 2
    for _ in range(step):
        procedure.step(state)
    file = tmp_path / "run.pt"
    torch.save({"model": {"0.weight": state.members.flat.clone()}, "step": step}, file)

    found = gt.forecast(task.at(file), precision=0.03, out=tmp_path / "forecast.nc", **decay)
    again = gt.open_forecast(tmp_path / "forecast.nc")
    for each in (found, again):
        assert each.start_step == step and each["w0"].values[0] < 10 * w0
        assert each["t"].values[0, 0, 0, 0, 0, 0] == step
        assert each.times().t_grok.item() == pytest.approx(t_grok, rel=0.03)
        assert 0 < each["real_steps"].values[0, 0, 0, 0, 0] < (t_grok - step) / 5
        assert each.speed_up().item() == pytest.approx((each.times().t_grok - step) / each.real_steps)
        assert each.summary()["to_go"].item() == pytest.approx(t_grok - step, rel=0.06)
    told = gt.predict(again, gamma=2e-3, eta_d=0.1, alpha=1.0, seed=0)
    assert step < told.low < told.t_grok < told.high
    assert (told.high - step) / (told.t_grok - step) == pytest.approx(
        (told.t_grok - step) / (told.low - step)
    )
    stronger = gt.forecast(task.at(file), **{**decay, "gamma": 8e-3}).times().t_grok.item() - step
    assert stronger == pytest.approx((t_grok - step) / 4, rel=0.06)


def test_one_that_is_there_already_has_nothing_to_go() -> None:
    train = valley().problem(0, 6).train
    least = torch.linalg.lstsq(train.inputs, train.targets["y"].unsqueeze(1)).solution
    task = valley().at({"0.weight": least.T}, step=7)
    found = gt.forecast(task, gamma=1e-3, optimizer="sgd", machine=ONE)
    assert found.summary()["status"].item() == "already" and found.summary()["to_go"].item() <= 1


def test_the_command_line_takes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "run.pt", tmp_path / "runs.nc"
    torch.save(fresh_network(gt.tasks.teacher_student(), 4).state_dict(), file)
    task = ["teacher-student", "--gamma", "0.1", "--alpha", "1", "--workers", "1", "--quiet"]
    main(["train", *task, "--from", str(file), "--step", "5", "--steps", "8", "-o", str(out)])
    assert gt.open_runs(out).step.tolist() == [5, 6, 7, 8]
    capsys.readouterr()
    main(["forecast", *task, "--from", str(file), "--step", "5", "--steps", "9"])
    told = capsys.readouterr().out
    assert "teacher-student: 1 seed, N = 100, from step 5, without the optimizer's moments" in told
    assert "to go" in told
    for wrong, words in ((["--step", "5"], "--step: is of a checkpoint"), (["--from", "no.pt"], "no.pt: ")):
        assert main(["train", *task, *wrong, "--steps", "8", "-o", str(tmp_path / "other.nc")]) == 2
        assert words in capsys.readouterr().err
