# shellcheck shell=bash disable=SC2154
# Configures and builds. Sourced after environment.sh.

# configure <folder> <CMake arguments>...: output is shown only when it fails.
configure() {
    local folder=$1 generator=() launcher=() strict=()
    shift
    mkdir -p "$folder"
    if have ninja; then generator=(-G Ninja); fi
    if have ccache; then
        launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache)
    fi
    if [ "${CI:-false}" = true ]; then strict=(-DELBO_WERROR=ON); fi
    [ ! -f "$folder/CMakeCache.txt" ] || generator=() # a folder keeps its generator
    if ! cmake -S . -B "$folder" "${generator[@]}" "${launcher[@]}" "${strict[@]}" "$@" >"$folder/configure.log" 2>&1; then
        cat "$folder/configure.log"
        die "the configuration of $folder failed"
    fi
    sed -n '/-- elbo /,/HDF5/p' "$folder/configure.log"
}

# build <folder> <target>...: with all processors; fails with the compiler's messages.
build() {
    local folder=$1 targets=()
    shift
    [ $# -eq 0 ] || targets=(--target "$@")
    cmake --build "$folder" -j "$jobs" "${targets[@]}" >"$folder/build.log" 2>&1 || {
        grep -E -A 12 'error|FAILED|warning:' "$folder/build.log" | head -n 120
        die "the build in $folder failed; see $folder/build.log"
    }
}

# build_main <CMake arguments>...: what users get, with optimisation, in build/release.
build_main() {
    configure "$build_folder/release" -DCMAKE_BUILD_TYPE=Release -DELBO_TESTS=OFF "$@"
    build "$build_folder/release"
}
