#!/usr/bin/env bash
# Never two owners: eight users fight over eight units while ds01d is killed again and again and the Engine is
# restarted. Checked at the devices; nothing is leaked, no running container is lost, everybody gets an answer.
# DS01_CHAOS_SEED repeats a run; tests/long/chaos.sh is the same with twenty users.
source "$(dirname "$0")/lib.sh"

USERS_MAX=${CHAOS_USERS:-8}
names=()
for ((number = 1; number <= USERS_MAX; number++)); do names+=("chaos$(printf %02d "$number")"); done

# Every third is a student with a small quota; the others may take what there is.
people=()
for number in "${!names[@]}"; do
    group=researcher
    ((number % 3 != 2)) || group=student
    people+=("${names[number]}:$group")
done

cat >"$SCRATCH/machine.yaml" <<'YAML'
machine:
  simulated:
    cards:
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g }
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [3g.40gb, 2g.20gb, 1g.10gb, 1g.10gb] }
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [4g.40gb, 2g.20gb, 1g.10gb] }

start_wait: 20s
YAML

join() { local IFS=,; printf %s "$*"; }
lab_start --machine "$SCRATCH/machine.yaml" --users "$(join "${people[@]}")"

/usr/bin/python3 "$(dirname "$0")/chaos.py" --lab "$DIR" --lab-command "$LAB" \
    --door "${DOCKER_HOST#unix://}" --engine "${DS01_ENGINE#unix://}" \
    --cgroup "${DS01_CGROUP_PARENT#/}" --names "$(join "${names[@]}")" \
    --ops "${CHAOS_OPS:-60}" --kills "${CHAOS_KILLS:-6}" --long-lived "${CHAOS_LONG_LIVED:-2}" \
    --gap "${CHAOS_GAP:-4}" --seed "${DS01_CHAOS_SEED:-0}" ${CHAOS_PATIENT:+--patient}
