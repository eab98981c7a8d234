# shellcheck shell=bash
# Unix users of labs. A user has one home, and several labs may stand side by side: a user that a lab made is
# shared by every lab that names it, and goes with the last of them. Users that no lab made are never touched.
#
# The mark is the comment field; who shares is one file per lab in the registry. Homes lie in one place outside
# every lab, because a lab that goes must not take a home that another one uses. For strangers on one machine
# who must not meet at all, give the users of each lab other names.

USER_MARK="ds01 lab user"
USER_HOMES=/var/lib/ds01-lab/home

users_check() {
    local pair
    for pair in ${1//,/ }; do
        [[ $pair =~ ^[A-Za-z_][A-Za-z0-9_.@-]{0,31}(:[a-z][a-z0-9_-]*)?$ ]] || die "--users: '$pair' is not name:group"
        ! user_exists "${pair%%:*}" || user_is_ours "${pair%%:*}" ||
            die "--users: ${pair%%:*} is a user of this machine and no lab made it; choose another name"
    done
}

user_exists() { getent passwd "$1" >/dev/null; }
user_is_ours() { [[ $(getent passwd "$1" | cut -d: -f5) == "$USER_MARK"* ]]; }
user_home() { getent passwd "$1" | cut -d: -f6; }

users_make() {
    local pair names=()
    for pair in ${1//,/ }; do
        names+=("${pair%%:*}")
    done
    save_state USERS "${names[*]}"
    with_registry users_claim "${names[@]}"
    for pair in "${names[@]}"; do
        setpriv --reuid="$pair" --clear-groups test -x "$DIR" ||
            die "$pair cannot reach $DIR: a directory above it is closed to others; choose another directory"
    done
}

users_claim() {
    local user options
    for user in "$@"; do
        mkdir -p -- "$REGISTRY/users/$user" "$USER_HOMES"
        printf '%s\n' "$DIR" >"$REGISTRY/users/$user/$ID"
        user_exists "$user" && continue
        options=(--create-home --home-dir "$USER_HOMES/$user" --shell /bin/bash --comment "$USER_MARK")
        [[ $user =~ ^[a-z_][a-z0-9_-]*$ ]] || options+=(--badname)
        useradd "${options[@]}" "$user" 2>/dev/null || die "useradd $user failed"
        chmod 0750 "$USER_HOMES/$user"
    done
}

users_down() { with_registry users_release; }

users_release() {
    local entry user ref
    for entry in "$REGISTRY"/users/*; do
        [[ -d $entry ]] || continue
        user=${entry##*/}
        [[ -e $entry/$ID ]] || continue
        rm -f -- "$entry/$ID"
        # A lab whose directory is gone holds nobody.
        for ref in "$entry"/*; do
            [[ ! -e $ref ]] || was_lab "$(<"$ref")" || rm -f -- "$ref"
        done
        rmdir -- "$entry" 2>/dev/null || continue
        user_remove "$user"
    done
}

user_remove() {
    user_exists "$1" && user_is_ours "$1" || return 0
    local uid home
    uid=$(id -u "$1")
    home=$(user_home "$1")
    pkill -KILL -U "$uid" 2>/dev/null || true
    wait_until 5 user_is_idle "$uid" || say "processes of $1 do not die"
    userdel --force "$1" 2>/dev/null || say "userdel $1 failed"
    [[ $home == "$USER_HOMES/$1" ]] && rm -rf --one-file-system -- "$home"
    rm -f -- "/var/mail/$1"
    rmdir -p -- "$USER_HOMES" 2>/dev/null || true
}

user_is_idle() { ! pgrep -U "$1" >/dev/null; }

users_orphaned_remove() {
    local user
    while IFS=: read -r user _; do
        user_remove "$user"
    done < <(getent passwd | awk -F: -v mark="$USER_MARK" '$5 ~ "^" mark')
}
