"""The command line: words and options. What a command does is in `groktime.commands`.

argparse, from the standard library: `--help` has to answer at once, and a mistake to be told in one
sentence.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from groktime.ranges import RANGES


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = _Parser(
        prog="groktime",
        description="How long a network will take to grok, told before the long run is started.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    predict = commands.add_parser(
        "predict", help="grokking time from a landscape or a decay path: report, figure"
    )
    _landscape(predict)
    predict.add_argument("--gamma", type=_number, required=True, help="decoupled weight decay")
    _start(predict, _number)
    predict.add_argument("--level", type=_number, help="training loss of the printed form's contour (0.05)")
    _output(predict, "figure: .png, .pdf or .svg")

    what_if = commands.add_parser("whatif", help="grokking times over gamma, learning rates and starts")
    _landscape(what_if)
    what_if.add_argument("--gamma", nargs="+", required=True, metavar="X", help=f"weight decay: {RANGES}")
    _start(what_if, None)
    _output(what_if, "data (.nc) or figure (.png, .pdf, .svg)")

    recommend = commands.add_parser("recommend", help="the weakest decay that groks within a budget")
    _landscape(recommend)
    recommend.add_argument("--budget", type=_number, required=True, metavar="STEPS", help="optimizer steps")
    _start(recommend, _number)
    recommend.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    sample = commands.add_parser("sample", help="sample a landscape from networks (needs groktime[train])")
    _task(sample)
    sample.add_argument("--alpha", nargs="+", required=True, metavar="X", help=f"w/w0: {RANGES}")
    sample.add_argument("--m", nargs="+", metavar="X", help=f"messiness: {RANGES}")
    sample.add_argument("--steps", type=int, help="optimizer steps a cell")
    sample.add_argument("--budgets", nargs="+", type=int, metavar="STEPS", help="steps of the snapshots")
    sample.add_argument(
        "--gradient", default="tangent", help="tangent: the minimum on the sphere; full: as published"
    )
    sample.add_argument(
        "--start", default="fresh", help="fresh: initial weights on every sphere; above: from the next larger"
    )
    sample.add_argument("--refine", type=int, default=0, metavar="ROUNDS", help="bisect the wall so often")
    sample.add_argument("--decay-every", type=int, help="steps between drops of the learning rate")
    _work(sample, "landscape file to write (.nc)")

    path = commands.add_parser(
        "sample-path", help="follow networks along their decay path (needs groktime[train])"
    )
    _task(path)
    path.add_argument("--alpha", nargs="+", required=True, metavar="X", help=f"start: w/w0: {RANGES}")
    path.add_argument("--m", nargs="+", metavar="X", help="start: messiness (1)")
    path.add_argument("--eta-d", type=_number, help="learning rate, per step (the task's)")
    path.add_argument("--eta-r", type=_number, help="that of the representation (eta-d)")
    path.add_argument("--dtau", type=_number, default=0.01, help="shrink by exp(-dtau) at a time (0.01)")
    path.add_argument(
        "--refit", nargs="+", type=int, default=[25, 50, 100, 200], metavar="STEPS",
        help="optimizer steps after each shrink: the resolutions (25 50 100 200)",
    )  # fmt: skip
    path.add_argument("--tau", type=_number, default=1.0, help="end of the path, in eta*gamma*steps (1)")
    path.add_argument(
        "--fit", default="along", help="along: decay acts in the fit, too; first: fit without it"
    )
    path.add_argument("--fit-steps", type=int, help="the most steps of the fit (the task's)")
    path.add_argument("--fit-loss", type=_number, help="training loss that ends it (start's / 1000)")
    path.add_argument("--optimizer", default="adamw", help="adamw, sgd or momentum, without decay")
    path.add_argument("--representation", default="fixed", help="fixed, line (train m) or free (train R)")
    path.add_argument("--batch", type=int, metavar="N", help="samples a step, 0 for all (the task's)")
    path.add_argument("--stop-at", type=_number, help="test accuracy at which a path is done (none)")
    _work(path, "path file to write (.nc)")

    train = commands.add_parser("train", help="train networks in full, with decay (needs groktime[train])")
    _task(train)
    train.add_argument("--gamma", nargs="+", required=True, metavar="X", help=f"weight decay: {RANGES}")
    train.add_argument("--alpha", nargs="+", required=True, metavar="X", help="start: w/w0, as --gamma")
    train.add_argument("--eta-d", nargs="+", metavar="X", help="learning rate, per step (the task's)")
    train.add_argument("--eta-r", nargs="+", metavar="X", help="that of the representation (eta-d)")
    train.add_argument("--m", nargs="+", metavar="X", help="start: messiness (1)")
    train.add_argument("--steps", type=int, required=True, help="optimizer steps of a run")
    train.add_argument("--paired", action="store_true", help="walk the lists together (all combinations)")
    train.add_argument("--optimizer", default="adamw", help="adamw, adam (gamma 0), sgd or momentum")
    train.add_argument("--representation", default="fixed", help="fixed, line (train m) or free (train R)")
    train.add_argument("--batch", type=int, metavar="N", help="samples a step, 0 for all (the task's)")
    train.add_argument("--resolution", type=_number, default=0.02, help="of the times recorded (0.02)")
    train.add_argument("--stop-at", type=_number, help="test accuracy at which a run is done (none)")
    train.add_argument("--constrained", action="store_true", help="hold the norm that the weights start with")
    train.add_argument("--dtype", default="float32", help="float32 or float64")
    train.add_argument("--members", type=int, metavar="N", help="runs trained together (by their size)")
    _work(train, "runs file to write (.nc)")

    figure = commands.add_parser("figure", help="a published figure, by its recipe, or one of a landscape")
    figure.add_argument("name", nargs="?", help="one of the list that comes without; or lu, sizes, gradients")
    _landscape(figure, "of lu, sizes, gradients: a shipped one by name, or a .nc file", nargs="?")
    figure.add_argument("--gamma", type=_number, help="weight decay (0.001)")
    figure.add_argument("--eta-d", type=_number, help="learning rate of the decoder (0.01)")
    figure.add_argument("--eta-r", type=_number, help="learning rate of the representation (eta-d)")
    figure.add_argument("--alpha", type=_number, help="start, w/w0 (the largest sampled)")
    figure.add_argument("--m", type=_number, help="start, messiness (the largest sampled)")
    figure.add_argument("--full", action="store_true", help="recipe: the paper's sizes, for a GPU")
    figure.add_argument("--seeds", type=int, metavar="N", help="recipe: how many (its own)")
    figure.add_argument("--write", metavar="FILE", help="recipe: a file in which to replace its tables")
    figure.add_argument("-o", "--output", help="recipe: folder (out/NAME); else .png, .pdf or .svg")
    figure.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    figure.add_argument("--json", action="store_true", help="the list as one JSON object and nothing else")

    measure = commands.add_parser("measure", help="grokking times of networks trained in full")
    measure.add_argument("runs", help="a runs file (.nc)")
    measure.add_argument(
        "--threshold", type=_number, help="test metric that counts as generalised (the file's accuracy)"
    )
    _measuring(measure)
    _output(measure, "data (.nc)")

    compare = commands.add_parser("compare", help="predicted beside measured times, run by run, and scores")
    compare.add_argument("landscape", help="a shipped landscape by name, or a .nc file")
    compare.add_argument("runs", help="a runs file (.nc)")
    compare.add_argument("--path", metavar="FILE", help="a decay path, one more predictor (.nc)")
    compare.add_argument(
        "--threshold", type=_number, help="test metric that counts as generalised (the files' accuracy)"
    )
    _measuring(compare)
    compare.add_argument("--level", type=_number, help="training loss of the printed form's contour (0.05)")
    compare.add_argument("--m-rate", default="eq6", help="eq6, or representation: with 1/||R diff||^2")
    compare.add_argument("--sampled-steps", type=int, metavar="STEPS", help="sampling budget (the largest)")
    _output(compare, "folder of the report: table, summary and figures")

    tasks = commands.add_parser("tasks", help="the built-in tasks, their costs, and the landscapes that ship")
    tasks.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return top


def _task(command: argparse.ArgumentParser) -> None:
    """The networks of `sample` and `train`: a task, its settings, seeds and sizes."""
    task = "a built-in task (`groktime tasks` lists them), or MODULE:ATTRIBUTE, one of your own"
    command.add_argument("task", help=task)
    command.add_argument("--preset", metavar="NAME", help="settings by name (`groktime tasks`); others win")
    command.add_argument("--variant", help="addition, mnist-representation, qm9: paper or official")
    command.add_argument("--dim", type=int, help="addition: dimensions of the representation")
    command.add_argument(
        "--tolerance", type=_number, help="largest error that is right; teacher-student: squared"
    )
    command.add_argument("--loss", help="mnist: mse or ce (cross-entropy)")
    command.add_argument("--augment", help="mnist: rotate-blur (needs groktime[images])")
    command.add_argument("--p", type=int, help="modular-addition, four-operations: the modulus")
    command.add_argument("--d-model", type=int, help="modular-addition, four-operations: width")
    command.add_argument("--operation", help="four-operations: + - * or /")
    command.add_argument("--noise", type=_number, help="four-operations: std of the noise on one-hot inputs")
    command.add_argument("--length", type=int, metavar="WORDS", help="imdb: words of a review that are read")
    command.add_argument("--hidden", type=int, help="imdb: width of the LSTM")
    command.add_argument("--embedding", type=int, help="imdb: width of the embedding")
    command.add_argument("--n-test", type=int, metavar="N", help="imdb, qm9: test samples")
    command.add_argument("--seeds", nargs="+", type=int, default=[4], help="how many (0, 1, …), or which")
    command.add_argument("--n-train", nargs="+", type=int, metavar="N", help="training samples, ascending")


def _work(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda or mps")
    command.add_argument(
        "--compiled", action="store_true", help="compile first: can pay for long runs of small networks"
    )
    command.add_argument("--workers", type=int, help="pieces trained side by side (one a core)")
    command.add_argument("-o", "--output", required=True, help=what)
    command.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    command.add_argument("--quiet", action="store_true", help="no progress")


_EITHER = "a shipped landscape by name, or the .nc file of a landscape or a decay path"


def _landscape(command: argparse.ArgumentParser, what: str = _EITHER, nargs: str | None = None) -> None:
    command.add_argument("landscape", help=what, nargs=nargs)
    command.add_argument("--seed", type=int, help="one of its seeds (all)")
    command.add_argument("--n-train", type=int, metavar="N", help="training-set size (the largest)")
    command.add_argument("--sampled-steps", type=int, metavar="STEPS", help="sampling budget (the largest)")
    command.add_argument("--threshold", type=_number, help="test metric that counts as generalised")
    command.add_argument("--metric", default="accuracy", help="accuracy or loss: what the threshold is of")


def _start(command: argparse.ArgumentParser, kind: Any) -> None:
    many: dict[str, Any] = {"type": kind} if kind else {"nargs": "+", "metavar": "X"}
    command.add_argument("--eta-d", required=True, help="learning rate of the network, per step", **many)
    command.add_argument("--eta-r", help="learning rate of the representation (eta-d)", **many)
    command.add_argument("--alpha", required=True, help="start: weight norm / its norm at init", **many)
    command.add_argument("--m", help="start: messiness, for landscapes of (w, m)", **many)
    command.add_argument("--m-rate", default="eq6", help="eq6, or representation: with 1/||R diff||^2")
    command.add_argument(
        "--implicit", type=_number, default=0.0, help="decay that acts unset, added to gamma; of paths (0)"
    )


def _measuring(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--train-threshold", type=_number, help="train metric that counts as fitted (accuracy 0.95)"
    )
    command.add_argument("--metric", default="accuracy", help="accuracy or loss: what the thresholds are of")
    command.add_argument("--rule", default="persist", help="persist, first or stable: which pass counts")
    command.add_argument(
        "--persist", type=int, default=3, metavar="N", help="evaluations that a pass must last (3)"
    )


def _output(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("-o", "--output", help=what)
    command.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, not {text!r}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 2 a user's error in one sentence."""
    options = parser().parse_args(arguments)
    from groktime import commands
    from groktime.reduced.errors import InputError

    try:
        commands.run(options)
    except InputError as error:
        print(f"groktime {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"groktime {options.command}: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0
