"""From figures to text: the table of a run, and what README.md shows of the stored one."""

from __future__ import annotations

import dataclasses
import json
import statistics
import textwrap
from pathlib import Path
from typing import Any

import workloads
from workloads import CLIENT, MSGSPEC, OFFICIAL, OFFICIAL_PURE, PYTHON, C, Target

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"
README = ROOT / "README.md"
TABLE = ROOT / "docs" / "_static" / "speed.txt"
BEGIN = "<!-- speed: written by `make bench ARGS=--write` -->\n"
END = "<!-- end of speed -->"

# What README.md shows, and what it calls it.
HEADLINES = {
    "Driver, the same program for each": {
        "execute_query mixed default": "`execute_query`, 100,000 rows of six mixed columns",
        "records mixed default": "`async for record in result`, the same rows",
        "to_df mixed default": "`result.to_df()`, the same rows",
        "execute_write unwind": "maps with `UNWIND $rows` in `execute_write`, 1,000 at a time",
        "execute_query tiny": "tiny `execute_query`, one after the other",
    },
    "One connection, rows as tuples": {
        "fetch int": "fetch rows of one int",
        "fetch strings": "... of three strings",
        "fetch mixed": "... of six mixed columns",
        "fetch wide": "... of 30 ints",
        "fetch node": "... of one node with ten properties",
        "fetch floats": "... of one list of 1000 floats",
        "batches mixed": "iterate over batches, six mixed columns",
        "unwind": "write maps with `UNWIND $rows`",
        "tiny one by one": "tiny statements, one after the other",
        "tiny gathered": "... 500 at a time on one connection (the driver: one after the other)",
    },
}


@dataclasses.dataclass
class Results:
    """All figures of a comparison.

    Attributes:
        facts: machine, versions, rounds.
        rates: name -> column -> units a second in each round.
        busy: name -> column -> share of the time for which the measuring process was on a processor.
        noise: seconds for the same computing, again and again.
    """

    facts: dict[str, Any]
    rates: dict[str, dict[str, list[float]]] = dataclasses.field(default_factory=dict)
    busy: dict[str, dict[str, list[float]]] = dataclasses.field(default_factory=dict)
    noise: list[float] = dataclasses.field(default_factory=list)

    def add(self, name: str, column: str, rate: float, busy: float | None = None) -> None:
        """Take a measurement."""
        self.rates.setdefault(name, {}).setdefault(column, []).append(float(f"{rate:.4g}"))
        if busy is not None:
            self.busy.setdefault(name, {}).setdefault(column, []).append(round(busy, 3))

    def rate(self, name: str, column: str) -> float | None:
        """The median, or None where nothing was measured."""
        rates = self.rates.get(name, {}).get(column)
        return statistics.median(rates) if rates else None

    def ratio(self, name: str, over: str, column: str = C) -> float | None:
        """How many times as fast one column is as another."""
        ours, theirs = self.rate(name, column), self.rate(name, over)
        return ours / theirs if ours and theirs else None

    def languages(self) -> list[str]:
        """The columns of other languages' drivers."""
        found = {column for cells in self.rates.values() for column in cells}
        return sorted(found - set(workloads.COLUMNS))

    def save(self, path: Path) -> None:
        data = dataclasses.asdict(self)
        data["noise"] = [round(seconds, 5) for seconds in self.noise]
        path.write_text(_json(data) + "\n", encoding="utf-8")


def load(path: Path = RESULTS) -> Results:
    """What was stored."""
    return Results(**json.loads(path.read_text(encoding="utf-8")))


def _json(value: Any, indent: str = "") -> str:
    """JSON with a line for each list, so that a difference between two files can be read."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value)
    inner = indent + " "
    items = (f"{inner}{json.dumps(key)}: {_json(item, inner)}" for key, item in value.items())
    return "{\n" + ",\n".join(items) + f"\n{indent}}}"


def spread(figures: list[float]) -> float:
    """Half of what lies between the least and the greatest, as a share of the median."""
    return (max(figures) - min(figures)) / statistics.median(figures) / 2


def noise(results: Results) -> float:
    """The spread of the loop that is always the same, without the least and the greatest twentieth."""
    cut = len(results.noise) // 20
    return spread(sorted(results.noise)[cut : len(results.noise) - cut])


def short(rate: float) -> str:
    """A rate in three digits."""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if rate >= unit:
            digits = 2 if rate < 10 * unit else 1 if rate < 100 * unit else 0
            return f"{rate / unit:.{digits}f}{letter}"
    return f"{rate:.0f}"


def times(ratio: float | None) -> str:
    """A ratio as text."""
    if ratio is None:
        return "-"
    return f"{ratio:.{0 if ratio >= 100 else 1 if ratio >= 10 else 2}f}x"


def _cell(results: Results, name: str, column: str) -> str:
    rates = results.rates[name].get(column)
    if not rates:
        return "-"
    return short(statistics.median(rates)) + (f" ±{spread(rates):.0%}" if len(rates) > 1 else "")


def reached(results: Results, target: Target) -> float | None:
    """What the cell of a target is as a share of it; None where it was not measured."""
    if target.over is None:
        found = results.rate(target.name, target.column)
    else:
        found = results.ratio(target.name, target.over, target.column)
    return None if found is None else found / target.least


def _mark(results: Results, target: Target) -> str:
    share = reached(results, target)
    if share is None:
        return ""
    if target.over is None:
        wanted = short(target.least)
    else:
        wanted = f"{target.least:g}x"
        if (target.column, target.over) not in ((C, OFFICIAL), (C, MSGSPEC)):
            wanted = f"{target.column}/{target.over} {wanted}"
            wanted += f" ({times(results.ratio(target.name, target.over, target.column))})"
    return f"{'ok' if share >= 1 else 'BELOW'} {wanted}"


def table(results: Results) -> str:
    """Everything: a line for each workload, with ratios and whether its targets are reached."""
    columns = workloads.COLUMNS
    heads = ["", *columns, f"c/{OFFICIAL}", f"c/{MSGSPEC}", "targets"]
    lines: list[list[str]] = []
    for group, title in workloads.TITLES.items():
        works = [work for work in workloads.WORK.values() if work.group == group]
        works = [work for work in works if work.name in results.rates]
        if not works:
            continue
        lines += [[], [title]]
        for work in works:
            line = [work.name, *(_cell(results, work.name, column) for column in columns)]
            line += [times(results.ratio(work.name, over)) for over in (OFFICIAL, MSGSPEC)]
            marks = (_mark(results, target) for target in workloads.TARGETS if target.name == work.name)
            line.append(", ".join(mark for mark in marks if mark))
            lines.append(line)
    text = [_aligned(heads, lines), ""]
    if results.languages():
        text += [_languages(results), ""]
    shares = [(target, reached(results, target)) for target in workloads.TARGETS]
    measured = [(target, share) for target, share in shares if share is not None]
    below = [target.name for target, share in measured if share < 1]
    text.append(f"targets reached: {len(measured) - len(below)} of {len(measured)}")
    if below:
        text.append(f"below: {', '.join(below)}")
    waiting = [
        f"{name} ({statistics.median(shares[C]):.0%})"
        for name, shares in results.busy.items()
        if workloads.WORK[name].group == CLIENT and C in shares and statistics.median(shares[C]) < 0.9
    ]
    if waiting:
        text.append(f"the compiled client was on the processor for less than 90 % of: {', '.join(waiting)}")
    if results.noise:
        text.append(
            f"noise of the machine: the same loop took {statistics.median(results.noise) * 1e3:.1f} ms"
            f" ±{noise(results):.0%}, {len(results.noise)} times, a tenth of which are left out"
        )
    text += ["", workloads.NOTES, "", json.dumps(results.facts)]
    return "\n".join(text)


def _languages(results: Results) -> str:
    """The compiled client beside the drivers of other languages."""
    languages = results.languages()
    lines: list[list[str]] = []
    for work in workloads.CLIENT_WORK:
        if not any(results.rates.get(work.name, {}).get(language) for language in languages):
            continue
        ratios = [ratio for language in languages if (ratio := results.ratio(work.name, language))]
        cells = [_cell(results, work.name, column) for column in (C, *languages)]
        lines.append([work.name, *cells, times(min(ratios))])
    return _aligned(["drivers of other languages", C, *languages, "c/best of them"], lines)


def _aligned(heads: list[str], lines: list[list[str]]) -> str:
    full = [line for line in (heads, *lines) if len(line) > 1]
    widths = [max(len(line[i]) for line in full) for i in range(len(heads))]

    def text(line: list[str]) -> str:
        if len(line) < 2:
            return "".join(line)
        last = len(line) - 1
        return "  ".join(
            cell.ljust(width) if i in (0, last) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()

    return "\n".join(map(text, (heads, *lines)))


def readme_section(results: Results) -> str:
    """What stands in README.md between the two comments."""
    official, pure = "neo4j driver, with Rust", "neo4j driver, pure"
    lines = [
        f"| per second | asyncbolt | asyncbolt, pure | {official} | {pure} | asyncbolt / driver with Rust |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for heading, titles in HEADLINES.items():
        lines.append(f"| **{heading}** | | | | | |")
        for name, title in titles.items():
            rates = [results.rate(name, column) for column in (C, PYTHON, OFFICIAL, OFFICIAL_PURE)]
            cells = ["-" if rate is None else short(rate) for rate in rates]
            lines.append(f"| {title} | {' | '.join(cells)} | **{times(results.ratio(name, OFFICIAL))}** |")
    codec = ", ".join(
        f"{direction} {times(results.ratio(f'{direction} mixed', MSGSPEC))}"
        for direction in ("encode", "decode")
    )
    kinds = ("list", "generator", "async generator")
    served = ", ".join(
        f"{short(rate)} from {'an' if kind[0] == 'a' else 'a'} {kind}"
        for kind in kinds
        if (rate := results.rate(f"server {kind}", C)) is not None
    )
    facts = results.facts
    paragraphs = f"""\
Rows of six mixed columns, the codec alone against msgspec's MessagePack: {codec}. The same rows per second
out of the server toolkit: {served}.

Measured on {facts["date"]}; medians, rounds: {facts["rounds"]}; a fixed loop in between varied by ±{noise(results):.0%}. {facts["processor"]}, {facts["cores"]} cores, {facts["system"]}, {facts["implementation"]} {facts["python"]};
asyncbolt {facts["asyncbolt"]}, neo4j {facts["neo4j"]}, neo4j-rust-ext {facts["neo4j-rust-ext"]}, msgspec {facts["msgspec"]}.
"""  # noqa: E501
    filled = (textwrap.fill(paragraph, 110) for paragraph in paragraphs.split("\n\n"))
    return "\n".join(lines) + "\n\n" + "\n\n".join(filled) + "\n"


def with_section(readme: str, section: str) -> str:
    """README's text with this between the comments."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit("README.md lacks the two comments between which its table of speed stands")
    return before + begin + section + end + after


def write_table(results: Results) -> None:
    """Make the table that the documentation shows."""
    TABLE.write_text(table(results) + "\n", encoding="utf-8")


def write_readme(results: Results) -> None:
    text = README.read_text(encoding="utf-8")
    README.write_text(with_section(text, readme_section(results)), encoding="utf-8")
