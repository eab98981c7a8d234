#!/usr/bin/env bash
# A dev container is made as root and worked in as its remote user: what he makes in the workspace is alice's, and what
# is alice's he may change, whatever number he has inside.
source "$(dirname "$0")/lib.sh"
lab_start --users alice:student
PROJECT=$(mktemp -d "$(getent passwd alice | cut -d: -f6)/dev.XXXXXX")
echo hers >"$PROJECT/file"
chown -R alice: "$PROJECT"
chmod 0700 "$PROJECT"

METADATA='[{"id":"feature"},{"remoteUser":"vscode"}]'
as alice docker build -q -t dev/base - >/dev/null <<TEXT
FROM busybox
RUN echo 'vscode:x:4321:4321::/home/vscode:/bin/sh' >>/etc/passwd && echo 'vscode:x:4321:' >>/etc/group
TEXT
as alice docker build -q -t dev/image --label "devcontainer.metadata=$METADATA" - >/dev/null <<<'FROM dev/base'

# container NAME IMAGE [LABEL]: as `devcontainer up` makes it.
container() {
    as alice docker run -d --name "$1" --mount "type=bind,source=$PROJECT,target=/workspaces/p" \
        -l "devcontainer.local_folder=$PROJECT" ${3:+-l "$3"} --entrypoint /bin/sh "$2" -c 'while :; do sleep 1; done' >/dev/null
}

container by-label dev/base "devcontainer.metadata=$METADATA"
container by-image dev/image
for name in by-label by-image; do
    assert_eq "$(as alice docker exec -u vscode "$name" sh -c 'cd /workspaces/p && echo more >>file && echo new >made && id -u')" 4321
    assert_eq "$(stat -c %U:%G "$PROJECT/made")" alice:alice "who owns what the remote user of $name made"
    assert_eq "$(as alice docker exec "$name" stat -c %u /workspaces/p/file)" 4321 "alice's file, seen from inside $name"
    rm "$PROJECT/made"
done
assert_eq "$(grep -c more "$PROJECT/file")" 2

# The same image without a dev container's labels works as root, and root inside is alice.
as alice docker run --rm -v "$PROJECT:/p" dev/image sh -c 'echo root >/p/made'
assert_eq "$(stat -c %U "$PROJECT/made")" alice
note "the remote user of a dev container works on alice's files as alice"
