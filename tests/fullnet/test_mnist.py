"""The MNIST tasks on small made files, and on the real ones where GROKTIME_DATA has them."""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from groktime.cli import main
from groktime.fullnet.check.task import check_task
from groktime.fullnet.data import SOURCES, fetch, read_idx
from groktime.fullnet.engine.ensemble import Ensemble
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.samples import Data
from groktime.fullnet.find import find_task
from groktime.fullnet.machine import Machine
from groktime.fullnet.procedures.sphere import Cell, minimize
from groktime.fullnet.seeding import generator
from groktime.fullnet.tasks import mnist, mnist_representation
from groktime.fullnet.tasks.mnist import _digits, _first
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError

MADE = {"train": 30, "t10k": 20}  # images


def idx(values: NDArray[np.uint8]) -> bytes:
    sizes = b"".join(n.to_bytes(4, "big") for n in values.shape)
    return gzip.compress(bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes())


@pytest.fixture
def forgotten() -> Iterator[None]:
    """What was read before a test is not seen in it, nor what it reads after it."""
    for read in (_first, _digits):
        read.cache_clear()
    yield
    for read in (_first, _digits):
        read.cache_clear()


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None) -> dict[str, NDArray[np.uint8]]:
    """A folder of data like MNIST: "train" and "t10k" images [sample, 28, 28], "…-labels" [sample]."""
    random = np.random.default_rng(0)
    arrays, sha256 = {}, {}
    for part, size in MADE.items():
        arrays[part] = random.integers(0, 256, (size, 28, 28), dtype=np.uint8)
        arrays[f"{part}-labels"] = random.integers(0, 10, size, dtype=np.uint8)
        for file, name in (("images-idx3", part), ("labels-idx1", f"{part}-labels")):
            path = tmp_path / f"{part}-{file}-ubyte.gz"
            path.write_bytes(idx(arrays[name]))
            sha256[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    assert sha256.keys() == SOURCES["mnist"].sha256.keys()
    monkeypatch.setitem(SOURCES, "mnist", replace(SOURCES["mnist"], sha256=sha256))
    monkeypatch.setenv("GROKTIME_DATA", str(tmp_path))
    return arrays


@pytest.fixture
def real(forgotten: None) -> None:
    folder = os.environ.get("GROKTIME_DATA")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("GROKTIME_DATA names no folder with mnist/")


# --- the task ---------------------------------------------------------------------------------


def test_the_task_is_made_without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROKTIME_DATA", str(tmp_path))
    task = find_task("mnist")
    assert (task.name, task.n_train, task.n_total, task.batch) == ("mnist", 1000, 60_000, 200)
    assert (task.optimizer.rate, task.steps, task.threshold, task.stop_loss) == (1e-3, 10_000, 0.7, 0.0)
    assert not task.messiness
    assert [mnist(n_train=n).batch for n in (1, 199, 200, 60_000)] == [0, 0, 200, 200]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"loss": "hinge"}, "loss"),
        ({"n_train": 0}, "n_train"),
        ({"n_train": 60_001}, "n_train"),
        ({"n_test": 0}, "n_test"),
        ({"n_test": 10_001}, "n_test"),
        ({"augment": "mirror"}, "augment"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, int | str], names: str) -> None:
    with pytest.raises(InputError, match=rf"^{names} = .*expected"):
        mnist(**arguments)  # type: ignore[arg-type]


def test_what_the_numbers_depend_on_is_in_the_settings() -> None:
    assert mnist().settings == {"loss": "mse", "n_test": 10_000} == mnist(n_test=10_000).settings
    assert mnist(loss="ce", n_test=100).settings == {"loss": "ce", "n_test": 100}
    turned = find_task("mnist", {"augment": "rotate-blur"})
    assert turned.settings == {"loss": "mse", "n_test": 10_000, "augment": "rotate-blur"}


def test_the_network() -> None:
    # Weights are uniform in ±1/sqrt(inputs), so w0² = (200 + 200 + 10) / 3 + biases.
    norms = [float(initial_parameters(mnist(), seed).norm()) for seed in range(8)]
    assert np.mean(norms) == pytest.approx(11.7, rel=0.005)
    assert len(initial_parameters(mnist(), 0)) == 784 * 200 + 200 + 200 * 201 + 10 * 201


def test_the_losses_and_what_is_right() -> None:
    label = torch.tensor([3, 0])
    output = torch.zeros(2, 10)
    output[0, 3], output[1, 7] = 1.0, 2.0
    targets = {"label": label}
    torch.testing.assert_close(mnist().loss(output, targets), torch.tensor([0.0, 0.5]))
    expected = -torch.log_softmax(output, 1)[[0, 1], label]
    torch.testing.assert_close(mnist(loss="ce").loss(output, targets), expected)
    assert mnist().right(output, targets).tolist() == [True, False]
    assert mnist().loss_name == "mse, mean over samples and outputs"
    assert mnist(loss="ce").loss_name == "cross-entropy, mean over samples"


# --- data -------------------------------------------------------------------------------------


def test_pixels_and_labels_are_those_of_the_files(made: dict[str, NDArray[np.uint8]]) -> None:
    problem = mnist().problem(3, 12)
    assert problem.train.rows is not None
    for split, part in ((problem.train, "train"), (problem.test, "t10k")):
        assert split.inputs.dtype == torch.float32
        assert split.inputs.shape == (MADE[part], 784)
        pixels = made[part].reshape(-1, 784) / 255
        np.testing.assert_allclose(split.inputs.numpy(), pixels, rtol=1e-6)
        np.testing.assert_array_equal(split.targets["label"].numpy(), made[f"{part}-labels"])
    assert len(problem.train) == 12
    assert torch.equal(problem.train.at(1.0), problem.train.inputs[problem.train.rows])


def test_training_sets_are_nested_and_those_of_the_seed(made: object) -> None:
    task = mnist()
    chosen = {(s, n): task.problem(s, n).train.rows for s in range(3) for n in (10, 20, 30)}
    rows = {key: value.tolist() for key, value in chosen.items() if value is not None}
    for s in range(3):
        assert rows[s, 10] == rows[s, 30][:10]
        assert rows[s, 20] == rows[s, 30][:20]
        assert sorted(rows[s, 30]) == list(range(30))
        assert mnist(loss="ce").problem(s, 10).train.rows.tolist() == rows[s, 10]  # type: ignore[union-attr]
    assert len({tuple(rows[s, 10]) for s in range(3)}) == 3


def test_all_seeds_and_tasks_share_one_copy_in_memory(made: object, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def slowly(path: Path, dimensions: int) -> NDArray[np.uint8]:
        read.append(path.name)
        time.sleep(0.02)  # time enough for the other threads to ask as well
        return read_idx(path, dimensions)

    # The package's attribute of the module's name is the function.
    monkeypatch.setattr(sys.modules["groktime.fullnet.tasks.mnist"], "read_idx", slowly)
    task = mnist()
    with ThreadPoolExecutor(4) as pool:  # as the sampler does
        problems = list(pool.map(lambda seed: task.problem(seed, 10), range(12)))
    assert sorted(read) == sorted(SOURCES["mnist"].sha256)
    problems.append(mnist(n_train=20, loss="ce").problem(0, 20))
    assert len({id(p.train.inputs) for p in problems}) == 1
    assert len({id(p.train.targets["label"]) for p in problems}) == 1
    assert len({id(p.test) for p in problems}) == 1
    few = mnist(n_test=5).problem(0, 10).test
    assert few.inputs.data_ptr() == problems[0].test.inputs.data_ptr()


def test_the_first_test_images(made: dict[str, NDArray[np.uint8]]) -> None:
    test = mnist(n_test=5).problem(0, 10).test
    assert len(test) == 5
    np.testing.assert_allclose(test.inputs.numpy(), made["t10k"][:5].reshape(5, 784) / 255, rtol=1e-6)
    assert test.targets["label"].tolist() == made["t10k-labels"][:5].tolist()


@pytest.mark.parametrize("loss", ["mse", "ce"])
def test_members_of_an_ensemble_are_as_one_network_alone(loss: str, made: object) -> None:
    task = mnist(loss=loss)
    flat = torch.stack([initial_parameters(task, seed) for seed in range(3)])
    test = task.problem(0, 10).test
    mean, accuracy = Ensemble(task, flat).metrics(Data.of([test] * 3))
    network = task.network()
    for k in range(3):
        torch.nn.utils.vector_to_parameters(flat[k], network.parameters())
        with torch.no_grad():
            output = network(test.inputs)
        torch.testing.assert_close(mean[k], task.loss(output, test.targets).mean())
        torch.testing.assert_close(accuracy[k], task.right(output, test.targets).double().mean())


def test_missing_data_are_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], forgotten: None
) -> None:
    monkeypatch.setenv("GROKTIME_DATA", str(tmp_path / "empty"))
    command = "sample mnist --alpha 1:4:4 --seeds 2 --steps 1 --quiet -o"
    assert main([*command.split(), str(tmp_path / "x.nc")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "train-images-idx3-ubyte.gz" in err


# --- turned and blurred ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_images_are_turned_and_blurred_as_by_scipy(dtype: torch.dtype) -> None:
    augment = mnist(augment="rotate-blur").augment
    assert augment is not None
    images = torch.rand(6, 784, generator=torch.Generator().manual_seed(0), dtype=dtype)
    found = augment(images, generator(3, "augment 0"))
    assert (found.dtype, found.shape) == (dtype, images.shape)
    turn, width = torch.rand(2, 6, generator=generator(3, "augment 0")).double().numpy()
    for k in range(6):
        angle = np.deg2rad(30 * (2 * turn[k] - 1))
        turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        middle = np.full(2, 13.5)
        image = ndimage.affine_transform(
            images[k].double().numpy().reshape(28, 28), turned, middle - turned @ middle,
            order=1, mode="grid-constant",
        )  # fmt: skip
        sigma = 0.1 + 1.9 * width[k]
        weights = np.exp(-(np.arange(-2, 3) ** 2) / (2 * sigma**2))
        for axis in (0, 1):
            image = ndimage.correlate1d(image, weights / weights.sum(), axis, mode="mirror")
        atol = 1e-5 if dtype == torch.float32 else 1e-12
        np.testing.assert_allclose(found[k].numpy().reshape(28, 28), image, rtol=0, atol=atol)


def test_a_training_on_turned_images(made: object, tmp_path: Path) -> None:
    task, plain = (replace(mnist(n_train=20, augment=a), batch=8) for a in ("rotate-blur", None))
    assert [finding for finding in check_task(task) if not finding.note] == []
    one, other = (
        train(
            t, gamma=0.1, alpha=2.0, seeds=[0, 1], steps=4, machine=Machine("cpu", workers=1, progress=False),
            out=tmp_path / f"{k}.nc",
        ).dataset
        for k, t in enumerate((task, plain))
    )  # fmt: skip
    assert '"augment": "rotate-blur"' in one.attrs["configuration"]
    assert (
        one["train_loss"][:, 0] == other["train_loss"][:, 0]
    ).all()  # metrics are of the images as they are
    assert (abs(one["train_loss"][:, -1] / other["train_loss"][:, -1] - 1) > 1e-4).all()


def test_without_kornia_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "kornia", None)
    command = "train mnist --augment rotate-blur --gamma 0.1 --alpha 1 --steps 1 -o"
    assert main([*command.split(), str(tmp_path / "x.nc")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "pip install 'groktime[images]'" in err
    assert mnist().augment is None


# --- the interpolated representation ----------------------------------------------------------


@pytest.mark.parametrize(("variant", "first", "last"), [("paper", 0.0, 9.0), ("official", -0.5, 0.5)])
def test_images_fade_into_templates_of_their_labels(
    variant: str, first: float, last: float, made: dict[str, NDArray[np.uint8]]
) -> None:
    task = mnist_representation(n_train=12, variant=variant)
    problem, plain = task.problem(3, 12), mnist(n_train=12).problem(3, 12)
    for split, own, part in ((problem.train, plain.train, "train"), (problem.test, plain.test, "t10k")):
        rows = np.arange(MADE[part]) if own.rows is None else own.rows.numpy()
        value = first + (last - first) / 9 * made[f"{part}-labels"][rows]
        image = made[part].reshape(-1, 784)[rows] / 255
        for m in (0.0, 0.3, 1.0):
            np.testing.assert_allclose(split.at(m).numpy(), m * image + (1 - m) * value[:, None], atol=1e-6)
    assert torch.equal(problem.train.at(1.0), plain.train.at(1.0))


@pytest.mark.parametrize("n_train", [12, MADE["train"]])
def test_delta_norm_is_what_training_the_inputs_needs(n_train: int, made: object) -> None:
    """A step of gradient descent on the inputs moves m by -η ∂l/∂m / delta_norm²."""
    task = mnist_representation(n_train=n_train)
    problem = task.problem(1, n_train)
    split = problem.train
    rows = torch.arange(n_train) if split.rows is None else split.rows
    targets = {"label": split.targets["label"][rows]}
    along = (split.at(1.0) - split.at(0.0)).double()
    assert problem.delta_norm == pytest.approx(float(along.norm()), rel=1e-6)
    network = task.network().double()
    m = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    inputs = split.at(0.0).double() + m * along
    by_inputs, by_m = torch.autograd.grad(task.loss(network(inputs), targets).mean(), [inputs, m])
    moved = float((-0.01 * by_inputs * along).sum() / along.square().sum())
    assert moved == pytest.approx(-0.01 * float(by_m) / (problem.delta_norm or 0) ** 2, rel=1e-6)


def test_templates_are_stored_once_and_small(made: object) -> None:
    task = mnist_representation(n_train=10)
    with ThreadPoolExecutor(4) as pool:
        problems = list(pool.map(lambda seed: task.problem(seed, 10), range(8)))
    problems.append(mnist_representation(n_train=20).problem(0, 20))
    for splits in ([p.train for p in problems], [p.test for p in problems]):
        assert len({id(s.inputs) for s in splits}) == len({id(s.ordered) for s in splits}) == 1
        assert splits[0].ordered is not None
        assert splits[0].ordered.untyped_storage().nbytes() == 4 * len(splits[0].inputs)
        assert len(Data.of(splits[:8]).inputs["ordered"]) == len(splits[0].inputs)


def test_all_images_are_one_set_for_all_seeds(made: object) -> None:
    """60,000 images of each of many networks would not fit into memory."""
    everything = MADE["train"]
    task = mnist_representation(n_train=everything)
    splits = [task.problem(seed, everything).train for seed in range(3)]
    assert all(split.rows is None for split in splits)
    assert Data.of(splits).alike
    assert not Data.of([task.problem(seed, 10).train for seed in range(3)]).alike


def test_members_see_their_own_messiness(made: object) -> None:
    task = mnist_representation(n_train=12)
    problem = task.problem(0, 12)
    flat = torch.stack([initial_parameters(task, 0)] * 2)
    m = torch.tensor([[0.2], [0.9]])
    losses, accuracies = Ensemble(task, flat, m).metrics(Data.of([problem.test] * 2))
    network = task.network()
    torch.nn.utils.vector_to_parameters(flat[0], network.parameters())
    for k in range(2):
        with torch.no_grad():
            output = network(problem.test.at(float(m[k])))
        expected = task.loss(output, problem.test.targets).mean()
        assert float(losses[k]) == pytest.approx(float(expected), rel=1e-5)
        assert float(accuracies[k]) == float(task.right(output, problem.test.targets).double().mean())


def test_the_task_with_representation(made: object) -> None:
    task = find_task("mnist-representation", {"variant": "official"})
    assert (task.name, task.n_train, task.batch, task.messiness) == (
        "mnist-representation",
        60_000,
        100,
        True,
    )
    assert task.settings == {"variant": "official", "n_test": 10_000}
    assert [mnist_representation(n_train=n).batch for n in (99, 100)] == [0, 100]
    with pytest.raises(InputError, match=r"variant = 'raw': expected 'paper' or 'official'"):
        mnist_representation(variant="raw")
    with pytest.raises(InputError, match=r"n_train = 60001: expected a whole number, 1 to 60000"):
        mnist_representation(n_train=60_001)
    assert not [f for f in check_task(mnist_representation(n_train=20)) if not f.note]


# --- the real files ---------------------------------------------------------------------------


def test_the_real_files(real: None) -> None:
    for file in SOURCES["mnist"].sha256:
        fetch("mnist", file)
    problem = mnist().problem(0, 1000)
    assert problem.train.inputs.shape == (60_000, 784)
    assert problem.test.inputs.shape == (10_000, 784)
    assert (float(problem.train.inputs.min()), float(problem.train.inputs.max())) == (0.0, 1.0)
    assert float(problem.train.inputs.mean()) == pytest.approx(0.1307, abs=1e-4)
    label = problem.train.targets["label"]
    assert label[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert torch.bincount(label).tolist() == counts
    assert torch.bincount(problem.test.targets["label"]).sum() == 10_000
    assert problem.train.rows is not None
    # A thousand drawn at random: each class has about its share.
    drawn = torch.bincount(label[problem.train.rows], minlength=10)
    assert 60 < int(drawn.min()) <= int(drawn.max()) < 150
    assert problem.test is mnist().problem(1, 1000).test


def test_a_short_training_generalizes_to_the_real_test_images(real: None) -> None:
    # Four epochs of 1000 images leave the network far above the 10 % of chance.
    task = mnist(n_test=1000)
    problem = task.problem(0, 1000)
    assert problem.train.rows is not None
    torch.manual_seed(0)
    network = task.network()
    adam = torch.optim.Adam(network.parameters(), lr=task.optimizer.rate)
    for batch in problem.train.rows.repeat(4).split(task.batch):
        targets = {"label": problem.train.targets["label"][batch]}
        adam.zero_grad()
        task.loss(network(problem.train.inputs[batch]), targets).mean().backward()
        adam.step()
    with torch.no_grad():
        right = task.right(network(problem.test.inputs), problem.test.targets)
    assert float(right.float().mean()) > 0.6


def test_at_full_messiness_it_is_mnist(real: None) -> None:
    cell = Cell(0, 1000, 1.0, 3.0)
    plain = minimize(replace(mnist(n_test=1000), batch=100), [cell], [40])
    faded = minimize(mnist_representation(n_train=1000, n_test=1000), [cell], [40])
    assert float(faded.test_accuracy[0, 0]) == float(plain.test_accuracy[0, 0]) > 0.6
    assert float(faded.test_loss[0, 0]) == pytest.approx(float(plain.test_loss[0, 0]), rel=1e-4)
