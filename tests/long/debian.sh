#!/usr/bin/env bash
# A Debian machine of its own, with its own kernel and systemd, control groups v2 and the Engine as Debian sets it up: the
# package is installed by what the administrator's manual says, word for word, used, and rebooted. The machine is virtual, and
# slow: half an hour.
source "$(dirname "$0")/../e2e/lib.sh"
HERE=$DS01_ROOT/tests/long/debian
PACKAGES=(linux-image-cloud-amd64 systemd systemd-sysv udev dbus docker.io apparmor iproute2 iptables kmod passwd procps
    busybox-static ca-certificates libpam-systemd)
MINUTES_MAX=40

[[ $(dpkg --print-architecture) == amd64 ]] || { note "only for amd64 yet: skipped"; exit 0; }
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends qemu-system-x86 mmdebstrap e2fsprogs >/dev/null

# The system without DS01 is made once.
CACHE=/var/cache/ds01-lab
BASE=$CACHE/debian-$(printf '%s\n' "${PACKAGES[@]}" | sha256sum | cut -c1-16).tar
if [[ ! -e $BASE ]]; then
    mkdir -p "$CACHE"
    mmdebstrap --quiet --format=tar --variant=minbase --include="$(IFS=,; echo "${PACKAGES[*]}")" bookworm "$BASE.new"
    mv "$BASE.new" "$BASE"
fi

ROOT=$SCRATCH/root
mkdir "$ROOT"
tar -C "$ROOT" -xf "$BASE"
cp "$ROOT"/boot/vmlinuz-* "$SCRATCH/kernel"
cp "$ROOT"/boot/initrd.img-* "$SCRATCH/initrd"
PROFILE=debug "$DS01_ROOT/scripts/package" "$ROOT/root" >/dev/null
cp "$("$DS01_ROOT/scripts/images" make)" "$ROOT/root/images.tar"
# The blocks of the manual that say `machine` are typed there.
install -D -m 0644 -t "$ROOT/root/manual" "$DS01_ROOT"/docs/admin/*.md
install -m 0755 "$HERE/story.sh" "$ROOT/root/story.sh"
install -m 0644 "$HERE/story.service" "$ROOT/etc/systemd/system/story.service"
ln -s ../story.service "$ROOT/etc/systemd/system/multi-user.target.wants/story.service"
echo "/dev/vda / ext4 rw,relatime 0 1" >"$ROOT/etc/fstab"
echo debian >"$ROOT/etc/hostname"
truncate -s 6G "$SCRATCH/disk"
mke2fs -q -t ext4 -d "$ROOT" "$SCRATCH/disk"
rm -rf "$ROOT"

# boot LOG ACCELERATOR…: until the machine reboots or switches itself off.
boot() {
    local log=$1
    shift
    # In the foreground: whoever ends this script ends the machine.
    timeout --foreground "${MINUTES_MAX}m" qemu-system-x86_64 "$@" -smp 2 -m 3G -nographic -no-reboot -monitor none -nic none \
        -kernel "$SCRATCH/kernel" -initrd "$SCRATCH/initrd" -append "root=/dev/vda rw console=ttyS0 panic=-1 quiet" \
        -drive "file=$SCRATCH/disk,if=virtio,format=raw,cache=unsafe" -serial "file:$log" </dev/null >"$log.qemu" 2>&1
}
# Slow and the same everywhere: not every /dev/kvm works, within some virtual machines it does not.
MACHINE=(-accel "tcg,thread=multi" -cpu "max,-avx,-avx2,-la57")
for at in first second; do
    boot "$SCRATCH/$at.log" "${MACHINE[@]}" || { tail -n 60 "$SCRATCH/$at.log"; fail "the $at boot did not end: $(cat "$SCRATCH/$at.log.qemu")"; }
    tr -d '\r' <"$SCRATCH/$at.log" >"$SCRATCH/$at.txt"
    sed -n 's/^.*story: ok /    /p' "$SCRATCH/$at.txt"
done
if grep -h 'story: FAILED' "$SCRATCH"/{first,second}.txt; then
    sed -n '/story: FAILED/,/story:/p' "$SCRATCH"/{first,second}.txt
    fail "on a Debian machine"
fi
grep -q 'story: reboot' "$SCRATCH/first.txt" && grep -q 'story: the end' "$SCRATCH/second.txt" ||
    { tail -n 60 "$SCRATCH"/{first,second}.txt; fail "the story did not come to its end"; }
