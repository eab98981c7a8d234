#!/usr/bin/python3
"""A relay before the real Engine that loses the answers to some requests: they are carried out, and nobody hears of it.

    losing_engine.py SOCKET ENGINE WORD GATE

Requests whose first line has WORD in it wait for as long as the file GATE is there, and their connections end where
the answer should have come. Everything else passes as it is.
"""
import os
import socket
import sys
import threading
import time


def hang_up(*ends):
    for end in ends:
        try:
            # Closing alone would wait for the thread that reads from it.
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        hang_up(source, target)


def relay(client, engine, word, gate):
    first = client.recv(65536)
    upstream = socket.socket(socket.AF_UNIX)
    upstream.connect(engine)
    if word.encode() not in first.split(b"\r\n", 1)[0]:
        upstream.sendall(first)
        threading.Thread(target=copy, args=(upstream, client), daemon=True).start()
        copy(client, upstream)
        return
    while os.path.exists(gate):
        time.sleep(0.02)
    upstream.sendall(first)
    # Whatever belongs to the request follows; its answer ends here.
    threading.Thread(target=copy, args=(client, upstream), daemon=True).start()
    upstream.recv(65536)
    hang_up(client, upstream)


path, engine, word, gate = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o600)
listener.listen(64)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=relay, args=(accepted, engine, word, gate), daemon=True).start()
