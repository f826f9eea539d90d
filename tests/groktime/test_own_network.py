"""A user's own networks, from their module files alone: through the commands, into the files."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import torch
from torch import nn

import groktime as gt
from groktime.cli import main
from groktime.fullnet.engine.ensemble import Ensemble
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.samples import Data
from groktime.fullnet.find import find_task
from groktime.fullnet.task import Task

DOC = (Path(__file__).parents[2] / "docs" / "own-network.md").read_text()

# Three kinds of images of 8 x 8 pixels: a bright row, a bright column, a bright diagonal, under noise.
CNN = """
import torch
from torch import nn
from groktime.fullnet.task import Adam, Problem, Split, Task


def images(seed, n_train):
    g = torch.Generator().manual_seed(seed)
    n = n_train + 30
    label, place = torch.randint(3, (n,), generator=g), torch.randint(8, (n,), generator=g)
    pixels, k = 0.3 * torch.randn(n, 1, 8, 8, generator=g), torch.arange(8)
    for image, kind, at in zip(pixels[:, 0], label.tolist(), place.tolist()):
        row, column = [(at, k), (k, at), (k, (k + at) % 8)][kind]
        image[row, column] += 2.0
    train, test = slice(n_train), slice(n_train, n)
    return Problem(*(Split(pixels[part], {"label": label[part]}) for part in (train, test)))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(6, 3)
    )


def task(network=cnn):
    return Task(
        name="stripes",
        network=network,
        problem=images,
        loss=lambda output, y: nn.functional.cross_entropy(output, y["label"], reduction="none"),
        right=lambda output, y: output.argmax(-1) == y["label"],
        loss_name="cross-entropy",
        n_train=30,
        optimizer=Adam(1e-2),
        steps=150,
        threshold=0.6,
    )


class ByRows(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows, self.out = nn.LSTM(8, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.out(self.rows(x[:, 0])[0][:, -1])


def recurrent():
    return task(ByRows)


def dropping():
    return task(lambda: nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(64, 3)))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder with the user's modules in it; what they leave behind is cleared."""
    (tmp_path / "stripes_own.py").write_text(CNN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)
    for name in ("stripes_own", "parity"):
        if name in cloudpickle.list_registry_pickle_by_value():
            cloudpickle.unregister_pickle_by_value(sys.modules[name])
        sys.modules.pop(name, None)


def test_a_convolutional_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = "--alpha 0.5:4:5 --seeds 2 --workers 1 --quiet"
    assert main(f"sample stripes_own:task {grid} -o land.nc".split()) == 0
    land = gt.open_landscape("land.nc")
    assert (land.task, land.n_train, len(land.alpha)) == ("stripes", [30], 5)
    accuracy = land.dataset["test_accuracy"].values
    assert np.nanmax(accuracy) > 0.8  # three kinds: by chance it would be a third
    prediction = gt.predict(land, gamma=0.1, eta_d=1e-2, alpha=3.0)
    assert prediction.status in ("generalizes", "already")
    assert main(["predict", "land.nc", "--gamma", "0.1", "--eta-d", "1e-2", "--alpha", "3", "--json"]) == 0

    settings = "--gamma 0 0.1 --alpha 2 --seeds 2 --n-train 12 30 --steps 60 --workers 1 --quiet"
    assert main(f"train stripes_own:task {settings} -o runs.nc".split()) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "runs.nc: stripes, 8 runs, 0 diverged"
    runs = gt.open_runs("runs.nc")
    loss = runs.dataset["train_loss"].values
    assert loss.shape[0] == 8
    assert np.all(loss[:, -1] < loss[:, 0])
    assert sorted(p.name for p in folder.iterdir() if p.suffix != ".py" and p.name[0] != "_") == [
        "land.nc",
        "runs.nc",
    ]


def test_what_cannot_be_mapped_runs_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    """An LSTM has no batching rule: a note, a warning, and the losses of one network alone."""
    task = find_task("stripes_own:recurrent")
    (note,) = gt.check_task(task)
    assert note.note
    flat = torch.stack([initial_parameters(task, seed) for seed in (0, 1)])
    data = Data.of([task.problem(seed, 30).train for seed in (0, 1)])
    ensemble = Ensemble(task, flat)
    with pytest.warns(UserWarning, match="cannot be mapped over members"):
        losses, gradients, _ = ensemble.loss_and_gradient(data.samples())
    for seed in (0, 1):
        loss, gradient = alone(task, flat[seed], seed)
        assert float(losses[seed]) == pytest.approx(loss, rel=1e-5)
        torch.testing.assert_close(gradients[seed], gradient, rtol=1e-4, atol=1e-7)

    settings = "--gamma 0.2 --alpha 1.5 --seeds 2 --steps 4 --dtype float64 --workers 1 --quiet"
    with pytest.warns(UserWarning, match="cannot be mapped over members"):
        assert main(f"train stripes_own:recurrent {settings} -o runs.nc".split()) == 0
    assert "2 runs, 0 diverged" in capsys.readouterr().out
    curves = gt.open_runs("runs.nc").dataset["train_loss"].values
    for seed in (0, 1):
        np.testing.assert_allclose(curves[seed], trained_alone(task, seed), rtol=1e-9)


def alone(task: Task, flat: torch.Tensor, seed: int) -> tuple[float, torch.Tensor]:
    """Loss and gradient of one network as anybody would write it."""
    network, split = task.network(), task.problem(seed, 30).train
    nn.utils.vector_to_parameters(flat, network.parameters())
    loss = task.loss(network(split.inputs), split.targets).mean()
    gradient = torch.autograd.grad(loss, list(network.parameters()))
    return float(loss.detach()), nn.utils.parameters_to_vector(gradient)


def trained_alone(task: Task, seed: int) -> list[float]:
    """Training losses of one network under torch's own AdamW, before each of four steps and after."""
    network, split = task.network().double(), task.problem(seed, 30).train
    start = 1.5 * initial_parameters(task, seed).double()
    nn.utils.vector_to_parameters(start, network.parameters())
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=0.2)
    losses = []
    for _ in range(5):
        loss = task.loss(network(split.inputs.double()), split.targets).mean()
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("sample stripes_own:dropping --alpha 1:4:5", "'stripes_own:dropping': network draws random numbers"),
        ("train stripes_own:dropping --alpha 1 --gamma 0 --steps 9", "network draws random numbers"),
        ("sample stripes_own:absent --alpha 1:4:5", "has no 'absent'"),
        ("train nobody_own:task --alpha 1 --gamma 0 --steps 9", "no module nobody_own"),
        ("train stripes_own:CNN --alpha 1 --gamma 0 --steps 9", "has no 'CNN'"),
        ("sample stripes_own:nn --alpha 1:4:5", "is of type module"),
        ("sample stripes_own:task --alpha 1:4:5 --m 0.5", "--m: stripes_own:task has no messiness"),
        ("train stripes_own:task --alpha 1 --gamma 0 --steps 9 --loss ce", "--loss: stripes_own:task"),
    ],
)
def test_refusals(command: str, words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "-o", "x.nc"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert words in err
    assert not list(folder.glob("x.nc*"))


# --- the document -----------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOC, re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    lines = blocks("console")[0].splitlines()
    assert all(line.startswith("$ groktime ") for line in lines)
    return [shlex.split(line)[2:] for line in lines]


def test_the_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its module and its commands as they are, but for the number of steps."""
    module, checked = blocks("python")
    (folder / "parity.py").write_text(module)
    for command in commands():
        fewer = {"sample": ["--steps", "300", "--quiet"], "train": ["--steps", "100", "--quiet"]}
        assert main([*command, *fewer.get(command[0], [])]) == 0, command
    assert {"parity.nc", "runs.nc"} <= {p.name for p in folder.iterdir()}
    capsys.readouterr()
    exec(checked, {})
    assert capsys.readouterr().out == ""  # nothing is wrong with it


@pytest.mark.slow
def test_the_document_s_times(folder: Path) -> None:
    (folder / "parity.py").write_text(blocks("python")[0])
    sample, _, train, _ = commands()
    assert main([*sample, "--quiet"]) == main([*train, "--quiet"]) == 0
    prediction = gt.predict(gt.open_landscape("parity.nc"), gamma=0.1, eta_d=1e-3, alpha=4.0)
    predicted = [seed.t_grok for seed in prediction.seeds]
    measured = gt.measure(gt.open_runs("runs.nc"))["t_grok"].values
    said = re.search(r"generalize after (.*?) steps; trained in full, they take (.*?)\.\n", DOC, re.DOTALL)
    assert said
    for text, times in zip(said.groups(), (predicted, measured), strict=True):
        given = [float(t.replace(",", "")) for t in re.findall(r"[\d,]*\d", text)]
        np.testing.assert_allclose(times, given, rtol=0.15)
