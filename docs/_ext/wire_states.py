"""The ``wire-states`` directive: draws the states of a connection from the tables that the code goes by.

For each group of versions there is a diagram, an SVG laid out here (no program like ``dot`` is needed), and
the whole table below it.
"""

from __future__ import annotations

import html
import math
from collections import defaultdict
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

from asyncbolt.protocol import states
from asyncbolt.protocol.states import Answer, State
from asyncbolt.protocol.versions import version_text

# Where a state stands, in steps of the grid. A state that is missing here fails the build.
PLACES = {
    State.CONNECTED: (0, 1),
    State.NEGOTIATION: (0, 0),
    State.AUTHENTICATION: (0, 1),
    State.READY: (1, 1),
    State.STREAMING: (2, 0),
    State.TX_READY: (2, 1),
    State.TX_STREAMING: (3, 1),
    State.FAILED: (1, 2),
    State.INTERRUPTED: (0, 2),
}
STEP_X, STEP_Y = 240, 165
WIDTH, HEIGHT = 132, 36
MARGIN = 90
LINE = 13

STYLE = """
.wire-states { max-width: 100%; height: auto; font: 12px sans-serif; }
.wire-states rect { fill: var(--color-background-secondary, #f4f4f4); stroke: currentColor; }
.wire-states .start { stroke-width: 3; }
.wire-states text { fill: currentColor; text-anchor: middle; }
.wire-states .label { font-size: 10.5px; paint-order: stroke; stroke: var(--color-background-primary, #fff);
  stroke-width: 4px; }
.wire-states path { fill: none; stroke: currentColor; }
.wire-states path.failure { stroke-dasharray: 4 4; opacity: .55; }
.wire-states marker path { fill: currentColor; stroke: none; }
"""
ARROW = """<defs>
<marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
<path d="M 0 0 L 10 5 L 0 10 z"/></marker>
</defs>"""


def edges(rows: states.Table) -> dict[tuple[State, State, str], list[str]]:
    """(from, to, kind) -> labels; kind is ``success`` or ``failure``."""
    found: dict[tuple[State, State, str], list[str]] = defaultdict(list)
    for state, row in rows.items():
        for message, rule in row.items():
            if rule.answer is Answer.INTERRUPT and state is not State.FAILED:
                continue  # from every state alike; said in the text
            if rule.answer not in (Answer.HANDLE, Answer.INTERRUPT) or not rule.polite:
                continue
            targets = {rule.success: "", rule.others: "", rule.more: " (more)"}
            for target, suffix in targets.items():
                if target is not None and target is not State.DEFUNCT:
                    found[state, target, "success"].append(message.name + suffix)
            if rule.failure is State.FAILED and state is not State.FAILED:
                found[state, State.FAILED, "failure"] = []
    return found


def center(state: State) -> tuple[float, float]:
    column, row = PLACES[state]
    return MARGIN + column * STEP_X, MARGIN + row * STEP_Y


def border(x: float, y: float, towards_x: float, towards_y: float) -> tuple[float, float]:
    """Where the line from the middle of a box leaves it."""
    dx, dy = towards_x - x, towards_y - y
    scale = min(
        (WIDTH / 2 + 2) / abs(dx) if dx else math.inf,
        (HEIGHT / 2 + 2) / abs(dy) if dy else math.inf,
    )
    return x + dx * scale, y + dy * scale


def edge(source: State, target: State, kind: str, labels: list[str]) -> str:
    x1, y1 = center(source)
    if source is target:
        top = y1 - HEIGHT / 2
        path = f"M {x1 - 22} {top} C {x1 - 42} {top - 42}, {x1 + 42} {top - 42}, {x1 + 22} {top - 2}"
        middle_x, middle_y = x1, top - 34 - LINE * (len(labels) - 1) / 2
    else:
        x2, y2 = center(target)
        length = math.hypot(x2 - x1, y2 - y1)
        # Bent to the left of its direction, so that there and back are two lines.
        bend = 26
        control_x = (x1 + x2) / 2 + (y2 - y1) / length * bend
        control_y = (y1 + y2) / 2 - (x2 - x1) / length * bend
        start, end = border(x1, y1, control_x, control_y), border(x2, y2, control_x, control_y)
        path = f"M {start[0]:.1f} {start[1]:.1f} Q {control_x:.1f} {control_y:.1f} {end[0]:.1f} {end[1]:.1f}"
        middle_x = (start[0] + end[0]) / 4 + control_x / 2
        middle_y = (start[1] + end[1]) / 4 + control_y / 2
        # The label stands outside the bend.
        middle_y -= math.copysign(LINE * (len(labels) - 1) / 2, x2 - x1 or 1) if y1 == y2 else 0
    parts = [f'<path class="{kind}" d="{path}" marker-end="url(#arrow)"/>']
    first = middle_y - LINE * (len(labels) - 1) / 2 + 4
    for number, label in enumerate(labels):
        y = first + LINE * number
        parts.append(f'<text class="label" x="{middle_x:.1f}" y="{y:.1f}">{html.escape(label)}</text>')
    return "".join(parts)


def svg(start: State, rows: states.Table) -> str:
    shown = list(rows)
    width = max(center(state)[0] for state in shown) + MARGIN
    height = max(center(state)[1] for state in shown) + MARGIN - 20
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
    parts = [
        f'<svg class="wire-states" {size} role="img" aria-label="states" xmlns="http://www.w3.org/2000/svg">',
        f"<style>{STYLE}</style>{ARROW}",
    ]
    found = edges(rows)
    parts += [edge(*key, labels) for key, labels in found.items() if key[2] == "failure"]
    for state in shown:
        x, y = center(state)
        kind = ' class="start"' if state is start else ""
        parts.append(
            f'<rect{kind} x="{x - WIDTH / 2}" y="{y - HEIGHT / 2}" width="{WIDTH}" height="{HEIGHT}" rx="7"/>'
            f'<text x="{x}" y="{y + 4}">{state}</text>'
        )
    parts += [edge(*key, labels) for key, labels in found.items() if key[2] == "success"]
    return "".join([*parts, "</svg>"])


def cells(rows: states.Table) -> list[list[str]]:
    table = []
    for state, row in rows.items():
        for message, rule in row.items():
            behind = f"{rule.success}"
            if rule.more is not None:
                behind += f"; {rule.more} while there is more"
            if rule.others is not None:
                behind += f"; {rule.others} with other streams open"
            if rule.answer in (Answer.CLOSE, Answer.IGNORE):
                behind = f"{rule.success}"
            answer = rule.answer.value + ("" if rule.polite else " (asyncbolt's client never sends it)")
            failure = "" if rule.answer in (Answer.CLOSE, Answer.IGNORE) else f"{rule.failure}"
            table.append([f"{state}", message.name, answer, behind, failure])
    return table


def grid(header: list[str], rows: list[list[str]]) -> nodes.table:
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]

    def line(cells: list[str]) -> nodes.row:
        return nodes.row("", *(nodes.entry("", nodes.paragraph(text=cell)) for cell in cells))

    group += nodes.thead("", line(header))
    group += nodes.tbody("", *map(line, rows))
    return nodes.table("", group)


class WireStates(Directive):
    def run(self) -> list[nodes.Node]:
        result: list[nodes.Node] = []
        for first, last, start, rows in states.TABLES:
            name = version_text(first) if first == last else f"{version_text(first)} to {version_text(last)}"
            section = nodes.section(ids=[nodes.make_id(f"bolt {name}")])
            section += nodes.title(text=f"Bolt {name}")
            section += nodes.raw("", svg(start, rows), format="html")
            header = ["In state", "request", "is answered", "then, after SUCCESS", "after FAILURE"]
            section += grid(header, cells(rows))
            result.append(section)
        return result


def setup(app: Any) -> dict[str, Any]:
    app.add_directive("wire-states", WireStates)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
