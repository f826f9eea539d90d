"""One line, always: whatever the terminal, the disk and the libraries do."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

import groktime as gt
from groktime import sentences
from groktime.cli import main
from groktime.option import whole
from groktime.ranges import values
from groktime.reduced.errors import InputError, TaskError
from groktime.reduced.figures.style import file_label, literal

START = "teacher-student --gamma 0.1 --eta-d 3e-4 --alpha 3"


def run(command: str, **options: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "groktime", *command.split()]
    return subprocess.run(words, text=True, stderr=subprocess.PIPE, check=False, **options)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_a_full_disk_under_stdout() -> None:
    with Path("/dev/full").open("w") as full:
        found = run(f"predict {START}", stdout=full)
    assert found.returncode == 2
    assert found.stderr == "groktime predict: output: No space left on device\n"


def test_closed_output_and_warnings_as_errors(tmp_path: Path) -> None:
    """A reader that stops, an ASCII terminal, and libraries whose every warning is to be an error."""
    line = f"{sys.executable} -m groktime whatif {START} --gamma 0.1:1:5 -o 'a$x^$.png'"
    script = f"{line} | head -n 1; echo ${{PIPESTATUS[0]}}"
    found = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, text=True, capture_output=True, check=True,
        env={"PYTHONWARNINGS": "error", "PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin",
             "PYTHONPATH": str(Path(gt.__file__).parents[1])},
    )  # fmt: skip
    assert found.stderr == ""
    assert found.stdout.splitlines()[-1] == "0"
    assert (tmp_path / "a$x^$.png").exists()


def test_errors_in_words() -> None:
    assert sentences.of(InputError("a\nb")) == (r"a\nb", 2)
    assert sentences.of(TaskError("mine.py line 3")) == ("mine.py line 3", 1)
    assert sentences.of(FileNotFoundError(2, "No such file", "x\ny")) == ("x\ny: No such file", 2)
    assert sentences.of(MemoryError()) is not None
    assert sentences.of(KeyError("ours")) is None  # a mistake of this package keeps its traceback
    assert len(sentences.shortened("x" * 5000)) < 410


def test_warnings_of_libraries_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    levels = {name: logging.getLogger(name).level for name in sentences._TALKATIVE}
    try:
        with sentences.alone():
            warnings.warn_explicit("theirs", UserWarning, np.__file__, 3)
            warnings.warn_explicit("of the task:\nmind it", UserWarning, "/home/me/mine.py", 7)
            logging.getLogger("matplotlib.font_manager").warning("no such font")
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    assert capsys.readouterr().err == "groktime: mine.py line 7 warns: of the task: mind it\n"


@pytest.mark.parametrize("text", ["1e3", "1000", "1000.0", " 1_000 "])
def test_whole_numbers_of_the_command_line(text: str) -> None:
    assert whole(text) == 1000


def test_huge_numbers_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.nc"
    tiny = f"train teacher-student --gamma 1 --alpha 2 --steps 1 -o {out}"
    for more, words in (
        ("--seeds 100000000000000000000000", "at most 1,000,000 values"),
        ("--seeds 1e10", "at most 1,000,000"),
        ("--seeds 1 100000000000000000000000", "expected a whole number"),
        ("--gamma 1e-3:1:10000000000:log", "expected numbers, or a range"),
        ("--gamma 1:2:10000000000", "expected numbers, or a range"),
        ("--gamma 5e-324", "gamma = 4.94066e-324"),
        ("--gamma 1e400", "gamma = inf"),
        ("--resolution 5e-324", "resolution = 4.94066e-324"),
        ("--resolution 1e-20 --steps 1e15", "evaluations of each run"),
        ("--steps 1e400", "argument --steps: expected a whole number"),
        ("--steps " + "1" * 5000, "argument --steps: expected a whole number"),
        ("--device hpu", "invalid choice: 'hpu'"),
    ):
        with pytest.raises(SystemExit) if "argument" in words or "choice" in words else _plain() as stopped:
            assert main([*tiny.split(), *more.split()]) == 2
        assert stopped is None or stopped.value.code == 2
        out_, err = capsys.readouterr()
        assert (out_, err.count("\n")) == ("", 1)
        assert words in err
        assert len(err) < 600
        assert not out.exists()


class _plain:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def test_ranges_of_extreme_ends() -> None:
    assert values("gamma", ["1e-30:1e30:3"]) == [1e-30, 1e-30 * (1e60) ** 0.5, 1e30]
    assert values("m", ["-1e30:1e30:3:lin"]) == [-1e30, 0.0, 1e30]
    for text in ("1e-300:1e300:5", "0:5e-324:3", "-1e308:1e308:3:lin", "1:inf:3", "nan:1:3"):
        with pytest.raises(InputError, match="expected numbers, or a range"):
            values("m", [text])
    with pytest.raises(InputError, match="more than 1,000,000 values"):
        values("m", ["0:1:100000"] * 11)


@pytest.mark.parametrize("device", ["hpu", "cuda:99", "meta", "", "cpu:x", "xla", "a\nb"])
def test_devices_that_are_not_there(device: str) -> None:
    with pytest.raises(
        InputError, match=r"^device = .*: not available here; expected auto, cpu, cuda or mps$"
    ):
        gt.train(
            "teacher-student",
            gamma=1,
            alpha=2,
            steps=1,
            seeds=[0],
            machine=gt.Machine(device=device, progress=False),
        )


def test_dollars_are_dollars(tmp_path: Path) -> None:
    """What stands between two $ is no mathematics in a name."""
    assert literal("$x^$ costs $5") == r"\$x^\$ costs \$5"
    assert file_label("a/b/$x$.nc") == r"\$x\$.nc"
    assert len(literal("n" * 260)) == 81
    alpha = np.linspace(1, 4, 5)
    loss = np.exp(alpha - 4)
    land = gt.Landscape.from_arrays(
        alpha=alpha, train_loss=loss, test_loss=loss, test_accuracy=1 - loss / 2, w0=9.0,
        task=r"$\frac{1$ <b>", loss="$x^$ and $",
    )  # fmt: skip
    name = tmp_path / "$a^$ \udcff.nc"
    land.save(name)
    with mpl.rc_context({"svg.fonttype": "none"}):
        gt.plot(str(name), tmp_path / "lu.svg")
    drawn = (tmp_path / "lu.svg").read_text()
    assert r"$a^$ \udcff.nc: $\frac{1$ &lt;b&gt;" in drawn
    p = gt.predict(land, gamma=0.1, eta_d=1e-3, alpha=3)
    p.plot(tmp_path / "prediction.png")
    assert "&lt;b&gt;" in land._repr_html_()
