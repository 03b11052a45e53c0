#!/usr/bin/env bash
# workbench.sh VERB … - set up whatever is missing, then run the workbench.
#   setup [EXTRA …]: only set up, with these extras (torch, onnx, test)    test: the project's tests
#   anything else: `workbench VERB …`
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
venv=$root/.venv

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $1"; [ $# -lt 2 ] || say "  help: $2"; exit 1; }

find_python() {
    local name
    for name in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [ -n "$name" ] && command -v "$name" >/dev/null \
            && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$name"
            return
        fi
    done
    fail "Python 3.11 or newer is needed; there is $(python3 --version 2>&1 || echo none)" \
        "install it, or name one: PYTHON=/path/to/python3.12 ./workbench.sh …"
}

install_packages() {
    command -v apt-get >/dev/null || fail "missing: $*" \
        "this is not Debian or Ubuntu; install an Arm embedded gcc (arm-none-eabi-gcc with newlib), make and Python's venv"
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        if [ -t 0 ]; then as_root=(sudo); else as_root=(sudo -n); fi
        command -v sudo >/dev/null || fail "missing: $*" "as root: apt-get install $*"
    fi
    say "installing $*"
    "${as_root[@]}" apt-get update -qq >&2 || true
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null \
        || fail "could not install: $*" "run: sudo apt-get update && sudo apt-get install $*"
}

setup() {
    local python missing=()
    [[ $root != *:* ]] || fail "$root: Python makes no environment in a path with a colon" "move the checkout"
    if ! [ -x "$venv/bin/python" ]; then
        python=$(find_python)
        "$python" -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    fi
    command -v arm-none-eabi-gcc >/dev/null || missing+=(gcc-arm-none-eabi)
    if [[ " ${missing[*]:-} " == *gcc-arm* ]] \
        || [ ! -e "$(arm-none-eabi-gcc -print-file-name=libc.a 2>/dev/null)" ]; then
        missing+=(libnewlib-arm-none-eabi)
    fi
    command -v make >/dev/null || missing+=(make)
    [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"

    # The stamp holds what was installed; another pyproject.toml, a moved checkout, or an extra that is not there yet
    # installs again, with all extras that are.
    local wanted extra had extras
    wanted="$root $(cksum <"$root/pyproject.toml")"
    had=$(cat "$venv/.extras" 2>/dev/null || true)
    extras=$had
    for extra in "$@"; do
        [[ " $extras " == *" $extra "* ]] || extras="${extras:+$extras }$extra"
    done
    if [ "$(cat "$venv/.workbench" 2>/dev/null)" != "$wanted" ] || [ "$extras" != "$had" ]; then
        say "setting up .venv (once)${extras:+ with $extras}"
        "$venv/bin/python" -c '' 2>/dev/null || "${python:-$(find_python)}" -m venv --clear "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e "$root${extras:+[${extras// /,}]}" >&2 \
            || fail "could not install the Python packages" "look at pip's words above; the network may be out of reach"
        printf '%s' "$extras" >"$venv/.extras"
        printf '%s' "$wanted" >"$venv/.workbench"
    fi
}

# What the tests take beside: this machine's own compilers, for the native twin. Without them those tests skip.
setup_for_tests() {
    local missing=()
    command -v gcc >/dev/null || missing+=(gcc)
    [ -e /usr/include/string.h ] || missing+=(libc6-dev)
    command -v clang >/dev/null || missing+=(clang)
    [ ${#missing[@]} = 0 ] && return
    if ! command -v apt-get >/dev/null || ! (install_packages "${missing[@]}"); then
        say "tests that need ${missing[*]} are skipped"
    fi
}

verb=${1:-}
case $verb in
    "") setup; exec "$venv/bin/python" -m workbench ;;
    setup) shift; setup "$@" ;;
    # The tests start many processes: each would compile the whole package again where bytecode is not kept.
    test) shift; setup test torch onnx; setup_for_tests; cd "$root"; exec env -u PYTHONDONTWRITEBYTECODE "$venv/bin/python" -m pytest -n "${WORKBENCH_TEST_JOBS:-auto}" "$@" ;;
    *) setup; exec "$venv/bin/python" -m workbench "$@" ;;
esac
