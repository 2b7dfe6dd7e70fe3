"""Charts as plain SVG: bars with the range of what was measured, and lines over time.

Nothing is needed but this file; what it draws is readable as text, and the same figures give the same bytes.
"""

import math
from xml.sax.saxutils import escape

OURS, THEIRS, LIMIT = "#0b5d8a", "#a7adb5", "#d9b44a"
LINES = ["#0b5d8a", "#c8553d", "#4f8a3c", "#7a5195"]
INK, FAINT = "#1c1f24", "#dde1e6"
WIDTH, MARGIN = 960, 24


class Svg:
    def __init__(self, height):
        self.height, self.parts = height, []

    def text(self, x, y, what, size=13, anchor="start", weight="normal", colour=INK):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
                          f'font-weight="{weight}" fill="{colour}">{escape(what)}</text>')

    def line(self, x1, y1, x2, y2, colour=FAINT, width=1):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>')

    def rect(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>')

    def polyline(self, points, colour):
        where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"/>')

    def save(self, path):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.height:.0f}" '
                f'viewBox="0 0 {WIDTH} {self.height:.0f}" font-family="DejaVu Sans, Verdana, sans-serif">')
        back = f'<rect width="{WIDTH}" height="{self.height:.0f}" fill="#ffffff"/>'
        path.write_text("\n".join([head, back, *self.parts, "</svg>"]) + "\n", encoding="utf-8")


def steps(low, high, wanted=6):
    """Round numbers from at most low to at least high."""
    if high <= low:
        high = low + 1
    step = 10.0 ** math.floor(math.log10((high - low) / wanted))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= wanted)
    first = math.floor(low / step)
    return [i * step for i in range(first, math.ceil(high / step) + 1)]


def number(value):
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def sheet(title, notes, height):
    """A sheet with room for height below its head, and where that begins."""
    y = MARGIN + 20 + 18 * len(notes)
    svg = Svg(y + 14 + height)
    svg.text(MARGIN, MARGIN + 14, title, 19, weight="bold")
    for i, note in enumerate(notes, 1):
        svg.text(MARGIN, MARGIN + 20 + 18 * i, note, 12, colour="#555b63")
    return svg, y


def bars(path, title, notes, panels):
    """panels: title, unit, better ("more" or "less"), rows of (name, median, least, most, kind); kind: ours, theirs, limit."""
    label, row, gap = 250, 24, 58
    svg, y = sheet(title, notes, sum(gap + row * len(panel["rows"]) + 26 for panel in panels))
    for panel in panels:
        y = draw_bars(svg, y + gap - 14, panel, label, row)
    svg.save(path)


def draw_bars(svg, y, panel, label, row):
    rows = panel["rows"]
    ticks = steps(0, max(most for _, _, _, most, _ in rows))
    left, right = MARGIN + label, WIDTH - MARGIN - 90
    bottom = y + row * len(rows) + 6

    def at(value):
        return left + (right - left) * value / ticks[-1]

    svg.text(MARGIN, y - 12, f"{panel['title']} ({panel['unit']}; {panel['better']} is better)", 14, weight="bold")
    for tick in ticks:
        svg.line(at(tick), y, at(tick), bottom)
        svg.text(at(tick), bottom + 16, number(tick), 11, "middle", colour="#555b63")
    for i, (name, value, least, most, kind) in enumerate(rows):
        top, middle = y + 3 + row * i, y + 3 + row * i + (row - 6) / 2
        svg.text(left - 8, middle + 5, name, 13, "end", "bold" if kind == "ours" else "normal")
        svg.rect(left, top, at(value) - left, row - 6, {"ours": OURS, "theirs": THEIRS, "limit": LIMIT}[kind])
        if most > least:
            svg.line(at(least), middle, at(most), middle, INK)
            svg.line(at(least), middle - 4, at(least), middle + 4, INK)
            svg.line(at(most), middle - 4, at(most), middle + 4, INK)
        svg.text(at(max(value, most)) + 8, middle + 5, number(value), 12)
    svg.line(left, y, left, bottom, INK)
    return bottom + 26


def curves(path, title, notes, x_name, panels):
    """panels: title, unit, from_zero, curves of (name, [(x, y)…])."""
    height, gap = 210, 64
    svg, y = sheet(title, notes, (height + gap) * len(panels) + 26)
    for panel in panels:
        y += gap - 14
        draw_curves(svg, y, height, panel)
        y += height + 14
    svg.text((WIDTH + MARGIN + 60) / 2, y + 22, x_name, 12, "middle", colour="#555b63")
    svg.save(path)


def draw_curves(svg, y, height, panel):
    points = [point for _, curve in panel["curves"] for point in curve]
    low = 0 if panel["from_zero"] else min(value for _, value in points)
    across, up = steps(0, max(x for x, _ in points), 12), steps(low, max(value for _, value in points), 5)
    left, right, bottom = MARGIN + 60, WIDTH - MARGIN - 10, y + height

    def at(x, value):
        return (left + (right - left) * x / across[-1],
                bottom - height * (value - up[0]) / (up[-1] - up[0]))

    svg.text(MARGIN, y - 12, f"{panel['title']} ({panel['unit']})", 14, weight="bold")
    for tick in up:
        svg.line(left, at(0, tick)[1], right, at(0, tick)[1])
        svg.text(left - 8, at(0, tick)[1] + 4, number(tick), 11, "end", colour="#555b63")
    for tick in across:
        svg.line(at(tick, 0)[0], y, at(tick, 0)[0], bottom)
        svg.text(at(tick, 0)[0], bottom + 16, number(tick), 11, "middle", colour="#555b63")
    x = right
    for i, (name, curve) in reversed(list(enumerate(panel["curves"]))):
        svg.polyline([at(*point) for point in curve], LINES[i % len(LINES)])
        svg.text(x, y - 12, name, 12, "end", colour=LINES[i % len(LINES)])
        x -= 8 * len(name) + 24
