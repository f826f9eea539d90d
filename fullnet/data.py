"""Real data sets: files known by their checksum, from a folder of the user's or downloaded once.

A data set is an entry of `SOURCES`. If the environment variable GROKTIME_DATA names a folder, files
are taken from there and nothing is ever downloaded; otherwise they are fetched into pooch's cache.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.errors import InputError

FOLDER_VARIABLE = "GROKTIME_DATA"


@dataclass(frozen=True)
class Source:
    """Where the files of a data set lie (`url` + file), and the SHA-256 of each."""

    url: str
    sha256: Mapping[str, str]


SOURCES: dict[str, Source] = {
    "mnist": Source(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
}


def fetch(dataset: str, file: str, url: str | None = None) -> Path:
    """The path of one file of a data set, its contents verified.

    `url` is another address to download from: a mirror's, to which the file name is appended.

    Raises
    ------
    InputError : if the file is missing or damaged in the folder of GROKTIME_DATA, or cannot be
        downloaded whole.
    """
    source = SOURCES[dataset]
    sha256 = source.sha256[file]
    # The folder wins, even where it is incomplete: whoever sets it may have no network, or want none.
    if folder := os.environ.get(FOLDER_VARIABLE):
        return _find(Path(folder), dataset, file, sha256)
    return _download(f"{(url or source.url).rstrip('/')}/{file}", dataset, file, sha256)


def _find(folder: Path, dataset: str, file: str, sha256: str) -> Path:
    for path in (folder / dataset / file, folder / file):
        if path.is_file():
            try:
                with path.open("rb") as stream:
                    found = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror})") from error
            if found != sha256:
                raise InputError(
                    f"{path}: not the {dataset} file of that name; "
                    f"expected a SHA-256 of {sha256[:12]}…, not {found[:12]}…"
                )
            return path
    raise InputError(
        f"{folder}: expected {dataset}/{file} or {file} in the folder that {FOLDER_VARIABLE} names"
    )


def _download(url: str, dataset: str, file: str, sha256: str) -> Path:
    # Imported late: neither the other tasks nor those who set the folder need pooch.
    try:
        import pooch
    except ModuleNotFoundError as error:
        if error.name != "pooch":
            raise
        raise InputError(
            f"downloading {file} needs pooch: pip install 'groktime[train]', or set {FOLDER_VARIABLE}"
        ) from error

    pooch.get_logger().setLevel("WARNING")
    cache = Path(pooch.os_cache("groktime")) / dataset
    try:
        # pooch moves a file to its name only when it is whole.
        return Path(pooch.retrieve(url, f"sha256:{sha256}", fname=file, path=cache))
    except OSError as error:  # those of requests are OSErrors too, but with no strerror and long texts
        response = getattr(error, "response", None)
        reason = error.strerror or (type(error).__name__ if response is None else f"{response.status_code}")
    except ValueError:
        reason = f"what came has not the SHA-256 {sha256[:12]}…"
    raise InputError(
        f"{url}: could not be downloaded into {cache} ({reason}); "
        f"expected a connection, or the files in a folder that {FOLDER_VARIABLE} names"
    )


def read_content(path: Path) -> bytes:
    """The bytes of a file, unpacked if its name ends in .gz."""
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as stream:
            return stream.read()
    except gzip.BadGzipFile as error:
        raise InputError(f"{path}: expected an intact gzip file ({error})") from error
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path}: expected a whole gzip file; this one is cut short or damaged") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The bytes of a gzip-compressed IDX file, an array of so many dimensions.

    IDX is a header of big-endian 32-bit numbers (a magic number that tells type and number of
    dimensions, then the sizes) followed by the values, the last index fastest.
    """
    raw = read_content(path)
    magic = 0x0800 + dimensions  # 08: unsigned bytes
    if raw[:4] != magic.to_bytes(4, "big"):
        raise InputError(
            f"{path}: expected an IDX file of bytes in {dimensions} dimensions, "
            f"magic number 0x{magic:08x}, not 0x{raw[:4].hex()}"
        )
    header = 4 * (1 + dimensions)
    if len(raw) < header:
        raise InputError(f"{path}: expected an IDX header of {header} bytes, not {len(raw)}")
    shape = [int.from_bytes(raw[i : i + 4], "big") for i in range(4, header, 4)]
    values = np.frombuffer(raw, np.uint8, offset=header)
    if values.size != math.prod(shape):
        sizes = " x ".join(map(str, shape))
        raise InputError(f"{path}: expected {sizes} bytes after the header, not {values.size}")
    return values.reshape(shape)
