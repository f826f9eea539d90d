"""Models, losses and accuracies that `Task.from_torch` reads, and those that it refuses by name."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scripts import ONE, TEST, TRAIN, X, Y, adamw, made, network, refused
from torch import Tensor, nn
from torch.nn import functional as F

import groktime as gt
from groktime.fullnet.engine.fresh import fresh_network, initial_parameters
from groktime.reduced.errors import InputError

# --- models ---------------------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, width), nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(torch.tanh(self.first(x)))
        return out


def test_a_class_a_factory_and_an_instance() -> None:
    instance = Net()
    tasks = [made(Net), made(lambda: Net(4)), made(instance), made(functools.partial(Net, width=4))]
    assert [t.name for t in tasks] == ["Net"] * 4
    starts = [[initial_parameters(t, seed) for seed in (0, 1)] for t in tasks]
    for k in (1, 3):
        assert torch.equal(torch.stack(starts[k]), torch.stack(starts[0]))
    own = torch.cat([p.detach().flatten() for p in instance.parameters()])
    assert torch.equal(starts[2][0], own)  # seed 0 is the very weights
    assert not torch.equal(starts[2][1], own)
    assert starts[2][1].std() == pytest.approx(float(own.std()), rel=0.5)
    with torch.no_grad():
        instance.first.weight.zero_()  # the task has a copy
    assert torch.equal(initial_parameters(tasks[2], 0), own)


class Scaled(Net):
    """Initialized by more than its layers' own `reset_parameters`, as people do for a large norm."""

    def __init__(self) -> None:
        super().__init__(50)
        with torch.no_grad():
            for p in self.parameters():
                p *= 8


class Placed(Net):
    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + self.place)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(9, 16), nn.Linear(16, 9, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.embed(x).sum(1))
        return out


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Scaled, "its first.weight has a root mean square of .*: it was initialized otherwise, or trained"),
        (Placed, r"the model \(Placed\) has parameters of its own and no reset_parameters"),
        (Tied, "its embed.weight has a root mean square"),
    ],
)
def test_an_instance_that_cannot_be_drawn_anew_has_one_seed(kind: type[nn.Module], reason: str) -> None:
    data = {"train": TRAIN, "test": TEST}
    if kind is Tied:
        pairs = torch.randint(9, (20, 2), generator=torch.Generator().manual_seed(1))
        data = {"train": (pairs[:12], pairs[:12, 0]), "test": (pairs[12:], pairs[12:, 0])}
    task = made(kind(), **data)
    runs = gt.train(task, alpha=1.0, steps=2, **ONE)
    assert runs["seed"].values.tolist() == [0]
    with pytest.raises(
        InputError, match=f"seeds: {kind.__name__} has seed 0 alone, since {reason}.*; a function"
    ):
        gt.forecast(task, seeds=[0, 1], **ONE)
    assert made(kind, **data).one_seed == ""  # the class has any


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (3, "model: is a int; expected an nn.Module, its class, or a function"),
        (
            nn.Linear,
            r"model: Linear\(\) raises TypeError.*called without arguments, such as lambda: Linear\(…\)",
        ),
        (dict, r"model: dict\(\) gives a dict; expected an nn.Module"),
        (lambda: nn.Linear(5, 2), r"model: raises RuntimeError.* for inputs of shape \(12, 3\)"),
    ],
)
def test_what_is_no_model(model: Any, words: str) -> None:
    refused(words, model=model)


def test_dropout_and_batchnorm_are_refused_by_the_check() -> None:
    for layer, words in (
        (nn.Dropout(0.1), "draws random numbers"),
        (nn.BatchNorm1d(3), "changes its buffer"),
    ):
        task = made(nn.Sequential(layer, network()))
        with pytest.raises(InputError, match=words):
            gt.train(task, alpha=1.0, steps=2, **ONE)


# --- losses and accuracies ------------------------------------------------------------------------

BITS = Y.double().float()
SIGNS = 2 * BITS - 1
ONE_HOT = F.one_hot(Y, 2).float()
LOSSES: dict[str, tuple[Any, Tensor, int, Any]] = {
    "module": (nn.CrossEntropyLoss(), Y, 2, None),
    "smoothed": (nn.CrossEntropyLoss(label_smoothing=0.1), Y, 2, None),
    "each": (nn.CrossEntropyLoss(reduction="none"), Y, 2, None),
    "functional": (F.cross_entropy, Y, 2, None),
    "partial": (functools.partial(F.cross_entropy, label_smoothing=0.1), Y, 2, None),
    "lambda": (lambda out, y: F.nll_loss(out.log_softmax(1), y), Y, 2, None),
    "one-hot": (nn.MSELoss(), ONE_HOT, 2, None),
    "signs": (lambda out, y: torch.clamp(1 - y * out.squeeze(), min=0).mean(), SIGNS, 1, None),
    "bits": (nn.BCEWithLogitsLoss(), BITS[:, None], 1, None),
    "given": (nn.MSELoss(), X.sum(1, keepdim=True), 1, lambda out, y: ((out - y).abs() < 0.3).float().mean()),
    "given, each": (F.l1_loss, X.sum(1, keepdim=True), 1, lambda out, y: ((out - y).abs() < 0.3).squeeze(1)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_as_people_write_them(name: str) -> None:
    loss, y, width, accuracy = LOSSES[name]
    model = lambda: nn.Linear(3, width)  # noqa: E731
    task = made(model, (X[:12], y[:12]), (X[12:], y[12:]), loss=loss, accuracy=accuracy)
    out = fresh_network(task, 0)(X)
    each, right = (f(out, {"y": y}) for f in (task.loss, task.right))
    assert each.shape == right.shape == (20,)
    assert right.dtype == torch.bool
    torch.testing.assert_close(each.mean(), loss(out, y).mean())
    expected = {
        "one-hot": lambda: out.argmax(1) == Y,
        "signs": lambda: (out[:, 0] > 0) == (Y > 0),
        "bits": lambda: (out[:, 0] > 0) == (Y > 0),
    }.get(name, lambda: out.argmax(1) == Y)
    if accuracy is None:
        assert torch.equal(right, expected())
    else:
        assert torch.equal(right, (out - y).abs()[:, 0] < 0.3)
    assert [f for f in gt.check_task(task) if not f.note] == []


def no_loss() -> dict[str, tuple[dict[str, Any], str]]:
    column = {"train": (X[:12], BITS[:12]), "test": (X[12:], BITS[12:]), "model": lambda: nn.Linear(3, 1)}
    return {
        "sum": ({"loss": nn.CrossEntropyLoss(reduction="sum")}, "loss: is the sum over the samples"),
        "weighted": (
            {"loss": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0]))},
            "loss: is .* for 12 samples, whose own have the mean .*; expected the mean over samples, each "
            "counted",
        ),
        "of each other": (
            {"loss": lambda out, y: F.cross_entropy(out - out.mean(0), y)},
            "loss: is .* for .* samples, whose own have the mean",
        ),
        "broadcast": (column | {"loss": nn.MSELoss()}, "loss: of a sample alone is|loss: is"),
        "learnt": ({"loss": nn.Bilinear(2, 2, 1)}, "loss: has parameters of its own"),
        "table": ({"loss": lambda out, y: out}, r"loss: has shape \(12, 2\) for 12 samples"),
        "raises": ({"loss": lambda out, y: out[y, 0, 0]}, r"loss: raises IndexError.* for outputs of shape"),
        "none": ({"loss": 3}, "loss: is a int; expected a function"),
        "nothing": (
            {"loss": None},
            "loss: expected a function .*; the model is not given its labels by name",
        ),
        "number": (
            column | {"loss": lambda out, y: (out[:, 0] - y).square().mean()},
            "accuracy: cannot be told from outputs .* and targets of float32",
        ),
    }


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("name", no_loss())
def test_what_is_no_mean_over_samples(name: str) -> None:
    how, words = no_loss()[name]
    refused(words, **how)


# --- models as Hugging Face's ---------------------------------------------------------------------


class Classifier(nn.Module):
    """Called by name, masked, with a loss of its own where it is given labels."""

    def __init__(self, tokens: bool = False, tuples: bool = False) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 11)
        self.tokens, self.tuples = tokens, tuples

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None) -> Any:
        hidden = torch.tanh(self.embed(input_ids)) * attention_mask.unsqueeze(-1)
        logits = self.head(hidden if self.tokens else hidden.mean(1))
        loss = None
        if labels is not None:
            flat = (
                (logits[:, :-1].reshape(-1, 11), labels[:, 1:].reshape(-1))
                if self.tokens
                else (logits, labels)
            )
            loss = F.cross_entropy(*flat)
        if self.tuples:
            return (logits,) if loss is None else (loss, logits)
        return SimpleNamespace(loss=loss, logits=logits)


def sentences(tokens: bool) -> list[dict[str, Tensor]]:
    ids = torch.randint(11, (24, 5), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(5) < 4).expand(24, 5)
    labels = ids if tokens else ids[:, 0]
    whole = {"input_ids": ids, "attention_mask": mask.long(), "labels": labels}
    return [{k: v[s] for k, v in whole.items()} for s in (slice(0, 14), slice(14, 24))]


@pytest.mark.parametrize("tuples", [False, True])
@pytest.mark.parametrize("tokens", [False, True])
def test_a_model_with_a_loss_of_its_own(tokens: bool, tuples: bool) -> None:
    train, test = sentences(tokens)
    model = Classifier(tokens, tuples)
    task = made(model, train, test, loss=None, optimizer=adamw(model))
    assert task.loss_name == ("cross-entropy of next tokens" if tokens else "cross-entropy")
    assert [f for f in gt.check_task(task) if not f.note] == []
    runs = gt.train(task, alpha=1.0, seeds=[0], steps=30, resolution=1.0, **ONE)
    optimizer, losses = adamw(model), []
    for _ in range(31):
        given = model(**train)
        loss = given[0] if tuples else given.loss
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose(runs["train_loss"].values[0], np.array(losses)[runs.step], rtol=1e-4)
    with torch.no_grad():
        logits = model(**{k: v for k, v in train.items() if k != "labels"})
    assert torch.isfinite(logits[0] if tuples else logits.logits).all()


def test_a_loss_of_its_own_that_is_none_of_the_usual() -> None:
    class Odd(Classifier):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            out = super().forward(*args, **kwargs)
            return SimpleNamespace(loss=None if out.loss is None else 2 * out.loss, logits=out.logits)

    train, test = sentences(False)
    refused("loss: the model's own is .*, which is none of cross-entropy, .*; expected loss=", model=Odd,
            train=train, test=test, loss=None)  # fmt: skip
    assert made(Odd, train, test, loss=lambda out, y: 2 * F.cross_entropy(out, y)).loss_name == "lambda"
