"""The blocks of the manual's pages: what each is, who runs it, and what it shows.

    book.py check ROOT      prints every block of the manual that nothing runs and that does not say why

It answers for the reading alone; manual.py runs what it finds. The convention stands at the end of docs/index.md. It needs
nothing but Python's standard library.
"""

import os
import re
import sys

COMMANDS = ("console", "bash", "sh")
FORMATS = ("yaml", "json")
MACHINE_STORY = "tests/long/debian/story.sh"
PICTURE_BYTES_MAX = 60_000

FENCE = re.compile(r"```(\S*) ?(.*)")
REMARK = re.compile(r"<!-- (run by|not run:) (.+) -->")
PROMPT = re.compile(r"([a-z]*\$|#) (.*)")


class Block:
    """A fenced block: where it stands, what it is said to be, and what is in it."""

    def __init__(self, page, line, heading, fence, remark):
        self.page, self.line, self.heading = page, line, heading
        self.language, words = FENCE.fullmatch(fence).groups()
        self.words = words.split()
        self.remark = REMARK.fullmatch(remark)
        self.lines = []

    def is_(self, *words):
        """Whether its fence says so."""
        return all(word in self.words for word in words)

    def at(self, number=0):
        """A place for people to look at: of the block, or of one of its lines."""
        return f"{self.page}:{self.line + number}"


class Command:
    """One command of a page, who types it, and what the page says of it."""

    def __init__(self, at, person, text):
        self.at, self.person, self.text = at, person, text
        self.shown = []

    def status(self):
        """The status it must end with: 0 unless the page says otherwise."""
        said = re.search(r"\s# exit (\d+)$", self.text.split("\n")[0])
        return int(said.group(1)) if said else 0


def blocks(page):
    """The blocks of a page."""
    found, inside, heading, before = [], None, "", ""
    with open(page, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            if inside is None and line.startswith("```"):
                inside = Block(page, number, heading, line, before)
                found.append(inside)
            elif inside is not None and line == "```":
                inside = None
            elif inside is not None:
                inside.lines.append(line)
            elif line.startswith("#"):
                heading = line.lstrip("#").strip()
            before = line
    if inside is not None:
        sys.exit(f"{inside.at()}: the block has no end")
    return found


def commands(block, you):
    """The commands of a block. A `#` is root's prompt where the fence says `root`; elsewhere it may begin an answer."""
    found = []
    for number, line in enumerate(block.lines, 1):
        prompt = PROMPT.fullmatch(line)
        if prompt and (prompt.group(1) != "#" or block.is_("root")):
            who = prompt.group(1)
            person = "root" if who == "#" else who[:-1] or you
            found.append(Command(block.at(number), person, prompt.group(2)))
        elif line.startswith("> ") or line == ">":
            found[-1].text += "\n" + line[2:]
        elif line.strip() and found:
            found[-1].shown.append(line)
        elif line.strip():
            sys.exit(f"{block.at(number)}: output before the first command")
    return found


def manual(root):
    """The pages whose commands must hold: the README and the manual."""
    yield os.path.join(root, "README.md")
    for folder, _, names in sorted(os.walk(os.path.join(root, "docs"))):
        yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(".md"))


def unrun(block, root, story):
    """Why a block is not held to what it says; None where it is, or says why it is not."""
    page = os.path.relpath(block.page, root)
    if block.language == "text":
        typed = next((line for line in block.lines if PROMPT.match(line)), None)
        return typed and f"a command in a block of text: {typed}"
    if block.language not in COMMANDS + FORMATS:
        return f"not one of {', '.join(COMMANDS + FORMATS)}, text: {block.language!r}"
    if block.is_("machine"):
        named = f"{os.path.basename(page)} '{block.heading}'"
        return None if named in story else f"{MACHINE_STORY} does not play {named}"
    if block.is_("run") or block.language == "yaml":
        return None
    if block.remark is None:
        return "nothing runs it: `run`, `machine`, or the line before says <!-- run by FILE --> or <!-- not run: WHY -->"
    verb, what = block.remark.groups()
    if verb == "run by" and page not in text_of(os.path.join(root, what)):
        return f"{what} does not speak of {page}"
    return None


def text_of(path):
    """What stands in a file; nothing where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def check(root):
    """The offences, one a line."""
    story, shown = text_of(os.path.join(root, MACHINE_STORY)), ""
    for page in manual(root):
        shown += text_of(page)
        for block in blocks(page):
            why = unrun(block, root, story)
            if why:
                yield f"{os.path.relpath(block.at(), root)}: {why}"
    pictures = os.path.join(root, "docs/images")
    for name in sorted(os.listdir(pictures)):
        if f"images/{name})" not in shown:
            yield f"docs/images/{name}: no page shows it"
        if os.path.getsize(os.path.join(pictures, name)) > PICTURE_BYTES_MAX:
            yield f"docs/images/{name}: more than {PICTURE_BYTES_MAX} bytes"


if __name__ == "__main__":
    for offence in check(sys.argv[2]):
        print(offence)
