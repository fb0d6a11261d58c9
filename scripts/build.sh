# shellcheck shell=bash disable=SC2154
# Configures and builds. Sourced after environment.sh.
. scripts/progress.sh

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

# build <folder> <target>...: with all processors; shows how far it is, and fails with all messages of the compiler.
build() {
    local folder=$1 targets=()
    shift
    [ $# -eq 0 ] || targets=(--target "$@")
    NINJA_STATUS='[%f/%t] ' cmake --build "$folder" -j "$jobs" "${targets[@]}" 2>&1 |
        tee "$folder/build.log" | show_progress "building ${folder#"$PWD/"}" || {
        grep -v -E '^\[ *[0-9]+(%|/[0-9]+)\]' "$folder/build.log" || true
        die "the build in $folder failed; see $folder/build.log"
    }
}

# build_main <CMake arguments>...: what users get, with optimisation, in build/release.
build_main() {
    configure "$build_folder/release" -DCMAKE_BUILD_TYPE=Release -DELBO_TESTS=OFF "$@"
    build "$build_folder/release"
}
