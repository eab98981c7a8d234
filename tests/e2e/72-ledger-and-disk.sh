#!/usr/bin/env bash
# A ledger that cannot be answered for is refused and left as it is, and a full disk stops new grants only: nothing is
# begun anew in silence, and people are told what to do.
source "$(dirname "$0")/recovery-lib.sh"

refused_ledgers() {
    local ledger=$DIR/state/ledger.db sum
    gpu alice alice1
    stopped
    cp "$ledger" "$SCRATCH/whole.db"
    refuses() {
        sum=$(sha256sum "$ledger")
        assert_fails "$1" "$DIR/bin/ds01d" run --config "$DIR/etc/ds01.yaml"
        assert_eq "$(sha256sum "$ledger")" "$sum" "the ledger was touched"
        is_running alice1 || fail "alice1 was stopped"
    }
    dd if=/dev/urandom of="$ledger" bs=4096 seek=1 count=2 conv=notrunc status=none
    refuses "is damaged"
    head -c 100 /dev/zero >"$ledger"
    refuses "Nothing was changed"
    : >"$ledger"
    refuses "it is empty"
    cp "$SCRATCH/whole.db" "$ledger"
    sqlite3 "$ledger" 'PRAGMA user_version = 99'
    refuses "written by a newer ds01d (schema 99"
    rm -f "$ledger"
    sqlite3 "$ledger" 'CREATE TABLE theirs (x)'
    refuses "did not make"
    rm -f "$ledger"
    cp "$SCRATCH/whole.db" "$ledger"
    started
    assert_eq "$(held)" "alice alice1"
    assert_fails "in use by another ds01d" "$DIR/bin/ds01d" run --config "$DIR/etc/ds01.yaml"
    assert_eq "$(held)" "alice alice1" "the first goes on"
    rm_all
    note "damaged, empty, newer and foreign ledgers are refused and left as they are"
}

full_disk() {
    local said
    gpu alice alice1
    gpu bob bob1
    as alice docker create --name later --gpus 1 busybox sleep 3600 >/dev/null
    stopped
    mkdir "$SCRATCH/state"
    mount -t tmpfs -o size=1m,mode=0700 tmpfs "$SCRATCH/state"
    cp "$DIR"/state/* "$SCRATCH/state"
    mount --move "$SCRATCH/state" "$DIR/state" 2>/dev/null || mount --bind "$SCRATCH/state" "$DIR/state"
    started
    fill_disk
    assert_eq "$(held)" $'alice alice1\nbob bob1'
    said=$(as alice docker start later 2>&1) && fail "a grant that cannot be written was given"
    assert_contains "$said" "cannot write its ledger (is the disk full?)"
    said=$(as bob docker run --rm --gpus 1 busybox true 2>&1) && fail "a create that cannot be written went through"
    assert_contains "$said" "cannot write its ledger"
    # What ends, ends: stop, remove, and the unit is seen to be free.
    as alice docker stop -t 0 alice1 >/dev/null
    wait_for held_is "bob bob1"
    as alice docker rm alice1 >/dev/null
    assert_lacks "$(as alice docker ps -a)" alice1
    assert_eq "$(as bob docker exec bob1 echo on)" on
    as alice docker ps >/dev/null
    # Killed now, the next daemon finds by looking what was never written, on a full disk as well.
    stopped --kill
    started
    wait_for held_is "bob bob1"
    assert_fails "cannot write its ledger" as alice docker start later
    as bob docker restart -t 0 bob1 >/dev/null
    as bob docker exec bob1 true
    stopped --kill
    rm "$DIR/state/filler"
    started
    wait_for held_is "bob bob1"
    as alice docker start later >/dev/null
    no_device_twice
    fill_disk
    as alice docker stop -t 0 later >/dev/null
    wait_for held_is "bob bob1"
    rm "$DIR/state/filler"
    # With room again what had to wait is written before the next grant.
    as alice docker start later >/dev/null
    stopped --kill
    started
    assert_eq "$(held)" $'alice later\nbob bob1'
    rm_all
    stopped
    cp "$DIR"/state/* "$SCRATCH"
    umount "$DIR/state"
    mountpoint -q "$SCRATCH/state" && umount "$SCRATCH/state"
    cp "$SCRATCH/ledger.db" "$DIR/state/ledger.db"
    started
    note "disk full: no new grants, a clear word, and everything else goes on"
}
fill_disk() { dd if=/dev/zero of="$DIR/state/filler" bs=1k status=none 2>/dev/null || true; }

stories refused_ledgers full_disk -- "$@"
