"""`forecast`: hastened decay where the valley is flat, and training itself where nothing is hastened."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.axes import Axes
from torch import Tensor, nn

import groktime.fullnet.forecast as module
from groktime.cli import main
from groktime.fullnet.forecast import FIRST, Cell, Ran, forecast
from groktime.fullnet.job import _kept, _restore, drive, run
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Member, Setup
from groktime.fullnet.procedures.hastened import Hastened, Hastening
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.tasks import teacher_student
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError
from groktime.reduced.figures import plot
from groktime.reduced.flow import Status
from groktime.reduced.forecast import Forecast, open_forecast
from groktime.reduced.law import Schedule
from groktime.reduced.prediction import predict
from groktime.reduced.what_if import what_if
from groktime.validation.measure import measure

SAMPLES, WEIGHTS = 6, 20
ALONE = Machine("cpu", workers=1, progress=False)
GAMMA = 3e-3


def regression(**adam: Any) -> Task:
    """Of 20 weights the data hold 6 in place, and decay alone moves the others, as e^(-ηγt)."""
    basis = torch.linalg.qr(torch.randn(WEIGHTS, SAMPLES, generator=torch.Generator().manual_seed(0)))[0]
    rows, truth = basis.T * SAMPLES**0.5, basis @ torch.linspace(0.5, 1.5, SAMPLES)
    train, test = Split(rows, {"y": rows @ truth}), Split(torch.eye(WEIGHTS), {"y": truth})

    def squared(output: Tensor, targets: Targets) -> Tensor:
        return (output - targets["y"]).square()

    return Task(
        name="regression",
        network=lambda: nn.Sequential(nn.Linear(WEIGHTS, 1, bias=False), nn.Flatten(-2)),
        problem=lambda seed, n_train: Problem(train, test),
        loss=squared,
        right=lambda output, targets: squared(output, targets) < 0.1,
        loss_name="squared error",
        n_train=SAMPLES,
        optimizer=Adam(0.1, **adam),
        steps=400,
    )


def forecasted(task: Task | None = None, **change: Any) -> Forecast:
    usual: dict[str, Any] = {
        "gamma": GAMMA,
        "alpha": 10.0,
        "seeds": [0, 1],
        "optimizer": "sgd",
        "machine": ALONE,
    }
    return forecast(task or regression(), **(usual | change))


def test_it_is_the_time_of_training_at_a_fraction_of_its_steps() -> None:
    found = forecasted(gamma=[GAMMA, 1e-2])
    runs = train(
        regression(), gamma=[GAMMA, 1e-2], alpha=10.0, seeds=[0, 1], steps=20_000, optimizer="sgd",
        stop_at=0.95, machine=ALONE,
    )  # fmt: skip
    trained = measure(runs)["t_grok"].values.reshape(2, 2).T
    assert np.isfinite(trained).all()
    times = found.times()
    np.testing.assert_allclose(times.t_grok[:, :, 0, 0], trained, rtol=0.06)
    assert (times.error < 0.1).all()
    assert (found.speed_up()[:, 0] > 2.5).all()
    assert (found.speed_up()[:, 0] > 1.5 * found.speed_up()[:, 1]).all()  # the longer, the more is saved


def test_with_nothing_hastened_it_is_training_step_by_step() -> None:
    task = regression()
    setup = Setup(task)
    member = Member(gamma=0.05, eta_d=0.1, eta_r=0.1, alpha=2.0, m=1.0, n_train=SAMPLES, seed=3)
    procedure = Hastening(setup, fit_steps=300, horizon=300, resolution=0.02)
    found = drive(procedure, [Hastened(**asdict(member), efold=300, horizon=300)])
    runs = train(task, gamma=0.05, alpha=2.0, seeds=[3], steps=300, machine=ALONE)
    t = found["t"][0]
    t = t[np.isfinite(t)].astype(int)
    assert found["real_steps"][0] == 300
    both = np.intersect1d(t, runs.step)
    assert len(both) > 50
    for name in ("train_loss", "test_loss", "weight_norm"):
        mine = found[name][0][np.searchsorted(t, both)]
        theirs = runs.dataset[name].values[0][np.searchsorted(runs.step, both)]
        np.testing.assert_array_equal(mine.astype(np.float32), theirs.astype(np.float32))


def test_the_clock() -> None:
    """An e-fold of the time since the fit, and every 1/(ηγ), take `efold` steps."""
    member = Member(gamma=0.01, eta_d=0.1, eta_r=0.1, alpha=10.0, m=1.0, n_train=SAMPLES, seed=0)
    procedure = Hastening(Setup(regression()), fit_steps=400, horizon=20_000, optimizer="sgd")
    # at half as many the steps that are done again are near the edge of stability: rounding decides
    found = drive(procedure, [Hastened(**asdict(member), efold=100, horizon=20_000)])
    t = found["t"][0][np.isfinite(found["t"][0])]
    fit = float(t[np.argmax(found["train_accuracy"][0] >= 0.95)])
    unit = 1 / (0.1 * 0.01)
    exact = fit + 100 * (1 + np.log(unit / 100)) + 100 * (t[-1] - fit - unit) / unit
    assert t[-1] >= 20_000
    assert found["real_steps"][0] == pytest.approx(exact, rel=0.08)


def test_what_goes_on_has_the_gradients_that_it_had() -> None:
    """To the last bit, long after the fit, where they are small beside rounding."""
    task = teacher_student()
    member = Member(gamma=0.3, eta_d=1e-3, eta_r=1e-3, alpha=3.0, m=1.0, n_train=task.n_train, seed=0)
    each = [replace(member, seed=seed, gamma=gamma) for gamma in (0.3, 0.1, 0.03) for seed in range(4)]
    some = [Hastened(**asdict(one), efold=100, horizon=300_000) for one in each]
    procedure = Hastening(Setup(task), fit_steps=task.steps, horizon=300_000, stop_at=task.threshold)
    state, again = procedure.init(some), procedure.init(some)
    for _ in range(600):
        procedure.step(state)
        procedure.record(state)
    _restore(again, {name: np.array(value) for name, value in _kept(state, 0).items()})
    assert torch.equal(again.members.flat, state.members.flat)
    assert torch.equal(again.members.gradient()[1], state.members.gradient()[1])


CELL = Member(gamma=0.1, eta_d=1e-3, eta_r=1e-3, alpha=1.0, m=1.0, n_train=10, seed=0)
GOES, LOST, FAR = Status.GENERALIZES, Status.COLLAPSES, Status.OUTSIDE


@pytest.mark.parametrize(
    ("ran", "then"),
    [
        ([], FIRST),
        ([Ran(100, GOES, 9000.0, 300.0, 700)], 200),  # one resolution tells no error
        ([Ran(100, GOES, 9000.0, 300.0, 700), Ran(200, GOES, 8500.0, 300.0, 1200)], None),  # within 10 %
        ([Ran(100, GOES, 9000.0, 300.0, 700), Ran(200, GOES, 7500.0, 300.0, 1200)], 400),
        ([Ran(100, GOES, 900.0, 300.0, 500)], 50_000),  # 700 steps: training is cheaper
        ([Ran(100, GOES, 1100.0, 300.0, 500)], 200),
        ([Ran(100, LOST, np.nan, 300.0, 500)], 400),
        ([Ran(100, LOST, np.nan, np.nan, 500)], 400),  # it lost what it had just fitted
        ([Ran(100, LOST, np.nan, 300.0, 500), Ran(400, GOES, 9000.0, 300.0, 1500)], 800),
        ([Ran(100, LOST, np.nan, 300.0, 500), Ran(400, LOST, np.nan, 300.0, 500)], 1600),
        (
            [Ran(100, FAR, np.nan, 300.0, 900), Ran(200, FAR, np.nan, 300.0, 1500)],
            None,
        ),  # they agree that it does not
        ([Ran(100, GOES, 9000.0, 300.0, 700), Ran(200, FAR, np.nan, 300.0, 1500)], 400),
        ([Ran(100, Status.UNFITTED, np.nan, 300.0, 700)], None),
        ([Ran(50_000, GOES, 900.0, 300.0, 900, hastened=False)], None),  # training itself
        (
            [Ran(100, GOES, 900.0, 300.0, 900, hastened=False)],
            None,
        ),  # and so was this one, from its first step
        ([Ran(100, LOST, np.nan, 300.0, 900), Ran(400, LOST, np.nan, 300.0, 50_000, hastened=False)], None),
    ],
)
def test_which_resolution_comes_next(ran: list[Ran], then: int | None) -> None:
    assert Cell(CELL, 50_000, ran).next(precision=0.1, budget=np.inf) == then


def test_where_decay_is_as_fast_as_a_resolution_the_training_is_run_once() -> None:
    """1/(ηγ) = 100 steps: there is nothing to hasten at 100 steps to an e-fold."""
    found = forecasted(gamma=0.1)
    assert found.efold == [FIRST] and not found.hastened.any()
    times = found.times()
    runs = train(
        regression(), gamma=0.1, alpha=10.0, seeds=[0, 1], steps=1_000, optimizer="sgd", machine=ALONE
    )
    np.testing.assert_allclose(times.t_grok[:, 0, 0, 0], measure(runs)["t_grok"].values, rtol=0.03)
    np.testing.assert_array_equal(times.error, 0)
    assert forecasted().hastened[0, 0, 0, 0, 0]


def test_a_budget_is_kept_and_what_is_not_known_by_then_is_said() -> None:
    ran = [Ran(100, GOES, 9000.0, 300.0, 700), Ran(200, GOES, 7500.0, 300.0, 1200)]
    assert Cell(CELL, 50_000, ran).next(0.1, budget=4000) == 400
    assert Cell(CELL, 50_000, ran).next(0.1, budget=3999) is None
    found = forecasted(budget=800, precision=1e-4)
    assert found.real_steps.max() <= 800
    p = predict(found, gamma=GAMMA, eta_d=0.1, alpha=10.0)
    assert np.isinf(p.high)
    assert any("numerical error" in remark for remark in p.remarks)


def test_stopped_and_resumed_it_gives_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = forecasted()
    turns: list[str] = []

    def stopping(original: Callable[..., Any]) -> Callable[..., Any]:
        def one(*args: Any, **kwargs: Any) -> Any:
            turns.append(kwargs["name"])
            if len(turns) == 2:
                raise KeyboardInterrupt
            return original(*args, **kwargs)

        return one

    monkeypatch.setattr(module, "run", stopping(run))
    with pytest.raises(KeyboardInterrupt):
        forecasted(out=tmp_path / "f.nc")
    assert not (tmp_path / "f.nc").exists()
    again = forecasted(out=tmp_path / "f.nc")
    assert turns[:4] == ["turn1", "turn2", "turn1", "turn2"]
    assert [p.name for p in tmp_path.iterdir()] == ["f.nc"]
    for found in (again, open_forecast(tmp_path / "f.nc")):
        for name, v in whole.arrays.variables.items():
            np.testing.assert_array_equal(found[name].values, v.values.astype(found[name].dtype), name)


def test_it_is_a_source_between_its_settings_and_not_beyond() -> None:
    weak = GAMMA / 2
    found = forecasted(gamma=[weak, GAMMA], eta_d=[0.05, 0.1], steps=40_000)
    times = found.times().t_grok[0]
    own = predict(found, gamma=GAMMA, eta_d=0.05, alpha=10.0, seed=0)
    assert own.t_grok == pytest.approx(times[1, 0, 0])
    between = predict(found, gamma=(weak * GAMMA) ** 0.5, eta_d=0.1, alpha=10.0, seed=0)
    assert between.t_grok == pytest.approx(np.sqrt(times[0, 1, 0] * times[1, 1, 0]))
    table = what_if(found, gamma=[weak, GAMMA, 4e-3], eta_d=0.1, alpha=10.0)
    assert list(table["status"].values) == ["generalizes", "generalizes", "outside"]
    assert "nothing is extrapolated" in str(table["remark"].values[2])
    assert predict(found, gamma=GAMMA, eta_d=0.1, alpha=2.0).status == Status.OUTSIDE
    summary = found.summary(by=[1.0, 1e6])
    with pytest.raises(InputError, match="by = 0: expected"):
        found.summary(by=[0])
    assert summary["probability"].values[0] == pytest.approx(0, abs=0.02)
    assert summary["probability"].values[1] == pytest.approx(1, abs=0.05)


def test_what_does_not_generalize_is_not_told_to() -> None:
    """Decay that outruns the fit, and a horizon before the time."""
    strong = forecasted(gamma=3.0, alpha=1.0)
    assert set(strong.times().status.ravel()) <= {Status.UNFITTED, Status.COLLAPSES}
    early = forecasted(steps=500)
    assert set(early.times().status.ravel()) == {Status.OUTSIDE}
    assert np.isnan(early.times().t_grok).all()


@pytest.mark.parametrize(("best", "status"), [(0.94, Status.UNFITTED), (0.96, Status.COLLAPSES)])
def test_a_training_set_that_is_lost_at_once_was_fitted(best: float, status: Status) -> None:
    """One record at 95 % is where it goes fast from, and too few for a t_mem."""
    made = forecasted().dataset.copy(deep=True)
    there = np.isfinite(made["t"])
    made["test_accuracy"] = xr.zeros_like(made["t"]).where(there)
    made["train_accuracy"] = xr.where(made["record"] == 5, best, 0.5).broadcast_like(made["t"]).where(there)
    times = Forecast(made, "made").times()
    assert np.isnan(times.t_mem).all()
    assert set(times.status.ravel()) == {status}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"gamma": 0.0}, "gamma = 0: without decay there is nothing to hasten"),
        ({"n_train": [6, 6]}, "n_train|the same run occurs twice"),
        ({"precision": 0.0}, r"precision = 0: expected a finite number in \(0, 1\]"),
        ({"budget": 0}, "budget"),
        ({"optimizer": "adam"}, "optimizer = 'adam': is without decay"),
        ({"eta_r": [0.1, 0.2]}, "eta_r: expected one number"),
        ({"task": regression(schedule=Schedule("cosine", steps=1000))}, "its schedule is cosine"),
    ],
)
def test_bad_settings(change: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        forecasted(**change)


def test_what_does_not_decay_is_not_shrunk() -> None:
    """A bias that the data do not hold in place, and that would fall to 1e-4 of itself."""
    whole = regression()

    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(WEIGHTS, 1, bias=False)
            self.idle = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return (self.linear(x) + 0 * self.idle).flatten(-2)

    task = replace(whole, network=Biased, no_decay=("idle",), parts={"idle": ("idle",)})
    members = [Member(gamma=GAMMA, eta_d=0.1, eta_r=0.1, alpha=10.0, m=1.0, n_train=SAMPLES, seed=0)]
    procedure = Hastening(Setup(task), fit_steps=400, horizon=10_000, optimizer="sgd")
    state = procedure.init([Hastened(**asdict(members[0]), efold=100, horizon=10_000)])
    procedure.record(state)
    while len(state.members.rows) and state.time[0] < 9_000:
        procedure.step(state)
        procedure.record(state)
    assert state.real[0] < 1500
    assert float(state.members.ensemble.part_norms()[0, 0]) == 1.0


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "forecast",
        "teacher-student",
        "--gamma",
        "0.3",
        "1",
        "--eta-d",
        "1e-3",
        "--alpha",
        "3",
        "--seeds",
        "2",
    ]
    out = tmp_path / "f.nc"
    assert main([*words, "--quiet", "--device", "cpu", "--by", "3000", "-o", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("teacher-student: 2 seeds, N = 100")
    assert lines[2].split()[:4] == ["gamma", "eta_d", "alpha", "t_grok"]
    assert lines[2].endswith("by 3,000")
    assert [line.split()[0] for line in lines[4:]] == ["0.3", "1"]
    table = open_forecast(out).summary()
    assert table["status"].values.ravel().tolist() == ["generalizes", "generalizes"]
    assert f"{float(table['t_grok'].values[0, 0, 0]):,.0f}" in lines[4]
    before = main([*words, "--quiet", "--by", "-5", "-o", str(tmp_path / "g.nc")])
    assert (before, [p.name for p in tmp_path.iterdir()]) == (2, ["f.nc"])
    assert "by = -5: expected a finite number above 0" in capsys.readouterr().err
    assert main([*words, "--quiet", "-o", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["predict", str(out), "--gamma", "0.5", "--eta-d", "1e-3", "--alpha", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["error"] < 0.1


def test_times_are_of_the_finest_resolution_and_their_error_of_the_two_finest() -> None:
    found = forecasted()
    assert len(found.efold) > 1
    for seed in range(2):
        run = np.flatnonzero(found["real_steps"].values[seed, 0, 0, 0])
        assert found.efold[run[-1]] < found["horizon"].values[0, 0]
        ends = [found._passes((seed, 0, 0, 0, int(k)), None, "accuracy")[1] for k in run[-2:]]
        assert found.times().t_grok[seed, 0, 0, 0] == ends[1]
        assert found.times().error[seed, 0, 0, 0] == pytest.approx(abs(np.log(ends[1] / ends[0])))


def test_its_figures(tmp_path: Path) -> None:
    found = forecasted(gamma=[GAMMA, 1e-2])
    drawn = plot(found, gamma=1e-2)
    assert isinstance(drawn, Axes)
    times = found.times().t_grok[:, 1, 0, 0]
    marked = [line.get_xdata()[0] for line in drawn.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(np.sort(marked), np.sort(times))
    p = predict(found, gamma=5e-3, eta_d=0.1, alpha=10.0)
    p.plot(tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 10_000
    assert "curves: γ = " in plot(p).axes[0].get_xlabel()
    with pytest.raises(InputError, match="gamma = 1: the forecast has"):
        plot(found, gamma=1.0)
