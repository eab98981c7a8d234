#!/usr/bin/python3
"""What people do with docker-py, as one story that prints what they would see; as cli.sh.

    sdk.py
"""
import io
import socket
import sys
import tarfile
import threading
import time
import traceback

import docker
from docker.types import Healthcheck, Mount
from docker.utils.socket import consume_socket_output, demux_adaptor, frames_iter

client = docker.from_env(timeout=60)
stories = []


def step(function):
    stories.append(function)
    return function


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("never true")
        time.sleep(0.02)


def archive(**files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def raw(sock):
    """The socket itself: what docker-py hands out is wrapped in different ways."""
    return getattr(sock, "_sock", sock)


def talk(sock, tty, *lines):
    """Sends lines, closes the sending half (a terminal has none), reads to the end."""
    for line in lines:
        raw(sock).sendall(line)
    if not tty:
        raw(sock).shutdown(socket.SHUT_WR)
    out, err = consume_socket_output((demux_adaptor(*frame) for frame in frames_iter(sock, tty)), demux=True)
    sock.close()
    return out, err


@step
def ping():
    print(client.ping(), client.version()["Os"], client.info()["OSType"])


@step
def run():
    print(client.containers.run("busybox", ["echo", "hello"], remove=True))
    print(client.containers.run("busybox", "sh -c 'echo err >&2'", remove=True, stdout=False, stderr=True))


@step
def run_fails():
    client.containers.run("busybox", "sh -c 'echo why >&2; exit 3'", remove=True)


@step
def run_not_found():
    client.containers.run("busybox", "no-such-program", remove=True)


@step
def get_absent():
    client.containers.get("nothing-of-that-name")


@step
def detached():
    box = client.containers.run(
        "busybox", "sleep 1000", detach=True, name="box", environment={"A": "1"}, labels={"l": "1"}, mem_limit="64m",
        tmpfs={"/t": ""}, working_dir="/tmp", hostname="ship", healthcheck=Healthcheck(test=["CMD", "true"], interval=10**9))
    print(box.name, box.status, box.image.tags, box.labels, box.attrs["HostConfig"]["Memory"])
    until(lambda: client.containers.get("box").attrs["State"]["Health"]["Status"] == "healthy")
    print([c.name for c in client.containers.list(filters={"label": "l=1"})])
    box.rename("chest")
    print(client.containers.get("chest").name)
    box.rename("box")
    print(box.top(ps_args="-eo pid,comm")["Titles"], len(box.top()["Processes"]))
    print("current" in box.stats(stream=False)["pids_stats"])


@step
def execs():
    box = client.containers.get("box")
    print(box.exec_run("sh -c 'echo out; echo err >&2; exit 7'", demux=True))
    print(box.exec_run("no-such-program")[0])
    print(box.exec_run(["sh", "-c", "echo $A $B; pwd; id -u"], environment={"B": "2"}, workdir="/", user="1000")[1])
    print(b"".join(box.exec_run("sh -c 'for i in 1 2 3; do echo $i; done'", stream=True)[1]))
    box.exec_run("touch /tmp/late", detach=True)
    until(lambda: box.exec_run("test -e /tmp/late")[0] == 0)


@step
def exec_sockets():
    for tty in (False, True):
        exec_id = client.api.exec_create("box", "sh -c 'read a; read b; echo $b$a; exit 4'", stdin=True, tty=tty)["Id"]
        sock = client.api.exec_start(exec_id, tty=tty, socket=True)
        print(talk(sock, tty, b"one\n", b"two\n"), client.api.exec_inspect(exec_id)["ExitCode"])


@step
def exec_large():
    exec_id = client.api.exec_create("box", "cat", stdin=True)["Id"]
    sock = client.api.exec_start(exec_id, socket=True)
    sent = bytes(range(256)) * 40000
    threading.Thread(target=lambda: (raw(sock).sendall(sent), raw(sock).shutdown(socket.SHUT_WR))).start()
    got = b"".join(data for _, data in frames_iter(sock, False))
    sock.close()
    print(len(got), got == sent, client.api.exec_inspect(exec_id)["ExitCode"])


@step
def archives():
    box = client.containers.get("box")
    print(box.put_archive("/tmp", archive(a=b"one", b=b"x" * 3_000_000)))
    print(box.exec_run("sh -c 'cat /tmp/a; wc -c </tmp/b'")[1])
    stream, stat = box.get_archive("/tmp/b")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        print(tar.getnames(), tar.extractfile("b").read() == b"x" * 3_000_000)
    print(stat["name"], stat["size"])
    print(sorted(c["Path"] for c in box.diff()))
    print(len(b"".join(box.export())) > 100_000)
    box.get_archive("/no/such")


@step
def logs():
    talker = client.containers.run("busybox", "sh -c 'for i in 1 2 3; do echo $i; sleep 0.1; done; exit 2'", detach=True)
    print(b"".join(talker.logs(stream=True, follow=True)))
    print(talker.wait()["StatusCode"], talker.logs(tail=1))
    talker.remove()


@step
def attach():
    ticker = client.containers.create("busybox", "sh -c 'for i in 1 2 3; do echo $i; sleep 0.1; done'")
    stream = ticker.attach(stream=True, logs=True)
    ticker.start()
    print(b"".join(stream))
    ticker.remove()


@step
def attach_socket():
    for tty in (False, True):
        reader = client.containers.create("busybox", "sh -c 'read a; echo got $a; exit 5'", stdin_open=True, tty=tty)
        sock = reader.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        reader.start()
        print(talk(sock, tty, b"word\n"), reader.wait()["StatusCode"])
        reader.remove()


@step
def events():
    seen, stream = [], client.events(decode=True, filters={"label": "watched=sdk"})
    thread = threading.Thread(target=lambda: seen.extend(event["Action"] for event in stream))
    thread.start()
    until(lambda: (client.containers.run("busybox", "true", labels={"watched": "sdk"}, remove=True), "destroy" in seen)[1])
    stream.close()
    thread.join()
    print(sorted(set(seen)))


@step
def lifecycle():
    box = client.containers.get("box")
    for act in (box.pause, box.unpause, lambda: box.restart(timeout=0), lambda: box.kill("KILL")):
        act()
        box.reload()
        print(box.status)
    box.start()
    box.stop(timeout=0)
    print(box.wait()["StatusCode"])
    box.update(restart_policy={"Name": "on-failure", "MaximumRetryCount": 2})
    box.reload()
    print(box.attrs["HostConfig"]["RestartPolicy"])
    box.remove(v=True)
    box.remove()


@step
def volumes_and_networks():
    volume = client.volumes.create("store", labels={"v": "1"})
    mount = Mount("/s", "store")
    client.containers.run("busybox", "sh -c 'echo kept >/s/f'", mounts=[mount], remove=True)
    print(client.containers.run("busybox", "cat /s/f", volumes={"store": {"bind": "/s", "mode": "ro"}}, remove=True))
    print([v.name for v in client.volumes.list()], volume.attrs["Driver"])
    volume.remove()
    network = client.networks.create("ring", driver="bridge", labels={"n": "1"})
    server = client.containers.run(
        "busybox", "sh -c 'mkdir /w; echo page >/w/index.html; exec httpd -f -h /w'", name="server", network="ring", detach=True)
    until(lambda: server.exec_run("wget -qO- http://127.0.0.1/")[0] == 0)
    print(client.containers.run("busybox", "wget -qO- http://server/", network="ring", remove=True))
    client.networks.get("bridge").connect(server)
    network.reload()
    print([c.name for c in network.containers])
    network.disconnect(server)
    server.remove(force=True)
    network.remove()
    client.networks.get("ring")


@step
def images():
    image, log = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN echo built >/b\nCMD cat /b\n"), tag="my/sdk", rm=True)
    print(image.tags, [line["stream"].split(" :")[0].strip() for line in log if "Step" in line.get("stream", "")])
    print(client.containers.run("my/sdk", remove=True))
    image.tag("my/other", "v2")
    print(sorted(i for i in client.images.get("my/sdk").tags))
    print(len(b"".join(image.save())) > 100_000, client.images.get("my/sdk").history()[0]["CreatedBy"])
    made = client.containers.create("busybox", "true")
    print(sorted(tag for loaded in client.images.load(b"".join(image.save(named="my/sdk:latest"))) for tag in loaded.tags))
    committed = made.commit("my/committed", "v1", message="said")
    print(committed.tags, committed.attrs["Comment"])
    made.remove()
    for name in ("my/sdk", "my/other:v2", "my/committed:v1"):
        client.images.remove(name)
    client.images.get("my/sdk")


@step
def build_fails():
    client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 9\n"), forcerm=True)


@step
def left():
    print(client.containers.list(all=True), client.volumes.list())


for story in stories:
    print(f"[{story.__name__}]")
    try:
        story()
    except docker.errors.DockerException as error:
        print(f"{type(error).__name__}: {getattr(error, 'explanation', None) or error}")
    except Exception:
        traceback.print_exc(file=sys.stdout)
    sys.stdout.flush()
