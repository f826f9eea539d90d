"""The benchmarks that are made for other machines run here, small."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )


@pytest.mark.slow
def test_the_script_for_a_first_run_on_a_gpu_runs_on_the_cpu() -> None:
    ended = run("benchmarks/gpu.py", "--device", "cpu", "--small")
    assert ended.returncode == 0, ended.stderr
    rows = [line.split("|")[1:-1] for line in ended.stdout.splitlines() if line.startswith("| ")][1:]
    assert [row[0].strip() for row in rows] == [
        "teacher-student", "teacher-student", "addition", "addition", "toy addition, the grid",
        "teacher-student, trained", "modular-addition, three γ",
    ]  # fmt: skip
    assert all(len(row) == 9 and float(row[4].replace(",", "")) > 0 for row in rows)
    assert [float(row[8]) for row in rows[:4:2]] == [0.0, 0.0]  # the CPU beside itself


def test_a_gpu_that_is_not_there_is_refused_in_a_sentence() -> None:
    ended = run("benchmarks/gpu.py", "--device", "meta")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].endswith("not available here; expected auto, cpu, cuda or mps")


@pytest.mark.slow
def test_growth_is_drawn_and_told(tmp_path: Path) -> None:
    figure = tmp_path / "growth.png"
    ended = run("benchmarks/growth.py", str(figure), "--points", "2")
    assert ended.returncode == 0, ended.stderr
    assert figure.stat().st_size > 10_000
    assert len([line for line in ended.stdout.splitlines() if line.startswith("| ")]) == 8
