"""`LightningWatch`: a callback of Lightning's Trainer that watches its model."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback

from groktime.fullnet.watch.watcher import Watch, watch
from groktime.reduced.errors import InputError


class LightningWatch(Callback):  # type: ignore[misc]
    """`Trainer(callbacks=[gt.LightningWatch(train=…, test=…, loss=…, out="runs.nc")])`; settings as of
    `gt.watch`.

    The model is the LightningModule, called as `forward` has it, and the optimizer its only one. `watch` is
    what has been seen, from the start of the fit on.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.watch: Watch | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin."""
        if len(trainer.optimizers) != 1:
            raise InputError(f"optimizer: the module has {len(trainer.optimizers)}; expected one")
        self.watch = watch(pl_module, trainer.optimizers[0], **self.settings).__enter__()

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """The last step is recorded, and the file written."""
        self._finish()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """The same where the fit is stopped."""
        self._finish()

    def _finish(self) -> None:
        if self.watch is not None:
            self.watch.__exit__(None, None, None)
