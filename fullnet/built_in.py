"""The built-in tasks: their names, the options that they add to the command line, presets and costs.

Importing this needs no PyTorch: the command line and `groktime tasks` read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Setting:
    """An argument of a task's function that the command line has as an option.

    `default` : what the function takes where it is not given, as help shows it.
    """

    help: str
    type: Callable[[str], Any] = str
    default: object = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuiltIn:
    """A built-in task: its function in `fullnet.tasks`, one line on it, those of the function's
    arguments that are options on the command line, and presets by name ("small": for two cores).

    `figures`: where it is from, P the paper. `run`: the command of a typical run, without its output; of
    `member_steps` optimizer steps of one network in all, at `speed` of them a second on two cores
    (docs/results/speed.md; None: not measured)."""

    function: str
    line: str
    settings: Mapping[str, Setting]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    figures: str = ""
    run: str = ""
    member_steps: int = 0
    speed: float | None = None

    @property
    def minutes(self) -> float | None:
        """Of the typical run, on two cores."""
        return None if self.speed is None else self.member_steps / self.speed / 60


_VARIANT = Setting(
    "settings of the paper, or of the authors' code", default="paper", choices=("paper", "official")
)

BUILT_IN = {
    "teacher-student": BuiltIn(
        "teacher_student",
        "tanh network learns another one",
        {"tolerance": Setting("largest squared error of a right answer", float, 0.01)},
        presets={"official": {"tolerance": 0.001}},
        figures="P Fig. 2",
        run="train teacher-student --gamma 0.1 0.3 --alpha 3 --seeds 4 --steps 30000",
        member_steps=240_000,
        speed=7531,
    ),
    "addition": BuiltIn(
        "addition",
        "toy addition with a representation; variant paper or official",
        {
            "variant": _VARIANT,
            "dim": Setting("dimensions of the representation", int, "1; official: 2"),
            "p": Setting("how many symbols", int, 10),
            "n_test": Setting("test pairs, of sums that occur in training; 0: all that are left", int, 0),
        },
        presets={
            "official": {"variant": "official"},
            "sizes": {"variant": "official", "n_train": 54},
            # enough test pairs for an accuracy, and none that no network could know
            "p30": {"variant": "official", "p": 30, "n_train": 300, "n_test": 150},
            "p50": {"variant": "official", "p": 50, "n_train": 800, "n_test": 400},
        },
        figures="P Fig. 6",
        run="sample addition --preset official --alpha 2.5:4:21:lin --m 0:0.1:21 --seeds 4",
        member_steps=26_460_000,
        speed=5030,
    ),
    "mnist": BuiltIn(
        "mnist",
        "MLP 784-200-200-10 on a thousand handwritten digits; loss mse or ce; augment rotate-blur",
        {
            "loss": Setting("training loss; ce: cross-entropy", default="mse", choices=("mse", "ce")),
            "augment": Setting("augment the images (needs groktime[images])", choices=("rotate-blur",)),
        },
        presets={"small": {"n_test": 1000}, "fig12": {"loss": "ce", "n_train": 200}},
        figures="P Figs. 3, 10b, 11 and 12",
        run="train mnist --gamma 0.1 --alpha 8 --seeds 3 --steps 10000",
        member_steps=30_000,
        speed=640,
    ),
    "mnist-representation": BuiltIn(
        "mnist_representation",
        "the same on digits that fade into templates of their labels; variant paper or official",
        {"variant": _VARIANT},
        presets={"small": {"n_train": 1000, "n_test": 1000}},
        figures="P Fig. 8",
        run="sample mnist-representation --preset small --alpha 1:9:5 --m 0:1:5 --seeds 2 --steps 1000",
        member_steps=50_000,
        speed=790,
    ),
    "modular-addition": BuiltIn(
        "modular_addition",
        "one-layer transformer on (a + b) mod p",
        {"p": Setting("the modulus", int, 113), "d_model": Setting("width of the network", int, 128)},
        # 45 % of the pairs: fewer symbols need a larger share than the paper's 30 %
        presets={"small": {"p": 41, "d_model": 64, "n_train": 756}},
        figures="P Figs. 7, 9 and 10a",
        run="train modular-addition --preset small --gamma 1 --alpha 1 --seeds 3 --steps 6000",
        member_steps=18_000,
        speed=275,
    ),
    "modular-mlp": BuiltIn(
        "modular_mlp",
        "MLP on (a + b) mod p, trained by others too",
        {
            "p": Setting("the modulus", int, 59),
            "d_model": Setting("width of the network", int, 128),
        },
        presets={"small": {"p": 31, "d_model": 64, "width": 128, "n_train": 577}},
        figures="arXiv 2606.13753",
        run="train modular-mlp --preset small --gamma 1 --alpha 1 --seeds 3 --steps 6000",
        member_steps=18_000,
    ),
    "modular-transformer": BuiltIn(
        "modular_transformer",
        "transformer with LayerNorm on (a + b) mod p, trained by others too",
        {
            "p": Setting("the modulus", int, 71),
            "d_model": Setting("width of the network", int, 128),
        },
        presets={"small": {"p": 41, "d_model": 64, "n_train": 840}},
        figures="arXiv 2606.13753",
        run="train modular-transformer --preset small --gamma 1 --alpha 1 --seeds 3 --steps 6000",
        member_steps=18_000,
    ),
    "four-operations": BuiltIn(
        "four_operations",
        "two-block decoder on (x ∘ y) mod p; operation + - * or /",
        {
            "operation": Setting("the operation", default="/", choices=("+", "-", "*", "/")),
            "p": Setting("the modulus", int, 97),
            "noise": Setting("standard deviation of the noise on one-hot inputs", float, 0.0),
            "d_model": Setting("width of the network", int, 128),
        },
        # half of the equations
        presets={"small": {"p": 41, "d_model": 64, "n_train": 820, "batch": 128}},
        figures="the poster's",
        run="train four-operations --preset small --gamma 1 --alpha 1 --seeds 2 --steps 6000",
        member_steps=12_000,
        speed=350,
    ),
    "imdb": BuiltIn(
        "imdb",
        "LSTM on a thousand film reviews; needs the file: docs/data.md",
        {
            "length": Setting("words that are read of a review", int, 500),
            "hidden": Setting("width of the LSTM", int, 128),
            "embedding": Setting("width of the embedding", int, 64),
            "n_test": Setting("test samples", int, 1000),
        },
        # A seventh of the time. Not fewer or shorter reviews: from 1000 of 250 words a linear model gets 77 %
        # right, from 500 of 100 words only 70 %.
        presets={"small": {"n_train": 1000, "length": 250, "hidden": 32, "embedding": 32, "n_test": 500}},
        figures="P Fig. 4",
        run="train imdb --preset small --gamma 1 --alpha 6 --seeds 2 --steps 2000",
        member_steps=4_000,
        speed=25,
    ),
    "qm9": BuiltIn(
        "qm9",
        "graph network on the polarizability of molecules; needs the file: docs/data.md",
        {
            "variant": _VARIANT,
            "tolerance": Setting("largest error of a right answer, in bohr³", float, 1.0),
            "n_test": Setting("test samples", int, 1000),
        },
        presets={"small": {"n_test": 200}},
        figures="P Fig. 5",
        run="train qm9 --preset small --gamma 0 --alpha 3 --seeds 2 --steps 10000",
        member_steps=20_000,
        speed=1370,
    ),
}
