#!/usr/bin/env python3
"""Types on a real terminal in an interactive shell, with Tab, and looks at what the command then does.

    tab.py LAB-SCRIPT LAB-DIRECTORY SHELL [ARGUMENT…]

It needs nothing but Python's standard library.
"""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

SECONDS_MAX = 60
READY = "READY-FOR-MORE"


class Shell:
    """An interactive shell of alice's."""

    def __init__(self, lab, directory, argv):
        self.name = os.path.basename(argv[0])
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.environ["TERM"] = "xterm"
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
            os.execv(lab, [lab, "as", directory, "alice", *argv])
        self.pid, self.screen = pid, ""

    def type(self, keys):
        os.write(self.terminal, keys.encode())

    def await_text(self, pattern):
        """Reads until the pattern is on the screen; forgets what stood up to its end."""
        deadline = time.monotonic() + SECONDS_MAX
        while not (found := re.search(pattern, plain(self.screen))):
            if not select.select([self.terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
                sys.exit(f"{self.name}: {pattern!r} never came; on the screen: {plain(self.screen)!r}")
            self.screen += os.read(self.terminal, 65536).decode(errors="replace")
        self.screen = plain(self.screen)[found.end():]
        return found

    def do(self, keys, pattern):
        """Types a line; the pattern has to come before the next prompt."""
        self.type(keys + "\r")
        self.await_text(pattern)
        # The quotes keep the echo of what is typed from being taken for what it prints.
        self.type("echo READY''-FOR-MORE\r")
        self.await_text(f"{READY}\r?\n")


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x08", "", text)


def main():
    lab, directory, *argv = sys.argv[1:]
    shell = Shell(lab, directory, argv)
    if shell.name == "zsh":
        shell.do("autoload -Uz compinit && compinit -D -u; setopt NO_BEEP", "")
    shell.do(f"PS1='> '; source <(ds01 completion {shell.name})", "")
    said = "said by a plain one\r?\n"
    for spelling in ("container logs", "container-logs", "ds01 container logs"):
        # Exactly one container fits: it is written out, with a blank behind it.
        shell.do(f"{spelling} tab-p\t--tail 5", said)
    shell.do("container lo\ttab-p\t", said)
    shell.do("container logs --ti\ttab-p\t", r"\d\d\d\d-\d\d-\d\dT\S+ said by")
    shell.do("ds01 gpu sta\t", "GPU units? free")
    # Two fit: as much as they have in common, then both are shown.
    shell.type("container stop tab-\t\t")
    shell.await_text("tab-one")
    shell.await_text("tab-plain")
    shell.do("\x15", "")
    # A file's name is the shell's own business; another's container is nobody's.
    shell.do("container deploy tab-files --dry-run --cpu-only --image busybox --data /usr/shar\t", "/usr/share")
    shell.do("container stop tab-b\t", r"no container tab-b\b")
    shell.type("exit\r")
    os.waitpid(shell.pid, 0)
    print(f"    {shell.name}: names, commands, flags and files, in every spelling")


main()
