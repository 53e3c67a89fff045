"""What is compared: the rows and columns of the table, how much work each is, and what is to be reached."""

from __future__ import annotations

import dataclasses

C, PYTHON, OFFICIAL, OFFICIAL_PURE = "c", "python", "official (+rust)", "official pure"
MSGSPEC, ORMSGPACK = "msgspec", "ormsgpack"
COLUMNS = (C, PYTHON, OFFICIAL, OFFICIAL_PURE, MSGSPEC, ORMSGPACK)

CLIENT, DRIVER, CODEC, SERVER = "client", "driver", "codec", "server"
# Which columns a group of rows has.
GROUPS = {CLIENT: COLUMNS[:4], DRIVER: COLUMNS[:4], CODEC: COLUMNS, SERVER: COLUMNS[:2]}
TITLES = {
    CLIENT: "client, end to end over loopback (rows/s, statements/s)",
    DRIVER: "driver, end to end over loopback (rows/s, statements/s)",
    CODEC: "codec alone (rows/s)",
    SERVER: "server toolkit, 6 mixed columns (rows/s)",
}


@dataclasses.dataclass(frozen=True)
class Work:
    """A row of the table.

    Attributes:
        name: what it is called everywhere, in the command line of other languages' programs too.
        group: which group of rows it stands in.
        fast: units of one run by the compiled twin and by what is about as fast.
        slow: units of one run by what takes longer for each.
        step: runs consist of a multiple of this many units.
        block: whether the units are a block that is gone over until the time is over.
    """

    name: str
    group: str
    fast: int
    slow: int
    step: int = 1
    block: bool = False

    def count(self, column: str, divisor: int) -> int:
        """Units of one run; *divisor* makes it shorter."""
        whole = self.fast if column in (C, MSGSPEC, ORMSGPACK) else self.slow
        return max(1, whole // divisor // self.step) * self.step


CLIENT_WORK = (
    Work("fetch int", CLIENT, 400_000, 40_000, 1000),
    Work("fetch strings", CLIENT, 200_000, 30_000, 1000),
    Work("fetch mixed", CLIENT, 200_000, 30_000, 1000),
    Work("fetch node", CLIENT, 60_000, 15_000, 500),
    Work("fetch floats", CLIENT, 3_000, 1_500, 50),
    Work("fetch wide", CLIENT, 60_000, 15_000, 500),
    Work("batches mixed", CLIENT, 200_000, 30_000, 1000),
    Work("batches floats", CLIENT, 3_000, 1_500, 50),
    Work("run mixed", CLIENT, 100_000, 30_000, 1000),
    Work("unwind", CLIENT, 100_000, 20_000, 1000),
    Work("tiny one by one", CLIENT, 2_000, 1_000, 100),
    Work("tiny gathered", CLIENT, 5_000, 1_000, 500),
)
# Every peer has the same number of rows: that many are kept, and are to be.
DRIVER_WORK = (
    Work("execute_query mixed", DRIVER, 100_000, 100_000, 1000),
    Work("execute_query mixed default", DRIVER, 100_000, 100_000, 1000),
    Work("records mixed", DRIVER, 100_000, 100_000, 1000),
    Work("records mixed default", DRIVER, 100_000, 100_000, 1000),
    Work("to_df mixed", DRIVER, 100_000, 100_000, 1000),
    Work("to_df mixed default", DRIVER, 100_000, 100_000, 1000),
    Work("execute_write unwind", DRIVER, 100_000, 20_000, 1000),
    Work("execute_query tiny", DRIVER, 2_000, 1_000, 100),
)
# Rows of a block.
_BLOCKS = {
    "int": (20_000, 4_000),
    "strings": (10_000, 2_000),
    "mixed": (10_000, 2_000),
    "node": (2_000, 500),
    "floats": (100, 20),
    "wide": (2_000, 500),
    "times": (5_000, 1_000),
    "people": (1_000, 1_000),
}
CODEC_WORK = tuple(
    Work(f"{direction} {shape}", CODEC, fast, slow, block=True)
    for direction in ("encode", "decode")
    for shape, (fast, slow) in _BLOCKS.items()
)
SERVER_WORK = (
    Work("server list", SERVER, 200_000, 20_000),
    Work("server generator", SERVER, 200_000, 20_000),
    Work("server async generator", SERVER, 200_000, 20_000),
    Work("packed", SERVER, 20_000, 4_000, block=True),
)
WORK = {work.name: work for work in (*CLIENT_WORK, *DRIVER_WORK, *CODEC_WORK, *SERVER_WORK)}


@dataclasses.dataclass(frozen=True)
class Target:
    """What a cell is to reach.

    Attributes:
        name: the row.
        least: how many times the other column; without one, units per second.
        over: the other column, or None.
        column: the column.
    """

    name: str
    least: float
    over: str | None = OFFICIAL
    column: str = C


TARGETS = (
    Target("fetch int", 120),
    Target("fetch strings", 40),
    Target("fetch mixed", 40),
    Target("fetch mixed", 1.5, OFFICIAL_PURE, PYTHON),
    Target("fetch node", 14),
    Target("fetch floats", 2),
    Target("fetch wide", 14),
    Target("batches mixed", 30),
    Target("batches floats", 2.2),
    Target("run mixed", 16),
    Target("unwind", 9),
    Target("tiny one by one", 2),
    Target("tiny gathered", 10),
    Target("execute_query mixed", 10),
    Target("records mixed", 10),
    Target("to_df mixed", 15),
    Target("execute_write unwind", 6),
    Target("execute_query tiny", 2),
    *(Target(work.name, 0.8 if work.name.startswith("encode") else 1.0, MSGSPEC) for work in CODEC_WORK),
    Target("server list", 700_000, None),
    Target("server generator", 700_000, None),
    Target("server async generator", 500_000, None),
    Target("packed", 1_500_000, None),
)

NOTES = """\
c, python: asyncbolt's twins. official: the neo4j driver, with its Rust extension and with that blocked. It
asks for all rows at once where all are kept ("fetch"), else for 1000 at a time, its default.
tiny gathered: 500 statements at a time on one session. The official driver cannot do that: its figure is its
rate one by one.
driver: the same program with each driver, and all rows asked for at once (fetch_size=-1); "default": without
that option, where the official driver asks for 1000 at a time, and asyncbolt's for more and more.
official, codec: what the driver's own packer, unpacker, hydration and Record cost for one message after the
other. Its reading from the socket, logging and states are left out. It does not pack nodes.
msgspec, ormsgpack: all rows of a block as one list in one call, to and from plain values. A node is a map of
id, labels, properties and element_id. Date-times: msgspec packs what Python has and gives it back, told the
types; ormsgpack packs them as strings and does not give them back.
people: maps, in a RUN message as the parameter $rows; for msgpack, a list of the same three values.
server: to the compiled client, each in its own process. packed: MessageWriter.records alone."""
