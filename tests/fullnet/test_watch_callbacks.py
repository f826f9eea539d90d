"""The callbacks of Lightning and of Hugging Face's Trainer, where these are installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from scripts import TEST, TRAIN
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import groktime as gt

STEPS = 12


@pytest.mark.filterwarnings("ignore")
def test_lightning(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.net(x)
            return out

        def training_step(self, batch: Any, _: int) -> Tensor:
            return F.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=1e-2, weight_decay=0.5)

    watch = gt.LightningWatch(train=TRAIN, test=TEST, loss=F.cross_entropy, out=tmp_path / "l.nc")
    trainer = lightning.Trainer(
        max_steps=STEPS, callbacks=[watch], logger=False, enable_checkpointing=False, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    module = Module()
    trainer.fit(module, DataLoader(TensorDataset(*TRAIN), batch_size=4))
    ends_with(gt.open_runs(tmp_path / "l.nc"), module)


class Model(nn.Module):
    """As the Trainer calls it: by name, with labels, of which it gives a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        logits = self.net(x)
        return {"logits": logits} | ({} if labels is None else {"loss": F.cross_entropy(logits, labels)})


@pytest.mark.filterwarnings("ignore")
def test_hugging_face(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    named = [{"x": x, "labels": y} for x, y in (TRAIN, TEST)]
    watch = gt.TrainerWatch(train=named[0], test=named[1], out=tmp_path / "t.nc")
    model = Model()
    settings = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=STEPS, per_device_train_batch_size=4, learning_rate=1e-2,
        weight_decay=0.5, report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    rows = [{"x": x, "labels": y} for x, y in zip(*TRAIN, strict=True)]
    transformers.Trainer(model=model, args=settings, train_dataset=rows, callbacks=[watch]).train()
    runs = gt.open_runs(tmp_path / "t.nc")
    ends_with(runs, model)
    assert runs["tau"].values[0, -1] < 0.5 * 1e-2 * STEPS  # its rate falls to 0


@pytest.mark.parametrize(
    ("name", "library"), [("LightningWatch", "lightning"), ("TrainerWatch", "transformers")]
)
def test_a_library_that_is_not_there_is_named(
    name: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, gt._CALLBACKS[name][0], raising=False)
    for known in [m for m in sys.modules if m.startswith(f"{library}.")]:
        monkeypatch.delitem(sys.modules, known)
    with pytest.raises(
        ImportError, match=f"groktime.{name} is a callback of {library}: pip install {library}"
    ):
        getattr(gt, name)


def ends_with(runs: gt.Runs, model: nn.Module) -> None:
    """All steps were seen, the first and the last of them as they were."""
    assert runs.step.tolist() == list(range(STEPS + 1))
    assert runs["gamma"].values.tolist() == [0.5]
    assert runs["eta_d"].values.tolist() == [1e-2]
    norm = torch.cat([p.detach().flatten() for p in model.parameters()]).norm()
    assert runs["norm_all"].values[0, -1] == pytest.approx(float(norm), rel=1e-5)
    assert (runs["turn"].values[0, 1:] > 0).all()
    assert runs["train_loss"].values[0, -1] < runs["train_loss"].values[0, 0]
