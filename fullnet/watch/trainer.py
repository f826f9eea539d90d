"""`TrainerWatch`: a callback of Hugging Face's Trainer that watches its model."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from groktime.fullnet.watch.watcher import Watch, watch


class TrainerWatch(TrainerCallback):  # type: ignore[misc]
    """`Trainer(…, callbacks=[gt.TrainerWatch(train=…, test=…, out="runs.nc")])`; settings as of `gt.watch`,
    and the loss the model's own where none is given. `watch` is what has been seen, from the start of the
    training on."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.watch: Watch | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Begin; the Trainer hands over its model and its optimizer."""
        optimizer = given["optimizer"]
        optimizer = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it
        self.watch = watch(given["model"], optimizer, **self.settings).__enter__()

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """The last step is recorded, and the file written."""
        if self.watch is not None:
            self.watch.__exit__(None, None, None)
