"""Draws terminals as one SVG: lines that appear at their time, or a screen as it stands. Where nothing moves, the last picture
is whole.

It answers for the drawing alone: text with SGR colours in, a file out. It must never run anything.
"""

import re
from xml.sax.saxutils import escape

LINE_HEIGHT = 19
# On a screen that is drawn on, lines of boxes meet.
SCREEN_LINE_HEIGHT = 17
FONT_SIZE = 14
CHARACTER_WIDTH = 8.43
MARGIN = 16
BAR = 30
GAP = 14

PEOPLE = {"alice": "#7ee787", "bob": "#79c0ff", "carol": "#ffa657"}
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#d29922", "34": "#79c0ff", "35": "#d2a8ff", "36": "#76e3ea",
           "90": "#8b949e", "37": "#f0f6fc", "97": "#f0f6fc"}
FOREGROUND, BACKGROUND = "#c9d1d9", "#0d1117"
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


class Screen:
    """What stands on a terminal's screen."""

    def __init__(self, title, lines, columns):
        self.title, self.lines, self.columns = title, lines, columns


def spans(line):
    """A line with SGR sequences as pieces of one style, and whether each is drawn in reverse."""
    style, reverse = {}, False
    for position, part in enumerate(SGR.split(OTHER.sub("", line))):
        if position % 2 == 0:
            if part:
                yield part, style, reverse
            continue
        style = dict(style)
        # Of a palette the first sixteen are the colours that have codes of their own.
        part = re.sub(r"38;5;(\d)\b", lambda found: str(30 + int(found[1]) + 52 * (int(found[1]) > 7)), part)
        for code in part.split(";"):
            if code in ("", "0"):
                style, reverse = {}, False
            elif code == "1":
                style["font-weight"] = "bold"
            elif code == "2":
                style["fill"] = "#8b949e"
            elif code in ("22", "39"):
                style.pop("font-weight" if code == "22" else "fill", None)
            elif code in ("7", "27"):
                reverse = code == "7"
            elif code in COLOURS:
                style["fill"] = COLOURS[code]


def span(text, style):
    """A piece of text in a style."""
    attributes = "".join(f' {name}="{value}"' for name, value in style.items())
    return f"<tspan{attributes}>{kept(text)}</tspan>" if style else kept(text)


def styled(line):
    """A line with SGR sequences as text spans."""
    return "".join(span(text, style) for text, style, _ in spans(line))


def drawn(line, top):
    """A line of a screen: every piece in its columns, whatever the font."""
    column, y = 0, top + SCREEN_LINE_HEIGHT - 4
    for text, style, reverse in spans(line):
        x, width = MARGIN + column * CHARACTER_WIDTH, len(text) * CHARACTER_WIDTH
        column += len(text)
        if reverse:
            yield f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{SCREEN_LINE_HEIGHT}" fill="{FOREGROUND}"/>'
            style = {**style, "fill": BACKGROUND}
        # Blanks at its ends are not drawn everywhere: it begins where its first letter stands.
        words = text.strip(" ")
        if words:
            x += (len(text) - len(text.lstrip(" "))) * CHARACTER_WIDTH
            width = len(words) * CHARACTER_WIDTH
            yield f'<text x="{x:.1f}" y="{y}" textLength="{width:.1f}" class="still">{span(words, style)}</text>'


def frame(title, top, width, height):
    """A window without what is in it."""
    yield f'<rect x="0" y="{top}" width="{width:.0f}" height="{height}" rx="8" fill="{BACKGROUND}"/>'
    yield "".join(f'<circle cx="{MARGIN + 4 + 18 * n}" cy="{top + 15}" r="5" fill="{colour}"/>'
                  for n, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")))
    yield f'<text x="{width / 2:.0f}" y="{top + 19}" text-anchor="middle" class="title">{escape(title)}</text>'


def window(pane, top, width):
    """The parts of a pane or a screen, and its height."""
    if isinstance(pane, Screen):
        height = BAR + len(pane.lines) * SCREEN_LINE_HEIGHT + MARGIN
        parts = list(frame(pane.title, top, width, height))
        for number, line in enumerate(pane.lines):
            parts.extend(drawn(line, top + BAR + number * SCREEN_LINE_HEIGHT))
        return parts, height
    height = BAR + len(pane.rows) * LINE_HEIGHT + MARGIN
    parts = list(frame(pane.title, top, width, height))
    for number, (moment, text) in enumerate(pane.rows):
        if text:
            y = top + BAR + (number + 1) * LINE_HEIGHT - 4
            parts.append(f'<text x="{MARGIN}" y="{y}" class="line" style="animation-delay:{moment:.1f}s">{text}</text>')
    return parts, height


def write(out, title, panes, columns):
    """Writes the panes and screens, one below the other."""
    width = 2 * MARGIN + columns * CHARACTER_WIDTH
    parts, top = [], 0
    for pane in panes:
        drawn, height = window(pane, top, width)
        parts.extend(drawn)
        top += height + GAP
    height = top - GAP
    head = f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" \
viewBox="0 0 {width:.0f} {height}" role="img">
<title>{escape(title)}</title>
<style>
text {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace; font-size: {FONT_SIZE}px }}
.line {{ fill: #c9d1d9; animation: appear 0.01s linear both }}
.still {{ fill: {FOREGROUND} }}
.title {{ fill: #8b949e; font-size: 12px }}
@keyframes appear {{ from {{ opacity: 0 }} to {{ opacity: 1 }} }}
@media (prefers-reduced-motion: reduce) {{ .line {{ animation: none }} }}
</style>
"""
    with open(out, "w", encoding="utf-8") as file:
        file.write(head + "\n".join(parts) + "\n</svg>\n")
