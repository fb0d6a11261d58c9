# shellcheck shell=bash disable=SC2034,SC2086
# What this machine has, and how what is missing is installed. Sourced from the project's root.

build_folder=$PWD/build
jobs=${BUILD_JOBS:-$(nproc)}
export ELBO_DATA_DIR=${ELBO_DATA_DIR:-$(readlink -f ../shared/data 2>/dev/null || true)}
[ -d "$ELBO_DATA_DIR" ] || unset ELBO_DATA_DIR

# The precompiled headers can be cached only if this is promised.
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}
# The same sources in another folder are found in the cache.
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$PWD} CCACHE_NOHASHDIR=${CCACHE_NOHASHDIR:-true}

say() { printf '== %s\n' "$*"; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

gpu_present() { [ -e /dev/nvidiactl ]; }
find_nvcc() {
    if [ -n "${CUDACXX:-}" ]; then
        echo "$CUDACXX"
    elif have nvcc; then
        command -v nvcc
    elif [ -x /usr/local/cuda/bin/nvcc ]; then
        echo /usr/local/cuda/bin/nvcc
    fi
}
emulator_used() { [ -n "$(find_nvcc)" ] && ! gpu_present; }

# --- Packages -------------------------------------------------------------------------------------------------------

build_packages="cmake make ninja-build ccache pkg-config python3 libopenblas-serial-dev liblapacke-dev libtbb-dev libfmt-dev
 nlohmann-json3-dev libcli11-dev libhdf5-dev zlib1g-dev libpng-dev"
bench_packages="libbenchmark-dev"
test_packages="libgtest-dev"
emulator_packages="liblz4-dev libzstd-dev"
tools_packages="clang clang-format clang-tidy" # sanitizers, fuzzing, formatting: what lacks them is skipped

is_installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

compiler_package() {
    # Ubuntu 22.04 has g++ 11 by default; the library needs 12.
    if [ "$(. /etc/os-release && echo "${VERSION_ID:-}")" = 22.04 ]; then echo g++-12; else echo g++; fi
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# missing_packages <package>...: those that are not installed.
missing_packages() {
    local package
    for package in "$@"; do
        is_installed "$package" || printf ' %s' "$package"
    done
}

# apt_install <required|optional> <package>...: installs what is missing.
apt_install() {
    local kind=$1 missing
    shift
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    say "installing (apt; a minute or two):$missing"
    if ! { as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } </dev/null; then
        [ "$kind" = optional ] || die "these packages could not be installed:$missing"
        say "could not be installed, and what needs them is skipped:$missing"
    fi
}

# install_packages <group>...: of build, bench, test, tools.
install_packages() {
    local group required=""
    for group in "$@"; do
        case $group in
        build) required+=" $build_packages $(compiler_package)" ;;
        bench) required+=" $bench_packages" ;;
        test)
            required+=" $test_packages"
            if emulator_used; then required+=" $emulator_packages"; fi
            ;;
        esac
    done
    if ! have apt-get; then
        say "not a Debian system; these packages or their like are needed:" $required
    else
        apt_install required $required
        case " $* " in *" tools "*) apt_install optional $tools_packages ;; esac
    fi
    use_recent_cmake
    use_recent_compiler
}

# CMake 3.25 is asked for; where the system's is older, one is put into build/tools.
use_recent_cmake() {
    local tools=$build_folder/tools
    [ ! -x "$tools/bin/cmake" ] || PATH=$tools/bin:$PATH
    if printf '3.25\n%s\n' "$(cmake --version | sed -n 's/^cmake version //p')" | sort -V -C; then return; fi
    say "installing CMake 3.25 or newer into build/tools"
    if have apt-get; then apt_install required python3-venv; fi
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet 'cmake>=3.25,<4'
    PATH=$tools/bin:$PATH
}

use_recent_compiler() {
    if [ -z "${CXX:-}" ] && have g++-12 && [ "$(g++ -dumpversion 2>/dev/null || echo 0)" -lt 12 ]; then
        export CXX=g++-12 CC=gcc-12 CUDAHOSTCXX=g++-12
    fi
}

# --- What was found -------------------------------------------------------------------------------------------------

describe_machine() {
    local nvcc
    nvcc=$(find_nvcc)
    say "machine: $(nproc) processors, $(awk '/MemTotal/ {printf "%.0f", $2 / 1048576}' /proc/meminfo) GiB," \
        "$(. /etc/os-release && echo "$PRETTY_NAME"), $(${CXX:-g++} --version | head -n 1)"
    if gpu_present; then
        say "GPU: $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null || echo "a device, but nvidia-smi does not work")"
    else
        say "GPU: none"
    fi
    if [ -n "$nvcc" ]; then
        say "CUDA: $nvcc, $("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')"
        if gpu_present; then say "back ends: reference, cpu, cuda (on the GPU)"; else
            say "back ends: reference, cpu, cuda (no GPU: the CUDA tests run under third_party/cuda-emulator)"
        fi
    else
        say "CUDA: no nvcc, so the CUDA back end is neither built nor tested"
        say "back ends: reference, cpu"
    fi
}
