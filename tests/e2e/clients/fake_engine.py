#!/usr/bin/python3
"""An Engine that misbehaves, in the place of the real one's socket.

    fake_engine.py SOCKET MODE

Modes: garbage (no HTTP), hangup (closes at once), silent (never answers), half (a reply that breaks off),
nonsense (JSON of another shape), text (no JSON), large (headers without end).
"""
import os
import socket
import sys
import threading

REPLIES = {
    "garbage": b"\x00\xff\xfe this is no HTTP \r\n\r\n\r\n",
    "hangup": b"",
    "half": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n[{\"Id\":",
    "nonsense": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"surprise\": [7]}",
    "text": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<html>hello\n",
    "large": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(4000)) + b"\r\n",
}


def serve(connection, mode):
    try:
        while connection.recv(65536):
            if mode == "silent":
                continue
            connection.sendall(REPLIES[mode])
            if mode not in ("nonsense", "text"):
                break
    except OSError:
        pass
    finally:
        connection.close()


path, mode = sys.argv[1:]
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o600)
listener.listen(64)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=serve, args=(accepted, mode), daemon=True).start()
