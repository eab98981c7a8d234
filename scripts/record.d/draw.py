"""Draws terminals as one SVG: every line appears at its time; where nothing moves, the last picture is whole.

It answers for the drawing alone: text with SGR colours in, a file out. It must never run anything.
"""

import re
from xml.sax.saxutils import escape

LINE_HEIGHT = 19
FONT_SIZE = 14
CHARACTER_WIDTH = 8.43
MARGIN = 16
BAR = 30
GAP = 14

PEOPLE = {"alice": "#7ee787", "bob": "#79c0ff", "carol": "#ffa657"}
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#d29922", "34": "#79c0ff", "35": "#d2a8ff", "36": "#76e3ea",
           "90": "#8b949e"}
SGR = re.compile(r"\x1b\[([0-9;]*)m")
OTHER = re.compile(r"\x1b\[[0-9;?]*[A-Za-ln-z]|\x1b[=>]|\r")


def kept(text):
    """Text whose blanks every renderer keeps, escaped."""
    return escape(text).replace(" ", "\u00a0")


def plain(text):
    """A line without its colours."""
    return SGR.sub("", OTHER.sub("", text))


class Pane:
    """One terminal window, and when each of its lines appears, in seconds."""

    def __init__(self, title):
        self.title, self.rows, self.now = title, [], 0.4

    def at(self, moment):
        """What follows appears no earlier."""
        self.now = max(self.now, moment)

    def type(self, person, command):
        """A prompt and what is typed at it."""
        if self.rows:
            self.rows.append((self.now, ""))
        prompt = f'<tspan fill="{PEOPLE[person]}" font-weight="bold">{person}$</tspan>\u00a0'
        self.rows.append((self.now, prompt + f'<tspan fill="#f0f6fc">{kept(command)}</tspan>'))
        self.now += 0.9

    def say(self, lines, pause):
        """What is answered, and how long it is left to be read."""
        self.rows.extend((self.now, styled(line)) for line in lines)
        self.now += pause


def styled(line):
    """A line with SGR sequences as text spans."""
    out, style = [], {}
    for position, part in enumerate(SGR.split(OTHER.sub("", line))):
        if position % 2 == 0:
            if part:
                attributes = "".join(f' {name}="{value}"' for name, value in style.items())
                out.append(f"<tspan{attributes}>{kept(part)}</tspan>" if style else kept(part))
            continue
        for code in part.split(";"):
            if code in ("", "0"):
                style = {}
            elif code == "1":
                style["font-weight"] = "bold"
            elif code == "2":
                style["fill"] = "#8b949e"
            elif code in COLOURS:
                style["fill"] = COLOURS[code]
    return "".join(out)


def window(pane, top, width):
    """The parts of a pane, and its height."""
    height = BAR + len(pane.rows) * LINE_HEIGHT + MARGIN
    dots = "".join(f'<circle cx="{MARGIN + 4 + 18 * n}" cy="{top + 15}" r="5" fill="{colour}"/>'
                   for n, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")))
    parts = [f'<rect x="0" y="{top}" width="{width:.0f}" height="{height}" rx="8" fill="#0d1117"/>', dots,
             f'<text x="{width / 2:.0f}" y="{top + 19}" text-anchor="middle" class="title">{escape(pane.title)}</text>']
    for number, (moment, text) in enumerate(pane.rows):
        if text:
            y = top + BAR + (number + 1) * LINE_HEIGHT - 4
            parts.append(f'<text x="{MARGIN}" y="{y}" class="line" style="animation-delay:{moment:.1f}s">{text}</text>')
    return parts, height


def write(out, panes, columns):
    """Writes the panes, one below the other."""
    width = 2 * MARGIN + columns * CHARACTER_WIDTH
    parts, top = [], 0
    for pane in panes:
        drawn, height = window(pane, top, width)
        parts.extend(drawn)
        top += height + GAP
    height = top - GAP
    head = f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" \
viewBox="0 0 {width:.0f} {height}" role="img">
<title>Two people hold both GPU units, a third waits in line and starts when one is given back</title>
<style>
text {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace; font-size: {FONT_SIZE}px }}
.line {{ fill: #c9d1d9; animation: appear 0.01s linear both }}
.title {{ fill: #8b949e; font-size: 12px }}
@keyframes appear {{ from {{ opacity: 0 }} to {{ opacity: 1 }} }}
@media (prefers-reduced-motion: reduce) {{ .line {{ animation: none }} }}
</style>
"""
    with open(out, "w", encoding="utf-8") as file:
        file.write(head + "\n".join(parts) + "\n</svg>\n")
