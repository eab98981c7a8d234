# shellcheck shell=bash
# The same story against the bare Engine and through the door, at the same time, and what of the two prints differs.
# Sourced after ../lib.sh by the scripts that compare; the stories lie beside this file.

# compare_start: two labs with the same images: a bare Engine for root, one with a door for alice.
compare_start() {
    lab_start --no-door --users alice:student
    BARE=$DIR
    lab_start --users alice:student,bob:student
    cp -r "$DS01_ROOT/tests/e2e/clients" "$SCRATCH/clients"
    chmod -R a+rX "$SCRATCH/clients"
    BARE_ENGINE=unix://$BARE/engine/docker.sock
    STORY_PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
}

# What differs between any two runs: ids, times, how small an archive became, the directories in which they worked; and two lines that the command
# line says or does not say by which of its own two threads comes first.
normalised() {
    sed -E -e '/error waiting for container: context canceled/d' -e '/failed to resize tty, using default size/d' -e "s#$1#WORK#g" -e 's/[0-9a-f]{64}/ID/g' -e 's/\b[0-9a-f]{12}(\b|_)/ID\1/g' -e 's/<[A-Z][a-z]+: [0-9a-f]{10}>/ID/g' \
        -e 's/(Sending build context to Docker daemon) +[0-9.]+k?B/\1 BYTES/' -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)/TIME/g'
}

section() { awk -v name="[$2]" '/^\[.*\]$/ { on = ($0 == name) } on' "$1"; }

# same_story NAME PROGRAM [ARGUMENT…]: a program of clients/; @WORK in its arguments is a directory of its own. Every
# section that it prints is one comparison.
same_story() {
    local name=$1 program=$2 bare_work home_work bare=$SCRATCH/$1.bare door=$SCRATCH/$1.door step count=0 differ=()
    shift 2
    # Of one length: what is as long as a path must not differ.
    bare_work=$(mktemp -d /var/tmp/ds01-story.XXXXXX)
    home_work=$(mktemp -d "$(getent passwd alice | cut -d: -f6)/story.XXXXXX")
    chown alice: "$home_work"
    ( env -i HOME=/root TERM=dumb LANG=C.UTF-8 PATH="$STORY_PATH" DOCKER_HOST="$BARE_ENGINE" \
        "$SCRATCH/clients/$program" "${@//@WORK/$bare_work}" </dev/null 2>&1 | normalised "$bare_work" >"$bare" ) &
    local other=$!
    as alice env PATH="$STORY_PATH" "$SCRATCH/clients/$program" "${@//@WORK/$home_work}" </dev/null 2>&1 |
        normalised "$home_work" >"$door"
    wait "$other"
    rm -rf -- "$bare_work" "$home_work"
    while read -r step; do
        count=$((count + 1))
        [[ $(section "$bare" "$step") == "$(section "$door" "$step")" ]] || differ+=("$step")
    done < <(sed -n 's/^\[\(.*\)\]$/\1/p' "$bare")
    ((count > 0)) || fail "$name: the story told nothing: $(cat "$door")"
    for step in "${differ[@]}"; do
        printf '  %s: %s differs: bare Engine <, door >\n' "$name" "$step" >&2
        diff <(section "$bare" "$step") <(section "$door" "$step") >&2 || true
    done
    ((${#differ[@]} == 0)) || fail "$name: ${#differ[@]} of $count steps differ: ${differ[*]}"
    note "$name: $count steps, the same on the bare Engine and through the door"
}
