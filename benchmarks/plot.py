"""The picture of README and documentation: rows a second on a scale of powers of ten. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import report
from workloads import OFFICIAL, OFFICIAL_PURE, PYTHON, C

SVG = report.ROOT / "docs" / "_static" / "speed.svg"
# Strong enough on white and on black; the text's grey too.
COLOURS = {C: "#1a9e77", PYTHON: "#7fb8a4", OFFICIAL: "#d9722e", OFFICIAL_PURE: "#c9a27f"}
LABELS = {
    C: "asyncbolt",
    PYTHON: "asyncbolt, pure Python",
    OFFICIAL: "neo4j driver, with Rust",
    OFFICIAL_PURE: "neo4j driver, pure Python",
}
GREY = "#808080"
NAMES = {
    "execute_query mixed default": "driver: execute_query",
    "records mixed default": "async for record",
    "to_df mixed default": "to_df",
    "execute_write unwind": "UNWIND, execute_write",
    "execute_query tiny": "tiny execute_query",
    "fetch int": "fetch one int",
    "fetch strings": "three strings",
    "fetch mixed": "six mixed columns",
    "fetch wide": "30 ints",
    "fetch node": "a node",
    "fetch floats": "1000 floats",
    "batches mixed": "batches, six mixed",
    "unwind": "UNWIND $rows",
    "tiny one by one": "tiny, one by one",
    "tiny gathered": "tiny, gathered",
}
SETTINGS = {
    # Outlines, not letters: the same everywhere. The salt makes names inside the file the same each time.
    "svg.fonttype": "path",
    "svg.hashsalt": "asyncbolt",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": GREY,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
}


def write(results: report.Results, path: Path = SVG) -> None:
    """Draw; the same results give the same file."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise SystemExit("the plot needs matplotlib: pip install 'asyncbolt[bench]'") from None
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **SETTINGS}):
        figure = Figure(figsize=(8, 10.8))
        _draw(figure.subplots(), results)
        path.parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"metadata": {"Date": None}} if path.suffix == ".svg" else {"dpi": 100}
        figure.savefig(path, transparent=True, bbox_inches="tight", **options)


def _tick(rate: float, _position: int) -> str:
    return f"{rate / 1e6:g}M" if rate >= 1e6 else f"{rate / 1e3:g}k" if rate >= 1e3 else f"{rate:g}"


def _draw(axes: Any, results: report.Results) -> None:
    names = [name for name in NAMES if name in results.rates]
    height = 0.84 / len(LABELS)
    for i, (column, label) in enumerate(LABELS.items()):
        rates = [results.rate(name, column) or 0 for name in names]
        middles = [place + (i - (len(LABELS) - 1) / 2) * height for place in range(len(names))]
        axes.barh(middles, rates, height * 0.94, color=COLOURS[column], label=label)
        for middle, rate, name in zip(middles, rates, names, strict=True):
            if rate:
                text = report.short(rate)
                if column == C:
                    text += f"   {report.times(results.ratio(name, OFFICIAL))}"
                bold = {"fontweight": "bold"} if column == C else {}
                axes.text(rate * 1.06, middle, text, va="center", fontsize=7, **bold)
    axes.set_xscale("log")
    found = [rate for name in names for column in LABELS for rate in [results.rate(name, column)] if rate]
    axes.set_xlim(min(found, default=1) / 2, max(found, default=1) * 5)
    axes.xaxis.set_major_formatter(_tick)
    axes.set_yticks(range(len(names)), [NAMES[name] for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("rows or statements a second, more is better; times the driver with Rust")
    axes.grid(axis="x", color=GREY, alpha=0.25)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", which="minor", length=0)
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.42, 1.0), ncols=len(LABELS), frameon=False, fontsize=8,
        columnspacing=1.2, handlelength=1.2,
    )  # fmt: skip
