#!/usr/bin/python3
"""The command lines in documents, one a line, each once, in the order in which they come.

    extract.py FILE...                 prints them
    extract.py --check TABLE FILE...   prints those that TABLE has not, and then exits with 1

A command line is a line that begins with a command of ours or with `docker`, as it stands between fences, in text that has lost
its fences, or between backticks; and a command's name with a dash in it, wherever it stands in a sentence.
"""
import re
import sys

NAMES = r"(?:container|image|project|gpu|check|devcontainer)"
VERBS = (r"(?:deploy|create|start|run|attach|exit|stop|pause|unpause|retire|remove|list|ls|stats|logs|update|delete|rm|init"
         r"|launch|status|limits)")
OURS = rf"{NAMES}[- ]{VERBS}(?![a-z])"
BEGINS = re.compile(rf"^(?:time )?(?:{OURS}|ds01 [a-z]+|docker [a-z]+)")
SPANS = re.compile(r"`([^`]+)`")
# In a sentence a command is its name, and what stands between its name and the end of the line behind a colon.
IN_PROSE = re.compile(rf"(?<=: ){OURS}(?: <[a-z-]+>)?$|{OURS}|docker (?:build|run|rm)(?![a-z])")


def command_lines(text):
    """What one document has, in order, with repetitions."""
    for line in text.splitlines():
        bare = re.sub(r"^\s*(?:\$ |[•>-] )?", "", line)
        whole = re.split(r"\s+#\s|\s+[←→|(]", bare)[0].strip().rstrip("\\").strip()
        if BEGINS.match(whole):
            yield whole
            continue
        for span in SPANS.findall(line):
            if BEGINS.match(span):
                yield span
        for name in IN_PROSE.findall(SPANS.sub("", line)):
            yield name


def main():
    table, files = None, sys.argv[1:]
    if files[:1] == ["--check"]:
        table, files = files[1], files[2:]
    found = {}
    for file in files:
        with open(file, encoding="utf-8") as document:
            for line in command_lines(document.read()):
                found.setdefault(line, file)
    if table is None:
        print("\n".join(found))
        return
    with open(table, encoding="utf-8") as rows:
        known = {row.split("\t")[0] for row in rows if not row.startswith("#")}
    missing = [f"{file}: {line}" for line, file in found.items() if line not in known]
    print("\n".join(missing), end="\n" if missing else "")
    sys.exit(1 if missing else 0)


main()
