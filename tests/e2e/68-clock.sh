#!/usr/bin/env bash
# Who gets more time, and who is told: budgets of `ds01 keep`, exemptions by an administrator.
source "$(dirname "$0")/lib.sh"
cat >"$SCRATCH/machine.yaml" <<'TEXT'
machine:
  simulated:
    cards:
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [3g.40gb, 3g.40gb] }
TEXT
lab_start --machine "$SCRATCH/machine.yaml" --users alice:student,bob:student
IDLE=24
sed -i -e "s/^defaults:/policies: { sigterm_grace_seconds: 2 }\ndefaults:\n  keep_budget: 3h\n  idle_timeout: ${IDLE}s/" "$DS01_CONFIG"
reload() {
    local before
    before=$(grep -c 'configuration was read again' "$DIR/log/ds01d.log" || true)
    kill -HUP "$(cat "$DIR/run/ds01d.pid" 2>/dev/null || pgrep -f "$DIR/bin/ds01d" | head -n 1)"
    read_again() { (($(grep -c 'configuration was read again' "$DIR/log/ds01d.log") > before)); }
    wait_for read_again
}
reload
is() { [[ $(as "$1" docker inspect -f '{{.State.Status}}' "$2") == "$3" ]]; }
why() { as "$1" ds01 why "$2" --json | jq -r '[.verdict, (.facts[] | .label + ": " + .text)] | join("\n")'; }
tells() { why "$1" "$2" | grep -q -- "$3"; }

# The administrator's own program is told of warnings and stops, and holds up nobody.
cat >"$SCRATCH/hook" <<TEXT
#!/bin/sh
echo "\$DS01_EVENT \$DS01_USER/\$DS01_CONTAINER \$DS01_GPUS: \$DS01_TEXT" >>"$SCRATCH/told"
cat >>"$SCRATCH/told.json"
TEXT
chmod 777 "$SCRATCH/hook"
sed -i "1i lifecycle_hook: $SCRATCH/hook" "$DS01_CONFIG"
assert_fails "ds01.yaml:1:17: lifecycle_hook: $SCRATCH/hook would run as root, and others than root can change $SCRATCH/hook" "$DIR/bin/ds01d" check "$DS01_CONFIG"
chmod 755 "$SCRATCH/hook"
reload

# A budget: what is asked for counts, what is taken back does not.
as alice container deploy exempted --image busybox --background >/dev/null
as bob container deploy parked --image busybox --background >/dev/null
as bob ds01 keep parked --for 2h >/dev/null
assert_fails "you may keep idle containers for 3 hours in seven days, and have asked for" as bob ds01 keep parked --for 4h
rc=0; as bob ds01 keep parked --for 4h >/dev/null 2>&1 || rc=$?
assert_eq "$rc" 3 "the exit code of a budget that does not suffice"
used() { as bob check-limits --json | jq '.limits[] | select(.key == "keep_budget_h") | [.limit, .used] | join(" ")' -r; }
assert_eq "$(used)" "10800 7200" "what check-limits tells of a budget"
as bob ds01 keep parked --for 0s >/dev/null
(($(used | cut -d " " -f 2) < 60)) || fail "what was taken back counts: $(used)"
note "ds01 keep is within a budget, which says when it comes back"

# An exemption: by administrators alone, with an end and a reason.
rc=0; as alice ds01 exempt exempted --until 2099-01-01 --reason mine >/dev/null 2>&1 || rc=$?
assert_eq "$rc" 5 "the exit code of who may not exempt"
assert_fails "this machine knows no user" as root ds01 exempt --user nobody-of-this-name --until 2099-01-01 --reason x
assert_fails "an end that is to come" as root ds01 exempt --user alice --until 2020-01-01 --reason x
as root ds01 exempt exempted._.alice --until 2099-01-01 --reason 'a deadline' >/dev/null
assert_contains "$(why alice exempted)" "by root: a deadline"
assert_contains "$(as root ds01 exempt --list)" "a deadline"
assert_contains "$(as alice ds01 exempt --list)" "a deadline"
assert_lacks "$(as bob ds01 exempt --list)" "a deadline" "another's exemption is nobody's business"
"$LAB" restart-door "$DIR" --kill >/dev/null
assert_eq "$(as root ds01 exempt --list --json | jq -r '.exemptions[] | [.user, .container, .reason] | join(" ")')" "alice exempted a deadline" "after a kill"
# Whoever waits is told when he may expect a GPU, and why.
in_background next as bob docker run --rm --gpus all busybox echo it is mine
queue_tells() { as bob ds01 queue | grep -qE "$1"; }
wait_for -t 20 queue_tells '^Place 1: expected [0-9:]+, if bob/parked stays idle; at the latest'
as bob ds01 queue --json | jq -e '.waiting[0].outlook | .expected_seconds <= .latest_seconds' >/dev/null || fail "the outlook in JSON"
wait_for -t $((IDLE * 3)) is bob parked._.bob exited
wait_for said next 'ds01: (expected|no time known)'
wait_for said next 'it is mine'
note "who waits is told when he may expect a GPU, and gets it"
told() { grep -q -- "$1" "$SCRATCH/told"; }
wait_for told 'warned bob/parked 0:.: is to be stopped in .* (idle), last warning'
wait_for told 'stopped bob/parked 0:.: by DS01: idle'
assert_eq "$(grep -c '^stopped bob/parked' "$SCRATCH/told")" 1 "how often the hook was told of a stop"
jq -e 'select(.event == "stopped") | .owner == "bob"' "$SCRATCH/told.json" >/dev/null || fail "the hook's JSON"
note "the administrator's hook is told of warnings and stops"
is alice exempted._.alice running || fail "an exempt container was stopped"
assert_contains "$(as alice ds01 events --json | jq -r '.event + " " + .text' | grep '^exempted')" "by root: a deadline"
as root ds01 exempt --remove exempted._.alice >/dev/null
assert_fails "there is no such exemption" as root ds01 exempt --remove exempted._.alice
wait_for -t $((IDLE * 3)) is alice exempted._.alice exited
assert_contains "$(as alice ds01 history --json | jq -r '.stints[] | .container + " " + .ending.kind')" "exempted idle"
note "who is exempt is not stopped, until that is taken back"

# While somebody waits for what a container holds and does not use, it may be idle for half as long: not who waits himself, and not
# one that nobody could be given.
sed -i 's/sigterm_grace_seconds: 2/sigterm_grace_seconds: 2, high_demand: { idle_timeout_factor: 0.5 }/' "$DS01_CONFIG"
reload
as alice container deploy held --image busybox --background >/dev/null
as bob container deploy lent --image busybox --background >/dev/null
wait_for -t 20 tells bob lent "at most $IDLE s)"
in_background hurry as alice docker run --rm --gpus all busybox echo it is mine
wait_for -t 20 tells bob lent "at most $((IDLE / 2)) s instead of $IDLE s, as somebody waits for it"
tells alice held "at most $IDLE s)" || fail "who waits has the usual time: $(why alice held)"
wait_for -t $((IDLE * 2)) is bob lent._.bob exited
wait_for said hurry 'it is mine'
assert_contains "$(why bob lent)" "it did not use its GPU, and somebody waited for it"
assert_contains "$(as bob ds01 events --json | jq -r .text)" 'by DS01: idle, and somebody waits'
is alice held._.alice running || fail "who waits was hurried himself"
note "while somebody waits, idle containers that he could have go back sooner"
