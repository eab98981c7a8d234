"""A command on a terminal of its own, into which somebody types after having read.

It answers for the terminal alone; what is typed, and what must be read, its callers say.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

ROWS, COLUMNS = 40, 120
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[=>]")


class NotSaid(Exception):
    """What was waited for did not come."""


class Terminal:
    """A command on a terminal."""

    def __init__(self, argv, seconds):
        self.deadline = time.monotonic() + seconds
        self.said, self.read = b"", 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.environ["TERM"] = "xterm"
            os.execvp(argv[0], argv)

    def piece(self):
        """Reads on; False at the end."""
        ready, _, _ = select.select([self.fd], [], [], max(0, self.deadline - time.monotonic()))
        if not ready:
            os.kill(self.pid, signal.SIGKILL)
            raise NotSaid(f"not done in time; it said:\n{self.text()}")
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.said += data
        return bool(data)

    def text(self):
        """What was said so far, without colours and the movements of the cursor."""
        words = CONTROL.sub("", self.said.decode(errors="replace"))
        return words.replace("\r\n", "\n").replace("\r", "\n")

    def until(self, words):
        """Waits until the words stand there, behind what was waited for before."""
        while words not in self.text()[self.read:]:
            if not self.piece():
                raise NotSaid(f"it ended, and did not say {words!r}, but:\n{self.text()}")
        self.read = self.text().index(words, self.read) + len(words)

    def type(self, keys):
        """Types."""
        os.write(self.fd, keys.encode())

    def end(self):
        """Waits for the end; the status."""
        while self.piece():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
