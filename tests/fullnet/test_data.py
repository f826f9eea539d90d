"""Data files: found in a folder or downloaded from a server on this machine, and always verified."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest

from groktime.fullnet import data
from groktime.fullnet.data import SOURCES, Source, fetch, read_idx
from groktime.reduced.errors import InputError

FILE = "numbers.gz"
GOOD = gzip.compress(bytes(range(256)) * 40, mtime=0)


class Server(ThreadingHTTPServer):
    """Answers every request with `status` and the first `sent` bytes of `body`, and counts."""

    status, body, sent, asked = 200, GOOD, 10**9, 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.path != f"/digits/{FILE}":
            self.send_error(404)
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body[: self.server.sent])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set "digits" of one file, and an empty cache."""
    source = Source("http://127.0.0.1:9/digits/", {FILE: hashlib.sha256(GOOD).hexdigest()})
    monkeypatch.setitem(SOURCES, "digits", source)
    monkeypatch.delenv("GROKTIME_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "groktime" / "digits"


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/digits"


def left(cache: Path) -> list[Path]:
    return list(cache.rglob("*")) if cache.exists() else []


# --- download ---------------------------------------------------------------------------------


def test_a_file_is_downloaded_once(
    server: Server,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    # pooch's logger stands alone and writes to the stderr of its import: neither fixture hears it so.
    monkeypatch.setattr(pooch.get_logger(), "handlers", [caplog.handler])
    pooch.get_logger().setLevel("NOTSET")
    path = fetch("digits", FILE, url=address(server))
    assert path == cache / FILE
    assert path.read_bytes() == GOOD
    server.status = 500
    assert fetch("digits", FILE, url=address(server) + "/") == path
    assert server.asked == 1
    # The default address, where nobody listens, is not needed any more either.
    assert fetch("digits", FILE) == path
    assert left(cache) == [path]
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""


def test_a_damaged_file_in_the_cache_is_downloaded_again(server: Server, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / FILE).write_bytes(GOOD[:-1])
    assert fetch("digits", FILE, url=address(server)).read_bytes() == GOOD


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"body": GOOD[:-1] + b"x"}, "SHA-256"),
        ({"body": b""}, "SHA-256"),
        ({"sent": len(GOOD) // 2}, "Error"),
        ({"status": 404}, "404"),
        ({"status": 503}, "503"),
    ],
)
def test_a_download_that_fails_leaves_nothing(
    answer: dict[str, object], told: str, server: Server, cache: Path
) -> None:
    vars(server).update(answer)
    url = address(server)
    with pytest.raises(InputError, match=rf"^{url}/{FILE}: could not be downloaded .*{told}.*GROKTIME_DATA"):
        fetch("digits", FILE, url=url)
    assert left(cache) == []
    vars(server).update(status=200, body=GOOD, sent=len(GOOD))
    assert fetch("digits", FILE, url=url).read_bytes() == GOOD


def test_nobody_listens(server: Server, cache: Path) -> None:
    closed = address(server)
    server.server_close()
    with pytest.raises(InputError, match=rf"^{closed}/{FILE}: .*ConnectionError"):
        fetch("digits", FILE, url=closed)
    assert left(cache) == []


def test_a_cache_that_cannot_be_made_is_named(server: Server, cache: Path) -> None:
    cache.parent.parent.write_text("a file where the cache should be")
    with pytest.raises(InputError, match=rf"could not be downloaded into {cache}"):
        fetch("digits", FILE, url=address(server))


# --- folder -----------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ["digits", "."])
def test_the_folder_wins(
    inside: str, server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine" / inside / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(GOOD)
    monkeypatch.setenv("GROKTIME_DATA", str(tmp_path / "mine"))
    assert fetch("digits", FILE, url=address(server)) == path
    assert server.asked == 0
    assert left(cache) == []


def test_a_file_that_the_folder_lacks_is_not_downloaded(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch("digits", FILE, url=address(server))  # nor is it taken from the cache
    for folder in (tmp_path, tmp_path / "nowhere"):
        monkeypatch.setenv("GROKTIME_DATA", str(folder))
        with pytest.raises(InputError, match=rf"^{folder}: expected digits/{FILE} .*GROKTIME_DATA"):
            fetch("digits", FILE, url=address(server))
    assert server.asked == 1


@pytest.mark.parametrize("body", [GOOD[:-1], b""])
def test_a_damaged_file_in_the_folder_is_named(
    body: bytes, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE
    path.write_bytes(body)
    monkeypatch.setenv("GROKTIME_DATA", str(tmp_path))
    with pytest.raises(InputError, match=rf"^{path}: .*expected a SHA-256"):
        fetch("digits", FILE, url=address(server))
    assert path.read_bytes() == body
    assert server.asked == 0


def test_the_sources_are_complete() -> None:
    for source in data.SOURCES.values():
        assert source.url.endswith("/")
        for file, sha256 in source.sha256.items():
            assert file.endswith(".gz")
            assert len(bytes.fromhex(sha256)) == 32


# --- IDX --------------------------------------------------------------------------------------

HEADER = bytes.fromhex("00000803 00000002 00000003 00000004")


def write(path: Path, raw: bytes) -> Path:
    path.write_bytes(gzip.compress(raw))
    return path


def test_idx(tmp_path: Path) -> None:
    array = read_idx(write(tmp_path / "cube.gz", HEADER + bytes(range(24))), dimensions=3)
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array, np.arange(24).reshape(2, 3, 4))
    line = bytes.fromhex("00000801 00000003 050004")
    assert read_idx(write(tmp_path / "line.gz", line), dimensions=1).tolist() == [5, 0, 4]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (bytes.fromhex("00000801 00000002 0102"), "3 dimensions.*0x00000801"),
        (bytes.fromhex("00000d03") + HEADER[4:] + bytes(24), "bytes.*0x00000d03"),
        (b"", "magic number"),
        (b"\0\0\x08", "magic number"),
        (HEADER[:11], "header of 16 bytes, not 11"),
        (HEADER, "2 x 3 x 4 bytes after the header, not 0"),
        (HEADER + bytes(23), "not 23"),
        (HEADER + bytes(25), "not 25"),
        (HEADER[:4] + b"\xff" * 12 + bytes(24), "not 24"),
    ],
)
def test_a_wrong_idx_file_is_named(raw: bytes, told: str, tmp_path: Path) -> None:
    path = write(tmp_path / "wrong.gz", raw)
    with pytest.raises(InputError, match=rf"^{path}: expected .*{told}"):
        read_idx(path, dimensions=3)


def test_a_wrong_gzip_file_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(HEADER + np.random.default_rng(0).bytes(24))
    path = tmp_path / "wrong.gz"
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for raw in (HEADER + bytes(24), whole[:-9], whole[:5], bytes(flipped)):
        path.write_bytes(raw)
        with pytest.raises(InputError, match=rf"^{path}: expected .*gzip"):
            read_idx(path, dimensions=3)
    path.unlink()
    with pytest.raises(InputError, match=rf"^{path}: cannot be read \(No such file"):
        read_idx(path, dimensions=3)
