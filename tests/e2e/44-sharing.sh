#!/usr/bin/env bash
# What people let each other use: an image, a volume to read, a volume to write; and what they do not. Files that a
# container has left to other numbers come back.
source "$(dirname "$0")/lib.sh"

lab_start --users shalice:student,shbob:student,shcarol:student
HOME_ALICE=$(getent passwd shalice | cut -d: -f6)

images_are_shared_by_name() {
    local id
    as shalice docker run --name sh-made busybox sh -c 'echo hers >/of-alice' >/dev/null
    as shalice docker commit sh-made ds01-shalice/thesis >/dev/null
    as shalice docker tag ds01-shalice/thesis ds01-shalice/other:2
    id=$(engine inspect -f '{{.Id}}' ds01-shalice/thesis)
    assert_fails "ds01-shalice/thesis" as shbob docker run --rm ds01-shalice/thesis cat /of-alice
    assert_contains "$(as shalice ds01 share image ds01-shalice/thesis --with shbob)" "shbob may use ds01-shalice/thesis"
    assert_eq "$(as shbob docker run --rm ds01-shalice/thesis cat /of-alice)" hers "the shared image"
    assert_contains "$(as shbob docker images --format '{{.Repository}}:{{.Tag}}')" ds01-shalice/thesis:latest "bob's list"
    assert_lacks "$(as shbob docker images --format '{{.Repository}}:{{.Tag}}')" ds01-shalice/other "bob's list"
    assert_eq "$(as shbob docker inspect -f '{{.Id}}' "$id")" "$id" "by its id"
    printf 'FROM ds01-shalice/thesis\nRUN cat /of-alice\n' | as shbob env DOCKER_BUILDKIT=0 docker build -qt ds01-shbob/on-it - >/dev/null 2>&1
    # It stays hers: bob neither moves nor removes the name, nor shares it on, and carol sees nothing.
    assert_fails "not yours to change" as shbob docker tag busybox ds01-shalice/thesis
    assert_fails "" as shbob docker rmi ds01-shalice/thesis
    assert_fails "not yours to share" as shbob ds01 share image ds01-shalice/thesis --with shcarol
    assert_fails "ds01-shalice/thesis" as shcarol docker run --rm ds01-shalice/thesis true
    assert_fails "ds01-shalice/other" as shcarol ds01 share image ds01-shalice/other:2 --with shcarol
    assert_eq "$(engine inspect -f '{{.Id}}' ds01-shalice/thesis)" "$id" "alice's name"
    assert_contains "$(as shbob ds01 shares)" "ds01-shalice/thesis:latest   shalice   use" "what is shared with bob"
    assert_eq "$(as shcarol ds01 shares --json | jq -c .)" '{"given":[],"taken":[]}' "carol's"
    as shbob docker image prune -af >/dev/null
    assert_eq "$(engine inspect -f '{{.Id}}' ds01-shalice/thesis)" "$id" "a prune of bob's"
    as shalice ds01 unshare image ds01-shalice/thesis >/dev/null
    assert_fails "ds01-shalice/thesis" as shbob docker run --rm ds01-shalice/thesis true
    assert_fails "is not shared so" as shalice ds01 unshare image ds01-shalice/thesis
    as shalice ds01 share image ds01-shalice/thesis --with-everybody >/dev/null
    assert_eq "$(as shcarol docker run --rm ds01-shalice/thesis cat /of-alice)" hers "shared with everybody"
    # The next image of the name is another matter.
    as shalice docker rmi ds01-shalice/thesis >/dev/null
    as shalice docker tag ds01-shalice/other:2 ds01-shalice/thesis
    assert_fails "ds01-shalice/thesis" as shcarol docker run --rm ds01-shalice/thesis true
    as shalice docker rm sh-made >/dev/null
    note "images: by name, to use and build on; never to move, remove or share on"
}

volumes_are_read_or_written() {
    local said
    as shalice docker volume create sh-sets >/dev/null
    as shalice docker run --rm -v sh-sets:/v busybox sh -c 'echo 1 2 3 >/v/data' >/dev/null
    assert_fails "the volume name sh-sets is taken" as shbob docker run --rm -v sh-sets:/v busybox cat /v/data
    as shalice ds01 share volume sh-sets --with shbob,shcarol >/dev/null
    said=$(as shbob docker run --rm -v sh-sets:/v busybox cat /v/data 2>&1)
    assert_contains "$said" "1 2 3" "read"
    assert_contains "$said" "shared with you for reading: it is read-only here" "the word"
    assert_fails "Read-only file system" as shbob docker run --rm -v sh-sets:/v busybox touch /v/bobs
    assert_fails "Read-only file system" as shbob docker run --rm -v sh-sets:/v:rw busybox touch /v/bobs
    assert_fails "Read-only file system" as shbob docker run --rm --mount type=volume,source=sh-sets,target=/v busybox touch /v/bobs
    assert_eq "$(as shbob docker volume ls -q)" sh-sets "bob's list"
    as shbob docker volume inspect sh-sets >/dev/null
    as shbob docker create --name sh-reads -v sh-sets:/v busybox cat /v/data >/dev/null 2>&1
    echo x >"$SCRATCH/x"; chmod 644 "$SCRATCH/x"
    assert_fails "read-only" as shbob docker cp "$SCRATCH/x" sh-reads:/v/x
    assert_fails "no such volume" as shbob docker volume rm sh-sets
    assert_fails "you have no volume sh-sets" as shbob ds01 share volume sh-sets --with shcarol --write
    as shbob docker volume prune -f >/dev/null
    engine volume inspect sh-sets >/dev/null
    # Written to, by whom it is given; and taken back for the next start.
    as shalice ds01 share volume sh-sets --with shcarol --write >/dev/null
    as shcarol docker run --name sh-writes -v sh-sets:/v busybox touch /v/carols
    assert_eq "$(as shalice docker run --rm -v sh-sets:/v busybox ls /v | xargs)" "carols data" "what is in it"
    as shalice ds01 share volume sh-sets --with shcarol >/dev/null
    assert_fails "shared with you for reading only now" as shcarol docker start -a sh-writes
    as shbob docker start -a sh-reads >/dev/null
    as shalice ds01 unshare volume sh-sets --with shcarol >/dev/null
    as shbob docker start -a sh-reads >/dev/null
    assert_eq "$(as shalice ds01 unshare volume sh-sets --json | jq -r '.given | length')" 0 "as JSON"
    assert_fails "no longer shared with you" as shbob docker start -a sh-reads
    assert_fails "no such volume" as shcarol docker volume inspect sh-sets
    as shbob docker rm sh-reads >/dev/null
    as shcarol docker rm sh-writes >/dev/null
    assert_fails "there is no user nobody-here" as shalice ds01 share volume sh-sets --with nobody-here
    as shalice docker volume rm sh-sets >/dev/null
    note "volumes: to read, to write, and no longer"
}

shares_outlive_a_crash() {
    as shalice docker volume create sh-kept >/dev/null
    assert_eq "$(as shalice ds01 share volume sh-kept --with shbob --json | jq -r '.given[0] | .with, .write' | xargs)" "shbob false" "as JSON"
    "$LAB" restart-door "$DIR" --kill >/dev/null
    assert_eq "$(as shbob ds01 shares --json | jq -r '.taken[].name')" sh-kept "after a crash"
    as shalice docker volume rm sh-kept >/dev/null
    assert_eq "$(as shbob ds01 shares --json | jq -r '.taken | length')" 0 "gone with the volume"
}

files_come_back() {
    local dir before
    dir=$(mktemp -d "$HOME_ALICE/repair.XXXXXX")
    chown shalice: "$dir"
    before=$(getent passwd shalice | cut -d: -f3)
    as shalice docker run --rm -v "$dir:/w" busybox sh -c 'mkdir /w/deep && echo x >/w/deep/file && chown -R 33:33 /w/deep'
    assert_ne "$(stat -c %u "$dir/deep/file")" "$before" "a file that was given away inside"
    install -o shbob -g shbob -m 0644 <(echo bobs) "$dir/of-bob"
    assert_contains "$(as shalice ds01 repair "$dir" --dry-run)" "2 of 4 files in $dir would be yours again"
    assert_contains "$(as shalice ds01 repair "$dir")" "2 of 4 files in $dir are yours again"
    assert_eq "$(stat -c %U:%G "$dir/deep/file" "$dir/deep" "$dir/of-bob" | xargs)" "shalice:shalice shalice:shalice shbob:shbob" "owners"
    assert_eq "$(as shalice ds01 repair "$dir" --json | jq -c .)" '{"seen":4,"changed":0,"failed":0}' "as JSON"
    assert_contains "$(as shalice ds01 repair "$dir")" "none was another number's"
    assert_fails "you may not bind /etc" as shalice ds01 repair /etc
    assert_fails "you may not bind $HOME_ALICE" as shbob ds01 repair "$HOME_ALICE"
    rm -rf -- "$dir"
    note "ds01 repair: what a container gave away is one's own again, and nobody else's"
}

images_are_shared_by_name
volumes_are_read_or_written
shares_outlive_a_crash
files_come_back
