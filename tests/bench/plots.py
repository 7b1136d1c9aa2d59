"""Draws a run of the suite as SVG, from its JSON alone.

usage: plots.py BENCH.JSON DIRECTORY
"""

import json
import math
import sys
from html import escape
from pathlib import Path

WIDTH = 640
LEFT, RIGHT, TOP = 170, 90, 44
ROW = 26
PLOT_HEIGHT = 220
COLOURS = ("#2563eb", "#d97706", "#6b7280", "#059669", "#9333ea")
STYLE = "font-family='system-ui, sans-serif' font-size='12' fill='#374151'"


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def text(x, y, words, anchor="start", extra=""):
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' {extra}>{escape(words)}</text>"


def svg(height, title, parts):
    head = (f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' "
            f"viewBox='0 0 {WIDTH} {height}' {STYLE}>")
    ground = f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>"
    return "\n".join([head, ground, text(12, 22, title, extra="font-weight='600'"), *parts, "</svg>", ""])


def bars(experiment):
    """A bar for each series and column: the median, and a line from the least to the most."""
    groups = {}
    for name, columns in experiment["series"].items():
        for column, figures in columns.items():
            groups.setdefault(column, []).append((name, figures))
    parts, y = [], TOP
    for column, rows in groups.items():
        scale = (WIDTH - LEFT - RIGHT) / max(max(figures["most"] for _, figures in rows), 1e-9)
        parts.append(text(12, y + 12, column, extra="font-style='italic'"))
        y += 20
        for index, (name, figures) in enumerate(rows):
            colour = COLOURS[index % len(COLOURS)]
            width = figures["median"] * scale
            parts += [
                text(LEFT - 8, y + 14, name, "end"),
                f"<rect x='{LEFT}' y='{y + 3}' width='{width:.1f}' height='15' fill='{colour}'/>",
                f"<path d='M{LEFT + figures['least'] * scale:.1f} {y + 10.5}"
                f"H{LEFT + figures['most'] * scale:.1f}' stroke='#111827'/>",
                text(LEFT + figures["most"] * scale + 6, y + 14, number(figures["median"])),
            ]
            y += ROW
        y += 6
    return svg(y + 6, experiment["title"], parts)


def lines(experiment):
    """The growing series over x, both logarithmic."""
    series = experiment["growth"]
    xs = sorted({point["x"] for points in series.values() for point in points})
    values = [point[key] for points in series.values() for point in points for key in ("least", "most")]
    low = math.floor(math.log10(max(min(values), 1e-9)))
    high = max(math.ceil(math.log10(max(values))), low + 1)
    width = WIDTH - LEFT - RIGHT

    def at_x(x):
        return LEFT + width * xs.index(x) / max(len(xs) - 1, 1)

    def at_y(value):
        return TOP + PLOT_HEIGHT * (1 - (math.log10(max(value, 1e-9)) - low) / (high - low))

    parts = []
    for power in range(low, high + 1):
        y = at_y(10.0**power)
        parts += [f"<path d='M{LEFT} {y:.1f}H{LEFT + width}' stroke='#e5e7eb'/>",
                  text(LEFT - 8, y + 4, number(10.0**power), "end")]
    for x in xs:
        parts.append(text(at_x(x), TOP + PLOT_HEIGHT + 18, f"{x:,}", "middle"))
    parts.append(text(LEFT + width / 2, TOP + PLOT_HEIGHT + 36, experiment["x"], "middle"))
    y_legend = TOP + PLOT_HEIGHT + 58
    for index, (name, points) in enumerate(series.items()):
        colour = COLOURS[index % len(COLOURS)]
        path = " ".join(f"{at_x(p['x']):.1f},{at_y(p['median']):.1f}" for p in points)
        parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'/>")
        for p in points:
            parts.append(f"<path d='M{at_x(p['x']):.1f} {at_y(p['least']):.1f}"
                         f"V{at_y(p['most']):.1f}' stroke='{colour}'/>")
        parts += [f"<rect x='{LEFT}' y='{y_legend - 9}' width='10' height='10' fill='{colour}'/>",
                  text(LEFT + 16, y_legend, name)]
        y_legend += 18
    return svg(y_legend, experiment["title"], parts)


def draw(document, directory):
    for experiment in document["experiments"]:
        drawing = lines(experiment) if experiment["growth"] else bars(experiment)
        Path(directory, experiment["experiment"] + ".svg").write_text(drawing, encoding="utf-8")


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2])
