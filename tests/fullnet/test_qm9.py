"""The QM9 task: graphs, the network against a loop over neighbours, made files and the real one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import groktime as gt
from groktime.fullnet.engine.ensemble import Ensemble
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.samples import Data
from groktime.fullnet.find import BUILT_IN, find_task
from groktime.fullnet.machine import Machine
from groktime.fullnet.molecules import BONDS, FEATURES, LARGEST, graph_of
from groktime.fullnet.tables import TABLES
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import qm9
from groktime.fullnet.tasks.qm9 import _molecules
from groktime.reduced.errors import InputError

QUIET = Machine(progress=False)

SMILES = [
    "C",
    "N",
    "O",
    "C#C",
    "C#N",
    "C=O",
    "CC",
    "CO",
    "C1=CC=CC=C1",
    "CC(=O)N",
    "[NH3+]CC([O-])=O",
    "FC1CO1",
]
VARIANTS = ["paper", "official"]


def tiny(n_train: int = 10, variant: str = "paper") -> Task:
    return qm9(n_train=n_train, variant=variant, n_test=4)


def graphs(*smiles: str) -> Tensor:
    made = [graph_of(s) for s in smiles]
    return torch.from_numpy(np.stack([g for g in made if g is not None]))


def network(variant: str) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return tiny(variant=variant).network().double()


@pytest.fixture
def forgotten() -> Iterator[None]:
    _molecules.cache_clear()
    yield
    _molecules.cache_clear()


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None) -> Path:
    """A file of 48 molecules."""
    lines = [f"{smiles},{10 + k}.5\n" for k, smiles in enumerate(SMILES * 4)]
    return write(tmp_path, lines, monkeypatch)


def write(folder: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    text = "smiles,alpha\n" + "".join(lines)
    (folder / "qm9.csv").write_text(text)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    monkeypatch.setitem(TABLES, "qm9", replace(TABLES["qm9"], sha256=sha256))
    monkeypatch.setenv("GROKTIME_DATA", str(folder))
    return folder / "qm9.csv"


@pytest.fixture
def real(forgotten: None) -> None:
    folder = os.environ.get("GROKTIME_DATA")
    if not folder or not (Path(folder) / "qm9").is_dir():
        pytest.skip("GROKTIME_DATA names no folder with qm9/")


def test_the_task_is_made_without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROKTIME_DATA", str(tmp_path))
    task = find_task("qm9")
    assert (task.n_train, task.n_total, task.batch, task.optimizer.rate) == (200, 65_415, 32, 1e-3)
    assert task.settings == {"variant": "paper", "tolerance": 1.0, "n_test": 1000}
    assert set(task.settings) == set(BUILT_IN["qm9"].settings)
    assert [tiny(n).batch for n in (1, 31, 32)] == [0, 0, 32]
    assert qm9(**BUILT_IN["qm9"].presets["small"]).n_train == 200


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"n_train": 0}, "n_train"),
        ({"n_train": 65_416}, "n_train"),
        ({"n_test": 0}, "n_test"),
        ({"variant": "mine"}, "variant"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"tolerance": float("nan")}, "tolerance"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], names: str) -> None:
    with pytest.raises(InputError, match=rf"^{names} = .*expected"):
        qm9(**arguments)


def test_the_loss_and_what_is_right() -> None:
    output, targets = torch.tensor([10.0, 10.0]), {"alpha": torch.tensor([10.5, 12.0])}
    assert tiny().loss(output, targets).tolist() == [0.25, 4.0]
    assert tiny().right(output, targets).tolist() == [True, False]
    assert qm9(tolerance=3.0).right(output, targets).tolist() == [True, True]


# --- graphs -----------------------------------------------------------------------------------


def test_a_molecule_as_a_graph() -> None:
    """Formaldehyde: carbon, oxygen, two hydrogens."""
    graph = graph_of("C=O")
    assert graph is not None
    assert graph.shape == (LARGEST, FEATURES + BONDS * LARGEST)
    # H C N O F, number, aromatic, sp sp2 sp3, hydrogens
    assert graph[:4, :FEATURES].tolist() == [
        [0, 1, 0, 0, 0, 6, 0, 0, 1, 0, 2],
        [0, 0, 0, 1, 0, 8, 0, 0, 1, 0, 0],
        [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0],
    ]
    bonds = graph[:, FEATURES:].reshape(LARGEST, LARGEST, BONDS)
    found = {tuple(map(int, place)) for place in np.argwhere(bonds)}
    double, single = {(0, 1, 1)}, {(0, 2, 0), (0, 3, 0)}
    assert found == {edge for i, j, b in double | single for edge in ((i, j, b), (j, i, b))}
    assert not graph[4:].any()


def test_the_other_bonds_and_hybrids() -> None:
    benzene, acid = graph_of("C1=CC=CC=C1"), graph_of("C#N")
    assert benzene is not None
    assert acid is not None
    assert benzene[:6, 6].all()  # Kekulé text, aromatic atoms and bonds
    assert benzene[:, FEATURES:].reshape(-1, BONDS).sum(0).tolist() == [12, 0, 0, 12]
    assert acid[:, FEATURES:].reshape(-1, BONDS).sum(0).tolist() == [2, 0, 2, 0]
    assert acid[:2, 7].all()


@pytest.mark.parametrize("smiles", ["C(", "no molecule", "CS", "C" * 10, "C" * 200])
def test_what_is_no_molecule_of_qm9(smiles: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert graph_of(smiles) is None
    assert capfd.readouterr() == ("", "")


# --- the network ------------------------------------------------------------------------------


def by_loop(net: Any, variant: str, graph: Tensor) -> Tensor:
    """The output for one molecule, neighbour by neighbour."""
    atoms = [k for k in range(len(graph)) if graph[k, :5].any()]
    x = {k: graph[k, :FEATURES].double() for k in atoms}
    for layer in (net.first, net.second):
        new = {}
        for i in atoms:
            new[i] = layer.root(x[i]) + (0 if variant == "paper" else layer.bias)
            for j in atoms:
                for b in range(BONDS):
                    if graph[i, FEATURES + BONDS * j + b]:
                        if variant == "paper":
                            matrix = layer.bonds.weight.view(BONDS, -1, len(x[j]))[b].T
                        else:
                            kind = torch.nn.functional.one_hot(torch.tensor(b), BONDS).double()
                            matrix = layer.edge(kind).view(len(x[j]), -1)
                        new[i] = new[i] + x[j] @ matrix
        x = {k: v.relu() for k, v in new.items()}
    out: Tensor = net.head(sum(x.values())).squeeze(-1)
    return out


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_is_a_loop_over_neighbours(variant: str) -> None:
    net, given = network(variant), graphs(*SMILES)
    assert len(given) == len(SMILES)
    expected = torch.stack([by_loop(net, variant, graph) for graph in given])
    torch.testing.assert_close(net(given), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_neither_the_order_of_atoms_nor_padding_counts(variant: str) -> None:
    net, given = network(variant), graphs(*SMILES)
    expected = net(given)
    order = torch.randperm(LARGEST, generator=torch.Generator().manual_seed(0))
    bonds = given[..., FEATURES:].unflatten(-1, (LARGEST, BONDS))[:, order][:, :, order]
    shuffled = torch.cat((given[:, order, :FEATURES], bonds.flatten(-2)), -1)
    assert not torch.equal(shuffled, given)
    torch.testing.assert_close(net(shuffled), expected, rtol=1e-12, atol=1e-12)
    for smiles, value in zip(SMILES, expected, strict=True):
        for atoms in (12, 40):
            graph = graph_of(smiles, atoms)
            assert graph is not None
            torch.testing.assert_close(net(torch.from_numpy(graph)[None])[0], value, rtol=1e-12, atol=1e-12)


def test_the_sizes_of_the_networks() -> None:
    def size(variant: str) -> int:
        return len(initial_parameters(tiny(variant=variant), 0))

    assert size("paper") == 5 * 11 * 32 + 32 + 5 * 32 * 16 + 16 + 17
    edge = 5 * 32 + 33 * 11 * 32 + 5 * 32 + 33 * 32 * 16
    assert size("official") == edge + 12 * 32 + 33 * 16 + 17 * 32 + 33


# --- data -------------------------------------------------------------------------------------


def test_training_sets_are_nested_and_apart_from_the_test(made: Path) -> None:
    drawn = {(s, n): tiny(24).problem(s, n) for s in range(3) for n in (10, 24)}
    for s in range(3):
        small, large = drawn[s, 10], drawn[s, 24]
        assert torch.equal(small.train.inputs, large.train.inputs[:10])
        assert torch.equal(small.train.targets["alpha"], large.train.targets["alpha"][:10])
        assert torch.equal(small.test.inputs, large.test.inputs)
        values = [*large.train.targets["alpha"].tolist(), *large.test.targets["alpha"].tolist()]
        assert len(set(values)) == 28
        for graph, value in zip(large.train.inputs, large.train.targets["alpha"].tolist(), strict=True):
            assert torch.equal(graph, graphs(SMILES[int(value - 10.5) % len(SMILES)])[0])
    assert not torch.equal(drawn[0, 10].train.targets["alpha"], drawn[1, 10].train.targets["alpha"])
    with pytest.raises(InputError, match=r"^n_train = 25: expected 24 at most, the molecules"):
        tiny(25).problem(0, 25)


def test_what_cannot_be_read_is_replaced_and_told(tmp_path: Path, made: Path, monkeypatch: Any) -> None:
    lines = made.read_text().splitlines(keepends=True)[1:]
    _molecules.cache_clear()
    write(tmp_path, [*lines[:24], "CS(,1.0\n" * 24, ",1.0\n", "CC,none\n", "CC,inf\n"], monkeypatch)
    with pytest.warns(UserWarning) as caught:
        problem = qm9(n_train=6, n_test=6).problem(0, 6)
    assert (len(problem.train), len(problem.test)) == (6, 6)
    assert min(problem.train.targets["alpha"].tolist()) > 10
    texts = [str(warning.message) for warning in caught]
    assert (
        "3 of 51 rows are left out (2 with a polarizability that is no number, 1 with no SMILES)" in texts[0]
    )
    assert any("molecules drawn are replaced by the next" in text and "'CS('" in text for text in texts[1:])
    assert all("\n" not in text for text in texts)


def test_without_rdkit_it_is_told(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groktime.fullnet.molecules.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs RDKit: pip install 'groktime\[molecules\]'"):
        tiny().problem(0, 10)


# --- on the engine ----------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_is_found_wrong(variant: str, made: Path) -> None:
    assert gt.check_task(tiny(variant=variant)) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_members_of_an_ensemble_are_as_one_network_alone(variant: str, made: Path) -> None:
    task = tiny(variant=variant)
    flat = torch.stack([initial_parameters(task, seed).double() for seed in range(3)])
    splits = [task.problem(seed, 10).train for seed in range(3)]
    losses, gradient, _ = Ensemble(task, flat).loss_and_gradient(Data.of(splits).samples())
    net = task.network().double()
    for k, split in enumerate(splits):
        torch.nn.utils.vector_to_parameters(flat[k].detach().clone(), net.parameters())
        alone = task.loss(net(split.inputs), split.targets).mean()
        slope = torch.cat([g.flatten() for g in torch.autograd.grad(alone, list(net.parameters()))])
        torch.testing.assert_close(losses[k], alone.detach(), rtol=1e-12, atol=1e-10)
        torch.testing.assert_close(gradient[k], slope, rtol=1e-12, atol=1e-10)


def test_it_is_trained_and_sampled(made: Path, tmp_path: Path) -> None:
    runs = gt.train(tiny(), gamma=[0.0], alpha=[1], seeds=[0], steps=60, out=tmp_path / "r.nc", machine=QUIET)
    loss = runs.dataset["train_loss"].values
    assert (loss[:, -1] < loss[:, 0] / 3).all()
    land = gt.sample(tiny(), alpha=[1, 2, 3, 4], seeds=[0], steps=4, out=tmp_path / "l.nc", machine=QUIET)
    assert np.isfinite(land.dataset["test_loss"].values).all()


# --- the real file ----------------------------------------------------------------------------


def test_the_real_file(real: None) -> None:
    """Known by its checksum and read whole, so that nothing is warned of; the mean is that of all rows."""
    problem = qm9(n_test=500).problem(0, 200)
    assert len(problem.train) == 200
    alpha = torch.cat((problem.train.targets["alpha"], problem.test.targets["alpha"]))
    assert float(alpha.mean()) == pytest.approx(75.28, abs=4 * 8.17 / np.sqrt(700))
    assert float(alpha.std()) == pytest.approx(8.17, rel=0.25)
