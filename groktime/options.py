"""Options that more than one command has."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from groktime.completion import files, landscapes, presets, tasks
from groktime.option import Option, number
from groktime.reduced.errors import InputError

if TYPE_CHECKING:
    from groktime.reduced.law import Schedule

# --- where times are read from -------------------------------------------------------------------

LANDSCAPE = Option(
    "landscape",
    "a shipped landscape by name, or a landscape file (.nc)",
    positional=True,
    required=True,
    completer=landscapes,
)
SOURCE = LANDSCAPE.but(
    help="a shipped landscape or decay path by name, or the file of one, or of a forecast (.nc)"
)
RUNS = Option("runs", "a runs file (.nc)", positional=True, required=True, completer=files(".nc"))

THRESHOLD = Option(
    "threshold", "test metric that counts as generalizing", number, default="the file's accuracy"
)
METRIC = Option("metric", "what the thresholds are of", default="accuracy", choices=("accuracy", "loss"))
SAMPLED_STEPS = Option("sampled_steps", "sampling budget", int, default="the largest", metavar="STEPS")
WHICH = (
    Option("seed", "one of its seeds", int, default="all"),
    Option("n_train", "training-set size", int, default="the largest", metavar="N"),
    SAMPLED_STEPS,
    THRESHOLD,
    METRIC,
)

# --- settings of a network and its start ---------------------------------------------------------


def schedule(text: str) -> Schedule:
    """A schedule such as cosine,steps=20000,factor=0.1,warmup=500, or argparse's error."""
    from groktime.reduced.law import Schedule

    shape, *rest = text.split(",")
    kinds = {"steps": int, "factor": float, "warmup": int}
    try:
        said = [part.split("=") for part in rest]
        return Schedule(shape, **{name: kinds[name](value) for name, value in said})
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(
            f"expected a schedule such as cosine,steps=20000,factor=0.1,warmup=500, not {text!r}"
        ) from None


SCHEDULE = Option(
    "schedule",
    "of the rates: constant, step, linear or cosine, such as cosine,steps=20000,factor=0.1,warmup=500",
    schedule,
    default="the task's, where the file says it",
)
GAMMA = Option("gamma", "decoupled weight decay, multiplied by the learning rate", number, required=True)
ETA_D = Option("eta_d", "learning rate of the network, per step", number, required=True)
ETA_R = Option("eta_r", "learning rate of the representation, per step", number, default="eta-d")
ALPHA = Option("alpha", "start: weight norm over its norm at initialization", number, required=True)
MESSINESS = Option("m", "start: messiness, for landscapes of (w, m)", number)
START = (ETA_D, ETA_R, ALPHA, MESSINESS)

LEVEL = Option("level", "training loss of the contour of the printed formula", number, default=0.05)
M_RATE = Option(
    "m_rate",
    "speed of m; representation: with the factor 1/||R_random - R_linear||^2",
    default="eq6",
    choices=("eq6", "representation"),
)
IMPLICIT = (
    Option(
        "implicit", "decay that acts without being set, added to gamma; decay paths only", number, default=0.0
    ),
    Option("onset", "optimizer steps after which it sets in", number, default=0.0),
)

# --- networks that are trained -------------------------------------------------------------------

TASK = (
    Option(
        "task",
        "a built-in task (`groktime tasks` lists them), or MODULE:ATTRIBUTE for yours",
        positional=True,
        required=True,
        completer=tasks,
    ),
    Option("preset", "settings by name (`groktime tasks`); options override them", metavar="NAME",
           completer=presets),
    Option("from", "start from this checkpoint of a run (.pt, .safetensors)", metavar="FILE",
           default="the initial weights", completer=files(".pt", ".pth", ".ckpt", ".safetensors")),
    Option("step", "optimizer steps that it has done", int, default="what the checkpoint says"),
)  # fmt: skip
SEEDS = Option("seeds", "how many seeds (0, 1, …), or which", int, default=4, many=True, metavar="N")
N_TRAIN = Option(
    "n_train", "training-set sizes, ascending", int, default="the task's", many=True, metavar="N"
)
TRAINING = (
    Option(
        "optimizer",
        "the optimizer; adam: without decay, adam_l2: with decay that goes through its normalization",
        default="the task's, or adamw",
        choices=("adamw", "adam", "adam_l2", "sgd", "momentum", "sgdw", "lion", "muon"),
    ),
    Option(
        "representation",
        "held fixed, or trained: m alone (line), or R itself (free)",
        default="fixed",
        choices=("fixed", "line", "free"),
    ),
    Option("batch", "samples a step, 0 for all", int, default="the task's", metavar="N"),
)
MOMENTUM = Option("momentum", "of momentum, sgdw or muon", number, default="the task's, or 0.9; of muon 0.95")
STOP_AT = Option("stop_at", "test accuracy at which a network is done", number, default="none")
MEMBERS = Option("members", "networks trained together", int, default="by their size", metavar="N")
QUIET = Option("quiet", "no progress", bool)
MACHINE = (
    Option(
        "device",
        "where to train; auto: a GPU if there is one",
        default="auto",
        choices=("auto", "cpu", "cuda", "mps"),
    ),
    Option("compiled", "compile first: can pay for long runs of small networks", bool),
    MEMBERS,
    Option("workers", "pieces trained side by side", int, default="one a core"),
    QUIET,
)

# --- measuring -----------------------------------------------------------------------------------

MEASURING = (
    THRESHOLD,
    METRIC,
    Option("train_threshold", "train metric that counts as fitted", number, default="accuracy 0.95"),
    Option("rule", "which crossing counts", default="persist", choices=("persist", "first", "stable")),
    Option("persist", "evaluations that a crossing must last", int, default=3, metavar="N"),
)

# --- output --------------------------------------------------------------------------------------


def output(what: str, required: bool = False, suffixes: tuple[str, ...] = ()) -> tuple[Option, ...]:
    """`-o` and `--overwrite`."""
    return (
        Option("output", what, required=required, short="-o", metavar="FILE", completer=files(*suffixes)),
        Option("overwrite", "replace the output if it exists", bool),
    )


JSON = Option("json", "print one JSON object and nothing else", bool)
