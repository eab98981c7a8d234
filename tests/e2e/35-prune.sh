#!/usr/bin/env bash
# A prune removes what its caller needs no more, and nothing of anybody else's; it ends in success, whatever the form.
source "$(dirname "$0")/lib.sh"

lab_start --users alice:student,bob:student

# Of everything one that is used and one that is not, and images that lost their name or never had one.
furnish() {
    as "$1" docker run --name "$1-done" busybox dd if=/dev/zero of=/x bs=1M count=3 2>/dev/null
    as "$1" docker run -d --name "$1-runs" --network "$(as "$1" docker network create "$1-used")" -v "$1-used:/v" busybox sleep 1000 >/dev/null
    as "$1" docker volume create "$1-unused" >/dev/null
    as "$1" docker volume create --label keep "$1-kept" >/dev/null
    as "$1" docker network create "$1-unused" >/dev/null
    for message in first second; do as "$1" docker commit -m "$message" "$1-done" "ds01-$1/prune:1" >/dev/null; done
    as "$1" docker commit -m third "$1-done" >/dev/null
}

belongings() {
    engine ps -a --filter "name=$1-" --format '{{.Names}}' | sort
    engine volume ls --filter "name=$1-" --format '{{.Name}}' | sort
    engine network ls --filter "name=$1-" --format '{{.Name}}' | sort
    engine images --filter "reference=ds01-$1/prune" --format '{{.Repository}}:{{.Tag}}'
}

unnamed() { as "$1" docker images --filter dangling=true -q | wc -l; }

furnish alice
furnish bob
bobs=$(belongings bob)
assert_eq "$(unnamed alice)" 2 "unnamed images that alice sees"

note "a filter that nothing matches removes nothing; one that cannot be read says so"
before=$(belongings alice)
as alice docker system prune -f --filter until=1h | grep -q 'reclaimed space: 0B'
as alice docker system prune -f --filter label=no-such >/dev/null
assert_fails "until=soon" as alice docker container prune -f --filter until=soon
assert_fails "invalid filter 'owner'" as alice docker network prune -f --filter owner=bob
assert_eq "$(belongings alice)" "$before" "what alice has after prunes of nothing"

note "system prune"
said=$(as alice docker system prune -f)
assert_contains "$said" "alice-unused"
assert_contains "$said" "Deleted Images:"
assert_lacks "$said" "reclaimed space: 0B" "the room that was made"
assert_eq "$(belongings alice | xargs)" "alice-runs alice-kept alice-unused alice-used alice-used ds01-alice/prune:1" "after system prune"
assert_eq "$(unnamed alice)" 0 "unnamed images after system prune"

note "system prune --all --volumes spares what is used and what a filter spares"
as alice docker system prune -af --volumes --filter label!=keep >/dev/null
# From API 1.42 on a prune of volumes takes those alone that have no name.
as alice docker volume prune -af --filter label!=keep &>/dev/null || true
assert_eq "$(belongings alice | xargs)" "alice-runs alice-kept alice-used alice-used" "after system prune -a"
engine image inspect busybox >/dev/null || fail "an image that is everybody's was pruned"

note "each prune by itself"
as alice docker rm -f alice-runs >/dev/null
as alice docker create --name alice-made busybox >/dev/null
for what in container volume network image; do as alice docker "$what" prune -f >/dev/null || fail "$what prune"; done
as alice docker image prune -af >/dev/null
as alice docker volume prune -af &>/dev/null || true
assert_contains "$(as alice docker builder prune -af 2>/dev/null)" "reclaimed space: 0B"
assert_eq "$(belongings alice)" "" "after every prune"

assert_eq "$(belongings bob)" "$bobs" "what bob has after alice's prunes"
assert_eq "$(unnamed bob)" 2 "bob's unnamed images after alice's prunes"
