"""The `assert` of a case: [path, op, value], looked up in what the Engine has afterwards.

It answers for paths and comparisons. `upstream` is read where it has its effect, in the Engine: what was sent and
has no effect harms nobody. It must never pass over an operation or a root that it does not know.
"""

import json
import re

# What the corpus calls our labels, and what they bear.
OWNER_LABEL = "ds01.user"
# What is sent, and nowhere to be seen afterwards.
UNSEEN = ("upstream.path", "upstream.query", "upstream.headers", "upstream.method")


def faults(attempt):
    found = []
    for path, op, wanted in attempt.case.get("assert", []):
        fault = of_one(attempt, path, op, attempt.world.fill(wanted))
        found += [fault] if fault else []
    return found


def of_one(attempt, path, op, wanted):
    root = re.match(r"\w+", path).group(0)
    if path.startswith(UNSEEN):
        return None
    if root == "response":
        value, accepted = attempt.response.json(), attempt.response.status < 400
    elif root in ("upstream", "inspect"):
        value = attempt.subject()
        accepted = value is not None
    else:
        return f"the assertion {path} begins with nothing that is known here"
    # What was refused, and is not there, has no fields.
    if not accepted:
        return None
    if OWNER_LABEL in path:
        path, wanted = path.replace(OWNER_LABEL, "ds01.owner"), owner(attempt, wanted)
        if root == "response":
            return None  # whose they are is asked of the Engine, for every list: the door shows no such label
    values = look_up(value, parts(path)[1:], root == "upstream")
    try:
        bad = [one for one in values if not holds(one, op, wanted)]
    except KeyError:
        return f"the assertion on {path} has the operation {op!r}, which is not known here"
    return f"{path} is {json.dumps(bad[0])[:200]}, not {op} {wanted!r}" if bad else None


def owner(attempt, wanted):
    people = {"alice": attempt.world.alice, "bob": attempt.world.bob}
    return str(people[wanted].uid) if wanted in people else wanted


def parts(path):
    """`a.b[*]['c.d'][0]` as its steps."""
    return [quoted or index or word for quoted, index, word in re.findall(r"\[['\"]([^'\"]+)['\"]\]|\[(\*|\d+)\]|([^.\[\]]+)", path)]


def look_up(value, steps, sent):
    """The values at a path: several where it has a `[*]`, None where there is nothing."""
    if sent and steps and steps[0] not in ("HostConfig", "NetworkingConfig") and isinstance(value, dict) and "Config" in value:
        value = value["Config"]
    if sent and steps and steps[0] == "NetworkingConfig":
        value, steps = {"EndpointsConfig": value["NetworkSettings"]["Networks"]}, steps[1:]
    found = [value]
    for step in steps:
        after = []
        for one in found:
            if step == "*":
                after += one if isinstance(one, list) else list(one.values()) if isinstance(one, dict) else []
            elif isinstance(one, dict):
                after.append(one.get(step))
            elif isinstance(one, list) and step.isdigit() and int(step) < len(one):
                after.append(one[int(step)])
            else:
                after.append(None)
        found = after
    return found


def holds(value, op, wanted):
    shown = json.dumps(value)
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    same = value == wanted or (number is not None and str(number) == str(wanted))
    return {
        "absent": lambda: value is None, "present": lambda: value is not None, "empty": lambda: not value,
        "==": lambda: same, "!=": lambda: not same,
        # A limit of nothing is no limit.
        "<=": lambda: number is not None and 0 < number <= float(wanted),
        "<": lambda: number is not None and 0 < number < float(wanted),
        ">=": lambda: number is not None and number >= float(wanted),
        ">": lambda: number is not None and number > float(wanted),
        "in": lambda: value in wanted, "not-in": lambda: value not in wanted,
        "contains": lambda: contains(value, shown, wanted), "not-contains": lambda: not contains(value, shown, wanted),
        "matches": lambda: re.search(wanted, value if isinstance(value, str) else shown) is not None,
        "not-matches": lambda: re.search(wanted, value if isinstance(value, str) else shown) is None,
        "subset": lambda: set(value or []) <= set(wanted),
    }[op]()


def contains(value, shown, wanted):
    return str(wanted) in shown or (isinstance(value, list) and wanted in value)
