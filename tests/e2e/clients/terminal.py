#!/usr/bin/python3
"""Runs a command on a terminal of its own, 24 rows of 80, and types into it as a person would: after having read.

    terminal.py [--seconds N] [EXPECTED TYPED]... -- COMMAND...

EXPECTED is a piece of text to wait for on the screen; then TYPED is typed (with \\n, \\x10 and so on). Prints what
was on the screen without carriage returns and control sequences; exits with the command's status, 124 at the deadline.
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


def main():
    args = sys.argv[1:]
    seconds = 30.0
    if args[0] == "--seconds":
        seconds, args = float(args[1]), args[2:]
    split = args.index("--")
    talk, command = args[:split], args[split + 1:]
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.execvp(command[0], command)
    screen, unread, deadline = b"", b"", time.monotonic() + seconds
    while time.monotonic() < deadline:
        if talk and talk[0].encode() in unread:
            os.write(terminal, talk[1].encode().decode("unicode_escape").encode())
            unread, talk = b"", talk[2:]
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:
            data = b""
        if not data:
            break
        screen += data
        unread += data
    else:
        os.kill(pid, 9)
    status = os.waitpid(pid, 0)[1]
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", screen).replace(b"\r", b"")
    sys.stdout.buffer.write(text)
    sys.stdout.flush()
    sys.exit(124 if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


main()
