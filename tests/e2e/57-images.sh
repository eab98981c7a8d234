#!/usr/bin/env bash
# The images of projects: a Dockerfile, a build that one can follow, a container in which the packages are there. Base image
# and packages are the story's own: no registry is asked.
source "$(dirname "$0")/lib.sh"

lab_start --users ada:student,ben:student

said_by() { as "$@" 2>&1 </dev/null; }
image_id() { engine image inspect --format '{{.Id}}' "$1" 2>/dev/null | grep . || echo gone; }
status() { engine inspect --format '{{.State.Status}}' "$1" 2>/dev/null | grep . || echo gone; }
containers() { engine ps --all --quiet | wc -l; }
reload() { kill -HUP "$(<"$DIR/lab/ds01d.pid")"; }
seconds() { jq -r .build.seconds <<<"$1"; }

# wheel NAME VERSION MODULES: a package of so many modules, as PyPI would have it.
wheel() {
    /usr/bin/python3 - "$SCRATCH/base" "$@" <<'PY'
import sys, zipfile
directory, name, version, modules = *sys.argv[1:4], int(sys.argv[4])
info = f"{name}-{version}.dist-info"
files = {f"{name}/__init__.py": f"__version__ = '{version}'\n"}
body = "".join(f"def f{i}(x):\n    return [y * {i} + x for y in range(x) if y % 3]\n" for i in range(60))
files |= {f"{name}/m{n}.py": f"N = {n}\n{body}" for n in range(modules)}
files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: story\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
with zipfile.ZipFile(f"{directory}/{name}-{version}-py3-none-any.whl", "w") as archive:
    for path, text in files.items():
        archive.writestr(path, text)
PY
}

# An image with pip, which finds packages in a directory of its own: what a framework's image is to the commands.
make_base() {
    mkdir -p "$SCRATCH/base"
    (cd "$SCRATCH/base" && apt-get -qq download python3-pip-whl 2>/dev/null &&
        dpkg-deb --fsys-tarfile ./*.deb | tar -x --strip-components=4 ./usr/share/python-wheels && rm ./*.deb) ||
        fail "Debian's package of pip cannot be had"
    wheel framework 2.8.0 3500
    wheel extra 1.0 1
    wheel extra 2.0 1
    wheel later 0.1 2
    cat >"$SCRATCH/base/Dockerfile" <<'EOF'
FROM ds01-python:latest
COPY *.whl /wheels/
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
RUN set -- /wheels/pip-*.whl && python3 $1/pip install --break-system-packages --quiet $1
EOF
    DOCKER_BUILDKIT=0 engine build --quiet --tag lab/pytorch:2.8.0 "$SCRATCH/base" >/dev/null 2>&1
}

dockerfile() { as ada sh -c "mkdir -p workspace/$1 && cat >workspace/$1/Dockerfile"; }

note "built where it is missing; left alone while it is what its Dockerfile says"
assert_fails "no Dockerfile to build one from" as ada image update thesis
dockerfile thesis <<'EOF'
FROM ds01-python:latest
WORKDIR /workspace
COPY requirements.txt /opt/
RUN echo made >/opt/made
EOF
echo numpy | as ada tee workspace/thesis/requirements.txt >/dev/null
as ada mkdir -p workspace/thesis/data
as ada truncate -s 20G workspace/thesis/data/huge
seen=$(said_by ada image update thesis)
assert_contains "$seen" "4/4  RUN echo made >/opt/made"
assert_contains "$seen" "built ds01-ada/thesis:latest"
first=$(image_id ds01-ada/thesis)
assert_contains "$(said_by ada image update thesis)" "is up to date"
assert_contains "$(as ada cat .cache/ds01/builds/thesis.log)" "Successfully tagged ds01-ada/thesis:latest"

note "a change of what it copies is a change of the image; what was done before is taken from there"
echo pandas | as ada tee workspace/thesis/requirements.txt >/dev/null
assert_contains "$(said_by ada image update thesis)" "WORKDIR /workspace   cached"
assert_ne "$(image_id ds01-ada/thesis)" "$first"
assert_eq "$(as ada docker run --rm ds01-ada/thesis cat /opt/requirements.txt)" pandas
assert_eq "$(as ada image update thesis --rebuild --json 2>/dev/null | jq .build.cached)" 3
assert_eq "$(as ada image update thesis --no-cache --json 2>/dev/null | jq .build.cached)" 0

note "a build that fails says where, and the image stays"
kept=$(image_id ds01-ada/thesis)
echo 'RUN echo the reason >&2; exit 7' | as ada tee -a workspace/thesis/Dockerfile >/dev/null
assert_fails "| the reason" as ada image update thesis
assert_fails "returned a non-zero code: 7" as ada image update thesis
assert_eq "$(image_id ds01-ada/thesis)" "$kept"

note "Ctrl-C ends the step and leaves nothing behind"
printf 'FROM ds01-python\nRUN echo begun; exec sleep 1000\n' | dockerfile thesis
in_background build as ada sh -c 'image update thesis & echo $! >pid; wait $!'
begun() { as ada grep -qx begun .cache/ds01/builds/thesis.log; }
wait_for begun
as ada sh -c 'kill -INT "$(cat pid)"'
wait_for ended build
assert_eq "$(<"$SCRATCH/build.rc")" 130
assert_contains "$(<"$SCRATCH/build.out")" "you gave up: ds01-ada/thesis:latest is as it was before"
nothing_left() { [[ $(containers) == 0 ]]; }
wait_for nothing_left
assert_eq "$(image_id ds01-ada/thesis)" "$kept"

note "created: a Dockerfile that a person would have written, an image with what was asked for"
make_base
cat >>"$DS01_CONFIG" <<'YAML'
frameworks:
  pytorch: elsewhere/pytorch:latest
  pytorch-2.9.1: elsewhere/pytorch:2.9.1
  pytorch-2.8.0: lab/pytorch:2.8.0
use_cases:
  ours: { title: What everybody here needs, packages: [later, 'extra<2'] }
YAML
reload
knows() { as ada image create probe --framework pytorch --version 2.8.0 --dry-run; }
wait_for knows
assert_contains "$(as ada image create probe --dry-run)" "FROM lab/pytorch:2.8.0" "what is here is preferred"
assert_contains "$(as ada image create probe --use-case ours --dry-run)" '    "extra<2"' "the machine's own list of packages"
assert_fails "no packages are known for cv; there are: ours" as ada image create probe --use-case cv --dry-run
assert_fails "there is no pytorch 3.0 here; there are: 2.9.1, 2.8.0" as ada image create probe --framework pytorch --version 3.0
assert_fails "for which project?" as ada image create
assert_fails "call it my-thesis" as ada image create My-Thesis --framework pytorch
assert_eq "$(as ada sh -c 'ls dockerfiles 2>/dev/null | wc -l')" 0 "nothing is written but what was asked for"
echo 'extra==1.0' | as ada tee packages.txt >/dev/null
made=$(as ada image create paper --framework pytorch --packages 'framework>=2' --requirements packages.txt --json 2>/dev/null)
assert_eq "$(as ada cat workspace/paper/packages.txt)" 'extra==1.0'
assert_eq "$(jq -r '.image + " " + .base' <<<"$made")" "ds01-ada/paper:latest lab/pytorch:2.8.0"
assert_eq "$(as ada image list --json | jq -r '.images[] | select(.project == "paper") | "\(.base) \(.up_to_date)"')" "lab/pytorch:2.8.0 true"
assert_fails "has a Dockerfile already" as ada image create paper --framework pytorch
as ada container deploy paper --background --cpu-only >/dev/null
version_of() { as ada docker exec paper._.ada python3 -c "import $1; print($1.__version__)"; }
assert_eq "$(version_of framework) $(version_of extra)" "2.8.0 1.0"

note "updated: the package is there in a new container, and the build takes the rest from the one before"
assert_contains "$(as ada image update paper --add later --dry-run)" "+    later"
assert_fails "does not install never" as ada image update paper --remove never
assert_fails "pip knows no never" as ada image update paper --add never
assert_lacks "$(as ada cat dockerfiles/paper.Dockerfile)" never "a change that cannot be built is not kept"
again=$(as ada image update paper --add later --json 2>/dev/null)
as ada container retire paper >/dev/null
as ada container deploy paper --background --cpu-only >/dev/null
assert_eq "$(version_of framework) $(version_of later)" "2.8.0 0.1"
printf '    the first build took %.1f s, the second %.1f s\n' "$(seconds "$made")" "$(seconds "$again")"
jq -en --argjson a "$(seconds "$made")" --argjson b "$(seconds "$again")" '$b <= $a / 5' >/dev/null || fail "the second build took more than a fifth of the first"
as ada image update paper --remove later >/dev/null 2>&1
assert_lacks "$(as ada cat dockerfiles/paper.Dockerfile)" later
printf '#!/bin/sh\nsed -i s/framework.=2/framework==2.8.0/ "$1"\n' | as ada tee edit >/dev/null
as ada chmod +x edit
assert_contains "$(said_by ada env EDITOR=./edit image update paper --edit --no-build)" '+    "framework==2.8.0"'
assert_eq "$(as ada image list --json | jq -r '.images[] | select(.project == "paper").up_to_date')" false

as ada container retire paper >/dev/null

note "installed by hand: written into the Dockerfile when the container goes, if that is asked for"
as ada container deploy paper --background --cpu-only >/dev/null
as ada docker exec paper._.ada pip install --quiet --user later extra==2.0
# What apt and conda leave behind, as they write it.
as ada docker exec -i -u 0 paper._.ada sh <<'END'
mkdir -p /var/lib/dpkg/info /var/lib/apt /opt/conda/conda-meta /opt/conda/bin
touch /var/lib/dpkg/info/jq.list /var/lib/dpkg/info/libjq1:amd64.list /opt/conda/bin/conda /opt/conda/conda-meta/zstd-1.5.6-h1_0.json
printf 'Package: %s\nStatus: install ok installed\n\n' jq libjq1 >/var/lib/dpkg/status
printf 'Package: libjq1\nAuto-Installed: 1\n\n' >/var/lib/apt/extended_states
printf '==> 2026-11-21 18:00:00 <==\n+conda-forge/linux-64::zstd-1.5.6-h1_0\n# update specs: ["zstd"]\n' >/opt/conda/conda-meta/history
END
assert_contains "$(said_by ada container retire paper --save-packages)" "installs jq conda-forge::zstd=1.5.6 extra==2.0 later==0.1 now"
assert_contains "$(as ada cat dockerfiles/paper.Dockerfile)" "    later==0.1"
assert_contains "$(as ada cat dockerfiles/paper.Dockerfile)" $'RUN conda install --yes \\\n    conda-forge::zstd=1.5.6'
assert_eq "$(status paper._.ada)" gone
as ada image update paper --remove later extra zstd --remove-system jq --no-build >/dev/null 2>&1
as ada container deploy paper --background --cpu-only >/dev/null
as ada docker exec paper._.ada pip install --quiet --user later
as ada mv dockerfiles/paper.Dockerfile aside
assert_fails "no Dockerfile" as ada container retire paper --save-packages
assert_eq "$(status paper._.ada)" running "what could not be saved is not lost"
as ada mv aside dockerfiles/paper.Dockerfile

note "deleted: not while containers have it; the Dockerfile is kept; another's image is nobody's"
assert_fails "containers were made of it: paper._.ada (running)" as ada image delete paper
assert_fails "there is no ds01-ben/paper:latest" as ben image delete paper
assert_fails "you have no image ds01-ada/paper:latest" as ben image delete ds01-ada/paper:latest
as ada ds01 share image ds01-ada/paper --with ben >/dev/null
assert_contains "$(as ben image list)" "shared by ada"
assert_fails "" as ben image delete ds01-ada/paper:latest --force
as ada container retire paper >/dev/null
assert_contains "$(said_by ada image delete paper thesis)" "dockerfiles/paper.Dockerfile is kept"
assert_eq "$(image_id ds01-ada/paper) $(image_id ds01-ada/thesis)" "gone gone"
assert_file "$(as ada sh -c 'echo ~')/dockerfiles/paper.Dockerfile"
assert_contains "$(as ada image list)" "not built"
