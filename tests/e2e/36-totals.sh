#!/usr/bin/env bash
# What all containers of one user may use together holds for all of them together, and for nobody else's.
source "$(dirname "$0")/lib.sh"

lab_start --users alice:student,bob:student

# total USER V1-FILE V2-FILE: what the kernel was told of everything below the user's group.
total() {
    local below
    below=${DS01_CGROUP_PARENT#/}/u$(id -u "$1")
    cat "/sys/fs/cgroup/${2%%.*}/$below/$2" 2>/dev/null || cat "/sys/fs/cgroup/$below/$3"
}
memory() { total "$1" memory.limit_in_bytes memory.max; }
tasks() { total "$1" pids.max pids.max; }
told() { [[ $("$1" "$2") == "$3" ]]; }
reload() { kill -HUP "$(<"$DIR/lab/ds01d.pid")"; }

note "no total, no limit"
as alice docker run -d --name first busybox sleep 1000 >/dev/null
assert_eq "$(tasks alice)" max "tasks without a total"

note "a new configuration holds for what runs already"
cp "$DS01_CONFIG" "$SCRATCH/before.yaml"
cat >>"$DS01_CONFIG" <<'YAML'
user_overrides:
  alice: { memory: 64m, memory_swap: 64m, pids_limit: 40, aggregate: { memory_max: 256m, tasks_max: 60, max_cpus: 400 } }
YAML
"$DIR/bin/ds01d" check "$DS01_CONFIG" >/dev/null
reload
wait_for told tasks alice 60
assert_eq "$(memory alice)" $((256 * 1024 * 1024)) "memory of all of alice's containers"
assert_contains "$(as alice check-limits)" "memory of all containers"

note "a start beyond the total fails in the container, as at a limit of its own"
forks='for i in $(seq 30); do sleep 1000 & done; echo all; wait'
as alice docker run -d --name second busybox sh -c "$forks" >/dev/null

said_all() { as alice docker logs "$1" 2>&1 | grep -q all; }
wait_for said_all second
as alice docker run -d --name third busybox sh -c "$forks" >/dev/null
cannot() { as alice docker logs "$1" 2>&1 | grep -q "can't fork"; }
wait_for cannot third
as bob docker run -d --name bobs busybox sh -c "$forks" >/dev/null
bobs_all() { as bob docker logs bobs 2>&1 | grep -q all; }
wait_for bobs_all

note "a daemon that is killed and started again knows it still; a total that is taken away is taken away"
"$LAB" restart-door "$DIR" --kill
as alice docker rm -f second third >/dev/null
as alice docker run --rm busybox true
assert_eq "$(tasks alice)" 60 "tasks after a restart of ds01d"
cp "$SCRATCH/before.yaml" "$DS01_CONFIG"
reload
wait_for told tasks alice max
