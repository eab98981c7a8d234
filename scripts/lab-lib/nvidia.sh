# shellcheck shell=bash
# A faked NVIDIA driver: the library that ds01d asks, and a strict stand-in for the runtime that attaches GPUs. Both see
# the machine that one file describes. The nodes have the numbers of real ones and no driver behind them: a granted one
# answers "No such device or address" when it is opened, any other "Operation not permitted".

nvidia_install() {
    local profile=$1 build=$2 machine=$3 target
    target=${CARGO_TARGET_DIR:-$ROOT/target}/$profile
    if [[ $build == yes ]]; then nvidia_build "$profile"; fi
    [[ -e $target/libfake_nvml.so ]] || die "$target/libfake_nvml.so is not built"
    install -m 0755 -- "$target/libfake_nvml.so" "$NVML"
    install -m 0755 -- "$target/nvidia-container-runtime-stand-in" "$STAND_IN"
    printf '{"machine":"%s"}\n' "$DIR/etc/nvidia-nodes.json" >"$STAND_IN.json"
    jq --arg path "$STAND_IN" '.runtimes = {nvidia: $path}' "$DIR/bin/ds01-runtime.json" >"$DIR/bin/ds01-runtime.new"
    mv -- "$DIR/bin/ds01-runtime.new" "$DIR/bin/ds01-runtime.json"
    nvidia_machine "$machine"
}

nvidia_build() {
    local options=(--quiet -p ds01-fake-nvml -p ds01-nvidia-stand-in)
    [[ $1 == debug ]] || options+=(--release)
    (cd -- "$ROOT" && cargo build "${options[@]}" 9>&-) || die "cargo build failed"
}

# The machine section of the configuration, in a file of the lab's.
nvidia_section() {
    printf 'machine:\n  nvidia:\n    library: %s\n' "$NVML" >"$DIR/etc/nvidia.yaml"
    echo "$DIR/etc/nvidia.yaml"
}

# What the driver shows, and the nodes that the runtime attaches for it.
nvidia_machine() {
    jq '{control: [{path: "/dev/nvidiactl", type: "c", major: 195, minor: 255}],
         cards: [.gpus[] | select(.lost | not) | .minor as $minor |
             {uuid, pci, node: {path: "/dev/nvidia\($minor)", type: "c", major: 195, minor: $minor}} +
             if .mig then {mig: [.mig.devices[] | {uuid, nodes: [
                 {path: "/dev/nvidia-caps/nvidia-cap\(.gi * 9 + 3)", type: "c", major: 510, minor: (.gi * 9 + 3)},
                 {path: "/dev/nvidia-caps/nvidia-cap\(.gi * 9 + 4 + (.ci // 0))", type: "c", major: 510,
                  minor: (.gi * 9 + 4 + (.ci // 0))}]}]} else {} end]}' "$1" >"$DIR/etc/nvidia-nodes.new" ||
        die "$1 is not a machine"
    mv -- "$DIR/etc/nvidia-nodes.new" "$DIR/etc/nvidia-nodes.json"
    cp -- "$1" "$NVML.new"
    mv -- "$NVML.new" "$NVML.json"
}
