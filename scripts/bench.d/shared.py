"""The rows on a socket that many share: binds that are staged, lists that are filtered, many at once, events.

Both ways get the same question: on the bare Engine the label that the door gives to a user's containers is the filter.
"""

import contextlib
import json
import os
import statistics
import urllib.parse

from measure import Failed, Row, pairs
from talkers import Talker

PEOPLE = 20
EACH = 25
CLIENTS = 64
LISTS_PER_BATCH = 400
WATCHED_USERS = 10
STREAMS_EACH = 5
COMINGS = 10
OWNER_LABEL = "ds01.owner"
PAUSED = {"Image": "busybox", "Cmd": ["true"]}


class Shared:
    """Rows of a `Bench`, which has `lab`, `count` and `ratio`."""

    def binds(self):
        """create of a container with three bind mounts: what the door adds"""
        row = Row("binds", "added by the door", "ms", 5, judged_unit="ms")
        directories = [f"{self.lab.me.pw_dir}/bench-bind-{number}" for number in range(3)]
        for path in directories:
            os.makedirs(path, exist_ok=True)
            os.chown(path, self.lab.me.pw_uid, self.lab.me.pw_gid)
        mounts = [f"{path}:/mnt/{number}" for number, path in enumerate(directories)]
        order = {"body": {**PAUSED, "HostConfig": {"Binds": mounts}}}
        plain = Row("", "", "ms", 0)
        with contextlib.ExitStack() as stack:
            def talker(order, bare):
                return stack.enter_context(Talker(self.lab, "creator", order, bare=bare))

            door, bare, door_plain, bare_plain = (
                talker(order, False), talker(order, True), talker({"body": PAUSED}, False), talker({"body": PAUSED}, True))
            for through, straight in pairs(self.count, door.work, bare.work):
                row.door.append(through)
                row.bare.append(straight)
                row.judged.append(through - straight)
            plain.judged = [a - b for a, b in pairs(min(self.count, 11), door_plain.work, bare_plain.work)]
        for path in directories:
            os.rmdir(path)
        row.note = f"without a bind the door adds {plain.median:.1f} ms"
        return row

    def ps_500(self):
        """docker ps -a of a user who has 25 of 500 containers, and a list with a label filter on the bare Engine"""
        self.keep_500()
        label = f"label={OWNER_LABEL}={self.lab.me.pw_uid}"

        def one(bare):
            command = ["docker", "ps", "-aq", "--no-trunc"] + (["--filter", label] if bare else [])
            return self.lab.timed(command, bare=bare)

        for bare in (False, True):
            listed = self.lab.run(["docker", "ps", "-aq"] + (["--filter", label] if bare else []), bare=bare).split()
            if len(listed) != EACH:
                raise Failed(f"a list of {len(listed)} containers, not {EACH}")
        return self.ratio("ps-500", 1.1, one)

    def clients_64(self):
        """64 clients at once that ask for the list of their 25 of 500 containers: requests a second"""
        self.keep_500()
        row = Row("clients-64", "rate", "/s", 0.9, at_least=True)
        order = {"connections": CLIENTS, "requests": LISTS_PER_BATCH, "target": "/v1.41/containers/json?all=1"}
        filters = urllib.parse.quote(json.dumps({"label": [f"{OWNER_LABEL}={self.lab.me.pw_uid}"]}))
        straight = {**order, "target": f"{order['target']}&filters={filters}"}
        used = []
        with Talker(self.lab, "lister", order) as door, Talker(self.lab, "lister", straight, bare=True) as bare:
            def through():
                before = self.door_seconds()
                found = door.work()
                used.append((self.door_seconds() - before) / LISTS_PER_BATCH * 1000)
                return found

            for one, other in pairs(self.count, through, bare.work):
                if (one["listed"], other["listed"]) != (EACH, EACH):
                    raise Failed(f"lists of {one['listed']} and {other['listed']} containers, not {EACH}")
                row.door.append(one["rate"])
                row.bare.append(other["rate"])
                row.judged.append(one["rate"] / other["rate"])
        row.note = f"ds01d computes {statistics.median(used):.2f} ms for a request"
        return row

    def events_50(self):
        """50 watchers of ten users, whose containers come and go at once: how much later the 95th of 100 events comes"""
        row = Row("events-50", "added to the 95th percentile", "ms", 25, judged_unit="ms")
        users = self.lab.users[:WATCHED_USERS]
        used = []
        with contextlib.ExitStack() as stack:
            def talkers(bare):
                return [stack.enter_context(Talker(self.lab, "watcher", watch(user, bare), user, bare)) for user in users]

            def late(talkers):
                for talker in talkers:
                    talker.ask()
                late = [event for talker in talkers for event in talker.answer()]
                return statistics.quantiles(late, n=20)[-1]

            door, bare = talkers(False), talkers(True)

            def through():
                before = self.door_seconds()
                found = late(door)
                used.append(self.door_seconds() - before)
                return found

            for one, other in pairs(self.count, through, lambda: late(bare)):
                row.door.append(one)
                row.bare.append(other)
                row.judged.append(one - other)
        events = WATCHED_USERS * COMINGS * 2
        row.note = (
            f"each of the {WATCHED_USERS * STREAMS_EACH} watchers saw every event of its own and no other; ds01d computed "
            f"{statistics.median(used) / events * 1000:.2f} ms for each of {events} events, creates and removals included")
        return row

    # -- what they need ------------------------------------------------------------------------------------------

    def keep_500(self):
        """Twenty users have 25 containers each, which do not run."""
        if self.has_500:
            return
        users = self.lab.users[:PEOPLE]
        with contextlib.ExitStack() as stack:
            order = {"count": EACH, "body": PAUSED}
            talkers = [stack.enter_context(Talker(self.lab, "keeper", order, user)) for user in users]
            for talker in talkers:
                talker.ask()
            if sum(talker.answer() for talker in talkers) != PEOPLE * EACH:
                raise Failed("there are fewer than 500 containers")
        self.has_500 = True

    def door_seconds(self):
        """Processor time of the daemon so far."""
        with open(f"/proc/{self.lab.ds01d()}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watch(user, bare):
    """What a watcher of a user's is told: on the bare Engine a label stands for the owner."""
    target, body = "/v1.41/events", PAUSED
    if bare:
        mark = f"bench.owner={user.pw_uid}"
        target += "?filters=" + urllib.parse.quote(json.dumps({"label": [mark]}))
        body = {**PAUSED, "Labels": dict([mark.split("=")])}
    return {"streams": STREAMS_EACH, "target": target, "count": COMINGS, "body": body}
