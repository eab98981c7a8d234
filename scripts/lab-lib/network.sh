# shellcheck shell=bash
# The lab's network: a namespace of its own for the Engine, its bridges and its iptables rules, joined to the
# machine by one veth pair and one address block. A second dockerd in the same namespace flushes the first
# one's chains when it starts; here each has its own.
#
# Containers reach the world through the machine's NAT; the machine reaches containers by their addresses, and
# published ports at the addresses they were published on (the Engine's port proxy listens out here).

VETH=ds01v            # with the lab's id 13 characters; the kernel takes 15

network_up() {
    with_registry network_claim
    local block
    block=$(state BLOCK)
    local prefix=${block%.0.0/16} veth=$VETH$ID
    ip -n "$NETNS" link set lo up
    # An Engine that has to switch it on itself lets nobody from out here reach its containers.
    ip netns exec "$NETNS" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    ip -n "$NETNS" addr add "$prefix.0.2/30" dev uplink
    ip -n "$NETNS" link set uplink up
    ip -n "$NETNS" route add default via "$prefix.0.1"
    ip -n "$NETNS" link add "ds01b$ID" type bridge
    ip -n "$NETNS" addr add "$prefix.16.1/20" dev "ds01b$ID"
    ip -n "$NETNS" link set "ds01b$ID" up
    ip route add "$block" via "$prefix.0.2" dev "$veth"
    forwarding_up "$block" "$veth"
}

# Names are taken while nobody else chooses: the address on the veth marks the block as used.
network_claim() {
    local block prefix
    block=$(network_free_block) || die "no free address block: all of 10.200-10.255 and 172.20-172.31 are in use here"
    prefix=${block%.0.0/16}
    save_state BLOCK "$block"
    ip netns add "$NETNS"
    ip link add "$VETH$ID" type veth peer name uplink netns "$NETNS"
    ip addr add "$prefix.0.1/30" dev "$VETH$ID"
    ip link set "$VETH$ID" up
    if [[ ! -e $REGISTRY/ip_forward ]]; then
        cat /proc/sys/net/ipv4/ip_forward >"$REGISTRY/ip_forward"
    fi
    echo 1 >/proc/sys/net/ipv4/ip_forward
}

# A block is free when no route lies within it and none but the default covers it.
network_free_block() {
    local start=$((16#${ID:0:2} % 56)) n candidate
    for ((n = 0; n < 68; n++)); do
        if ((n < 56)); then
            candidate=10.$((200 + (start + n) % 56)).0.0/16
        else
            candidate=172.$((n - 36)).0.0/16
        fi
        [[ -z $(ip -4 route show table all root "$candidate") ]] || continue
        [[ -z $(ip -4 route show table all match "$candidate" | grep -v '^default') ]] || continue
        printf %s "$candidate"
        return
    done
    return 1
}

# Rules carry the lab's name as a comment; down removes exactly these.
forwarding_up() {
    local block=$1 veth=$2 mark=(-m comment --comment "ds01-lab-$ID")
    iptables -w 10 -t nat -A POSTROUTING -s "$block" ! -o "$veth" "${mark[@]}" -j MASQUERADE
    iptables -w 10 -I FORWARD -i "$veth" "${mark[@]}" -j ACCEPT
    iptables -w 10 -I FORWARD -o "$veth" "${mark[@]}" -j ACCEPT
}

network_down() {
    local table rule
    for table in nat filter; do
        while read -r rule; do
            # shellcheck disable=SC2086  # a rule is words
            iptables -w 10 -t "$table" -D ${rule#-A } || true
        done < <(iptables -w 10 -t "$table" -S 2>/dev/null | grep -F -- "--comment ds01-lab-$ID " || true)
    done
    ip link del "$VETH$ID" 2>/dev/null || true
    if [[ -e /run/netns/$NETNS ]]; then
        ip netns del "$NETNS" 2>/dev/null || true
    fi
}

network_left() {
    ip link show "$VETH$ID" &>/dev/null && echo "link $VETH$ID"
    [[ -e /run/netns/$NETNS ]] && echo "network namespace $NETNS"
    if iptables -w 10 -S 2>/dev/null | grep -qF "ds01-lab-$ID "; then echo "iptables rules of ds01-lab-$ID"; fi
    return 0
}
