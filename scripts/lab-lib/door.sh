# shellcheck shell=bash
# The door: the three programs, their settings and ds01d itself.

programs_install() {
    local profile=$1 door=$2 build=$3 target program missing=no
    target=${CARGO_TARGET_DIR:-$ROOT/target}/$profile
    if [[ $build == yes && $door == yes ]]; then
        programs_build "$profile"
    fi
    for program in ds01d ds01-runtime ds01; do
        if [[ -x $target/$program ]]; then
            install -m 0755 -- "$target/$program" "$DIR/bin/$program"
        else
            missing=$program
        fi
    done
    [[ $missing == no || $door == no ]] || die "$target/$missing is not built"
    cat >"$DIR/bin/ds01-runtime.json" <<JSON
{"socket":"$DIR/run/hinge.sock","receipts":"$DIR/run/receipts","runtime":"runc"}
JSON
    chmod 0644 "$DIR/bin/ds01-runtime.json"
    if [[ -x $DIR/bin/ds01 ]]; then
        "$DIR/bin/ds01" install-links "$DIR/bin" >>"$DIR/log/build.log" 2>&1 ||
            say "ds01 install-links did not work; see $DIR/log/build.log"
    fi
}

programs_build() {
    local options=(--quiet --bin ds01d --bin ds01-runtime --bin ds01)
    [[ $1 == debug ]] || options+=(--release)
    command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    command -v cargo >/dev/null || die "cargo is missing: install Rust's toolchain"
    # SQLite is compiled from its source.
    command -v cc >/dev/null || apt_install gcc libc6-dev
    (cd -- "$ROOT" && cargo build "${options[@]}" 9>&-) || die "cargo build failed"
}

# The configuration is written for people to read: the lab is where many see one for the first time.
door_configure() {
    local machine=$1 users=$2 admins=$3
    {
        cat <<YAML
# Written by scripts/lab; ds01d reads it at start and on SIGHUP.
paths:
  socket: $DOOR_SOCKET
  engine: $ENGINE_SOCKET
  hinge: $DIR/run/hinge.sock
  run: $DIR/run
  state: $DIR/state
engine:
  runtime: ds01
  cgroup_parent: ${CGROUP#/}

YAML
        if [[ -n $machine ]]; then cat -- "$machine"; else door_default_machine; fi
        echo
        echo "admins:"
        echo "  users: [root${admins:+, ${admins//,/, }}]"
        cat <<'YAML'

# Without this line a new lab only observes for a week.
lifecycle: enforce

default_group: student
defaults:
  max_cpus: 4
  memory: 8g
  shm_size: 1g
  pids_limit: 2048
YAML
        door_groups "$users" "$machine"
    } >"$CONFIG"
    chmod 0644 "$CONFIG"
}

door_default_machine() {
    cat <<'YAML'
machine:
  simulated:
    cards:
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g }
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [3g.40gb, 2g.20gb, 1g.10gb, 1g.10gb] }
YAML
}

door_groups() {
    # A quota beyond the machine is refused as a mistake, and we do not know a machine that we are given.
    local cards=2
    [[ -z $2 ]] || cards=null
    cat <<YAML
groups:
  student:
    members: [$(members_of "$1" student)]
    max_gpu_equivalents: 1
    max_gpu_slots_per_container: 1
    max_containers_per_user: 8
    priority: 10
  researcher:
    members: [$(members_of "$1" researcher)]
    max_gpu_equivalents: $cards
    max_gpu_slots_per_container: $cards
    max_containers_per_user: 16
    allow_full_gpu: true
    priority: 50
YAML
    local group
    for group in $(printf '%s\n' "${1//,/$'\n'}" | sed -n 's/^[^:]*://p' | sort -u); do
        [[ $group == student || $group == researcher ]] && continue
        printf '  %s:\n    members: [%s]\n' "$group" "$(members_of "$1" "$group")"
        # A group by the name of the profile has it.
        [[ $group != strict ]] || printf '    profile: strict\n'
    done
}

members_of() {
    local pair names=()
    for pair in ${1//,/ }; do
        [[ $pair == *:"$2" || ($2 == student && $pair != *:*) ]] && names+=("\"${pair%%:*}\"")
    done
    local IFS=,
    printf %s "${names[*]:-}"
}

# As docs/admin/install.md has it for machines without systemd.
door_start() {
    running ds01d && return
    start_daemon ds01d "$DIR/log/ds01d.log" "$DIR/bin/ds01d" run --config "$CONFIG"
    wait_until "$START_SECONDS_MAX" door_answers_or_died || true
    door_answers || die "ds01d does not answer: see $DIR/log/ds01d.log"
}

door_answers() { [[ -S $DOOR_SOCKET ]] && DOCKER_CONFIG=$LAB/docker-config docker -H "unix://$DOOR_SOCKET" version &>/dev/null; }

door_answers_or_died() { door_answers || died ds01d; }

door_stop() {
    if [[ ${1:-} == --kill ]]; then stop_daemon ds01d KILL; else stop_daemon ds01d TERM; fi
}
