"""Data sets that are one CSV table: where they are looked for, what is left out, and how it is told."""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import sys
import tarfile
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from groktime.fullnet.tables import TABLES, find_table, read_table
from groktime.reduced.errors import InputError

ROOT = Path(__file__).parents[2]
GOOD = 'review,sentiment,id\n"Good, ""really"" good\nfilm",positive,1\nBad,negative,2\n'


def row(review: str, sentiment: str) -> tuple[str, str]:
    if not review:
        raise ValueError("no review")
    return review, sentiment


def write(folder: Path, text: str | bytes, name: str = "imdb.csv.gz") -> Path:
    raw = text.encode() if isinstance(text, str) else text
    path = folder / name
    path.write_bytes(gzip.compress(raw, mtime=0) if name.endswith(".gz") else raw)
    return path


def known(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    monkeypatch.setitem(TABLES, "imdb", replace(TABLES["imdb"], sha256=sha256))


@pytest.mark.parametrize("inside", ["imdb", "."])
@pytest.mark.parametrize("name", ["imdb.csv.gz", "imdb.csv"])
def test_the_file_is_found_and_read(
    inside: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROKTIME_DATA", str(tmp_path))
    known(GOOD, monkeypatch)
    (tmp_path / inside).mkdir(exist_ok=True)
    path = write(tmp_path / inside, GOOD, name)
    assert find_table("imdb") == path
    assert read_table("imdb", path, row) == [('Good, "really" good\nfilm', "positive"), ("Bad", "negative")]


@pytest.mark.parametrize("dataset", ["imdb", "qm9"])
def test_without_the_file_it_is_told_which(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = " and ".join(TABLES[dataset].columns)
    expected = (
        rf"expected {dataset}/{dataset}\.csv\.gz \(or \.csv\) with the columns {columns} in .*docs/data\.md"
    )
    monkeypatch.setenv("GROKTIME_DATA", str(tmp_path))
    with pytest.raises(InputError, match=rf"^{tmp_path}: {expected}"):
        find_table(dataset)
    monkeypatch.delenv("GROKTIME_DATA")
    with pytest.raises(InputError, match=rf"^{dataset} has no download: {expected}"):
        find_table(dataset)


def test_another_copy_is_read_and_told(tmp_path: Path) -> None:
    path = write(tmp_path, "sentiment,review\nnegative,Bad\n")
    with pytest.warns(UserWarning, match=r"another copy than .* so a seed draws other reviews; it has 1$"):
        assert read_table("imdb", path, row) == [("Bad", "negative")]


def test_rows_that_are_left_out_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = GOOD + ",positive,3\nshort\n,negative,4\nlast,negative,5\n"
    known(text, monkeypatch)
    path = write(tmp_path, text)
    with pytest.warns(UserWarning) as caught:
        rows = read_table("imdb", path, row)
    assert [review for review, _ in rows] == ['Good, "really" good\nfilm', "Bad", "last"]
    (warning,) = caught
    assert str(warning.message) == (
        f"{path}: 3 of 6 rows are left out (1 with another number of columns, 2 with no review)"
    )


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (gzip.compress(GOOD.encode(), mtime=0)[:-12], "cut short or damaged"),
        (b"not a gzip file", "intact gzip file"),
        (gzip.compress(b"review,stars\nBad,1\n", mtime=0), "has no column 'sentiment'; expected"),
        (gzip.compress(b"", mtime=0), "has no column 'review'; expected"),
        (gzip.compress(b"review,sentiment\n\xff\xfe,negative\n", mtime=0), "expected text in UTF-8"),
        (gzip.compress(b'review,sentiment\n"Bad,negative\n', mtime=0), "expected an intact CSV table"),
        (gzip.compress(b"review,sentiment\n,negative\n", mtime=0), "none of its 1 rows can be used"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_a_file_that_cannot_be_read_is_one_sentence(raw: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "imdb.csv.gz"
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        read_table("imdb", path, row)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert words in text
    assert "\n" not in text


def test_the_documented_way_makes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script of docs/data.md, on an archive like the original one."""
    script = re.search(r"```python\n(.*?)```", (ROOT / "docs/data.md").read_text(), re.DOTALL)
    assert script
    for part in ("train", "test"):
        for kind, stars in (("pos", 9), ("neg", 2)):
            folder = tmp_path / "aclImdb" / part / kind
            folder.mkdir(parents=True)
            for number in (0, 2, 10):
                (folder / f"{number}_{stars}.txt").write_text(f"{part}, {kind} “{number}”", encoding="utf-8")
    with tarfile.open(tmp_path / "aclImdb_v1.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "aclImdb", "aclImdb")
    subprocess.run([sys.executable, "-c", script[1]], cwd=tmp_path, check=True)
    expected = "review,sentiment,split,rating,id\n"
    for part in ("train", "test"):
        for number in (0, 2, 10):
            expected += f'"{part}, pos “{number}”",positive,{part},9,{number}\n'
            expected += f'"{part}, neg “{number}”",negative,{part},2,{number}\n'
    path = tmp_path / "imdb.csv.gz"
    assert gzip.decompress(path.read_bytes()).decode() == expected
    known(expected, monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_table("imdb", path, row)) == 12
