#!/usr/bin/env bash
# Where there is nobody inside but the person himself: in the strict profile, and on file systems that cannot translate
# owners. Work goes on there; root does not.
source "$(dirname "$0")/lib.sh"

# A file system without translation of owners, in alice's home. It goes before the lab's users do.
RAM=
before_down() { [[ -z $RAM ]] || umount -l "$RAM"; }

lab_start --users cfalice:student,cfsam:strict
SAM=$(id -u cfsam):$(id -g cfsam)
ALICE=$(id -u cfalice):$(id -g cfalice)
HOME_SAM=$(getent passwd cfsam | cut -d: -f6)
HOME_ALICE=$(getent passwd cfalice | cut -d: -f6)

caps_of() { as "$1" docker exec "$2" sh -c 'grep -h -E "^(CapPrm|CapBnd|NoNewPrivs|Uid)" /proc/1/status /proc/self/status'; }

strict_is_oneself() {
    local dir said
    dir=$(mktemp -d "$HOME_SAM/confined.XXXXXX")
    chown cfsam: "$dir"
    said=$(as cfsam docker run -d --name s-work --user root --cap-add SYS_PTRACE -v "$dir:/w" busybox sleep 1000 2>&1 >/dev/null)
    assert_contains "$said" "User was set to $SAM" "the warning"
    assert_contains "$said" "CapAdd SYS_PTRACE was dropped" "the warning"
    said=$(caps_of cfsam s-work)
    assert_eq "$(grep -c 'Prm:.0000000000000000' <<<"$said")" 2 "no capabilities, in the container and in an exec: $said"
    assert_eq "$(grep -c 'Bnd:.0000000000000000' <<<"$said")" 2 "and no way to one: $said"
    assert_eq "$(grep -c 'NoNewPrivs:.1' <<<"$said")" 2 "set-id programs give nothing: $said"
    as cfsam docker exec s-work sh -c 'echo mine >/w/file'
    assert_eq "$(stat -c %U:%G "$dir/file")" cfsam:cfsam "a file that was made inside"
    assert_fails "everything in it runs as you ($SAM)" as cfsam docker exec -u root s-work id
    assert_fails "everything in it runs as you ($SAM)" as cfsam docker exec -u 0:0 s-work id
    assert_eq "$(as cfsam docker exec -u nobody s-work id -u)" "$(id -u cfsam)" "another name is oneself"
    as cfsam docker cp s-work:/w/file - >/dev/null
    echo copied >"$dir/source"; chown cfsam: "$dir/source"
    as cfsam docker cp "$dir/source" s-work:/w/copied
    assert_eq "$(stat -c %U "$dir/copied")" cfsam "what docker cp brought"
    assert_contains "$(as cfsam check-limits)" "root inside containers" "check-limits says so"
    # A container of a project, with a GPU, and what stands in an image.
    as cfsam container deploy confined --image busybox --background >/dev/null
    assert_eq "$(as cfsam docker exec "confined._.cfsam" id -u)" "$(id -u cfsam)" "a deployed container"
    as cfsam docker exec "confined._.cfsam" sh -c 'touch /workspace/there && for d in /dev/nvidia[0-9]*; do : <"$d"; done'
    as cfsam container retire confined --yes >/dev/null 2>&1 || as cfsam container retire confined >/dev/null
    as cfsam docker rm -f s-work >/dev/null
    note "strict: numbers of one's own, no capabilities, no way to root; files, docker cp, a deployed container with a GPU"
}

a_file_system_without_translation() {
    local said
    RAM=$HOME_ALICE/confined-ram
    install -d -o cfalice -g cfalice "$RAM"
    mount -t ramfs none "$RAM"
    chown cfalice: "$RAM"
    chmod 0755 "$RAM"
    install -m 0600 <(echo of-root) "$RAM/of-root"
    said=$(as cfalice docker run -d --name a-plain -v "$RAM:/w" busybox sleep 1000 2>&1 >/dev/null)
    assert_contains "$said" "which cannot translate owners: everything in this container runs as you" "the warning"
    as cfalice docker exec a-plain sh -c 'echo mine >/w/file'
    assert_eq "$(stat -c %U:%G "$RAM/file")" cfalice:cfalice "a file that was made inside"
    assert_fails "ermission denied" as cfalice docker exec a-plain cat /w/of-root
    assert_fails "everything in it runs as you ($ALICE)" as cfalice docker exec -u 0 a-plain cat /w/of-root
    # Neither the Engine's copies nor another container's root get there.
    assert_fails "docker cp is not available" as cfalice docker cp a-plain:/w/of-root -
    assert_fails "docker cp is not available" as cfalice docker cp "$RAM/file" a-plain:/w/of-root
    assert_fails "its mounts and processes are not shared" as cfalice docker run --rm --volumes-from a-plain busybox cat /w/of-root
    assert_fails "its mounts and processes are not shared" as cfalice docker run --rm --pid container:a-plain busybox cat /proc/1/root/w/of-root
    assert_fails "did not" as cfalice sh -c 'docker commit a-plain ds01-cfalice/plain >/dev/null && docker run --rm ds01-cfalice/plain cat /w/of-root || { echo did not; exit 1; }'
    # The directory is staged again as it was, and so are its rights.
    as cfalice docker stop -t 0 a-plain >/dev/null
    umount "$DIR"/run/binds/*/*
    as cfalice docker start a-plain >/dev/null
    as cfalice docker exec a-plain sh -c 'test "$(cat /w/file)" = mine && echo again >/w/again'
    assert_fails "ermission denied" as cfalice docker exec a-plain cat /w/of-root
    assert_eq "$(stat -c %U:%G "$RAM/again")" cfalice:cfalice "a file that was made after a reboot"
    # Beside a directory that can be translated, and for an image with a user of its own.
    said=$(as cfalice docker run --rm -v "$RAM:/w" -v "$HOME_ALICE:/h" -u 1234 busybox sh -c 'id -u; touch /h/confined-here /w/here' 2>&1)
    assert_contains "$said" "$(id -u cfalice)" "both kinds in one container"
    assert_eq "$(stat -c %U "$HOME_ALICE/confined-here" "$RAM/here" | sort -u)" cfalice "files of both"
    rm -f "$HOME_ALICE/confined-here"
    assert_eq "$(cat "$RAM/of-root") $(stat -c '%U %a' "$RAM/of-root")" "of-root root 600" "root's file"
    note "a file system that cannot translate owners: a container of oneself, with a word; root's files stay root's"
}

strict_is_oneself
a_file_system_without_translation
