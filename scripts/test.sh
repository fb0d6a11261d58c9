#!/usr/bin/env bash
# ./run test: every test that this machine can run. See ./run help.
set -euo pipefail
. scripts/environment.sh
. scripts/build.sh

quick=false coverage=false filter=""
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=true ;;
    --coverage) coverage=true ;;
    --filter)
        filter=${2:?--filter needs a regular expression}
        quick=true
        shift
        ;;
    *) die "unknown option $1 of test; see ./run help" ;;
    esac
    shift
done

failed=() skipped=() times=()

# phase <name> <command>...: runs it in a shell of its own, notes the time and whether it failed, and goes on.
phase() {
    local name=$1 start=$SECONDS
    shift
    say "$name"
    if ! ("$@"); then failed+=("$name"); fi
    times+=("$(printf '%5d s  %s' $((SECONDS - start)) "$name")")
}
skip() {
    skipped+=("$1")
    say "skipped: $1"
}

# run_tests <folder> <CTest arguments>...: prints failures in full and the totals.
run_tests() {
    local folder=$1 status=0
    shift
    ctest --test-dir "$folder" -j "$jobs" --output-on-failure --no-tests=error "$@" >"$folder/tests.log" 2>&1 || status=$?
    if [ $status -ne 0 ]; then cat "$folder/tests.log"; fi
    python3 scripts/totals.py "$folder/Testing/Temporary/LastTest.log"
    return $status
}

main_tests() {
    configure "$build_folder/release" -DCMAKE_BUILD_TYPE=Release -DELBO_TESTS=ON -DELBO_BENCH=ON
    build "$build_folder/release" all all_verify_interface_header_sets
}

# Only the library's own host code: no CUDA, no tool, little optimisation.
instrumented_build() { # <name> <CMake arguments>...
    local name=$1
    shift
    configure "$build_folder/$name" -DCMAKE_BUILD_TYPE=Instrumented "-DCMAKE_CXX_FLAGS_INSTRUMENTED=-O1 -g1" -DELBO_CUDA=OFF "$@"
    build "$build_folder/$name"
}
# What rests on the BLAS most, with OpenBLAS's kernels of three generations; the tests before ran with its own choice.
# No result may hang on how one of them rounds.
blas_tests() { OPENBLAS_CORETYPE=$1 run_tests "$build_folder/release" -R 'latent|laws' -E ptxas -L 'cpu|cuda'; }
blas_phases() {
    local pair flag core own what="results with other kernels of OpenBLAS"
    if [ "$(uname -m)" != x86_64 ]; then
        skip "$what (only x86-64 has a choice)"
    elif [ -n "${OPENBLAS_CORETYPE:-}" ]; then
        skip "$what (OPENBLAS_CORETYPE is $OPENBLAS_CORETYPE already)"
    else
        own=$("$build_folder/release/bin/elbo" devices --json - | sed -n 's/.*"core": *"\([^"]*\)".*/\1/p')
        for pair in sse2:Prescott avx2:Haswell avx512f:SkylakeX; do
            flag=${pair%%:*} core=${pair#*:}
            if [ "$core" = "$own" ]; then
                skip "tests with OpenBLAS's kernels for $core (its own choice here: the tests before ran with them)"
            elif grep -qw "$flag" /proc/cpuinfo; then
                phase "tests with OpenBLAS's kernels for $core" blas_tests "$core"
            else
                skip "tests with OpenBLAS's kernels for $core (this processor has no $flag)"
            fi
        done
    fi
}

# The suite of the emulator itself: what the CUDA tests are judged by must be right.
emulator_tests() {
    local log=$build_folder/release/emulator-tests.log status=0
    NVCC=$(find_nvcc) third_party/cuda-emulator/tests/run "$build_folder/release/cuda-emulator/runtime" >"$log" 2>&1 || status=$?
    if [ $status -ne 0 ]; then cat "$log"; fi
    tail -n 1 "$log"
    return $status
}
address_tests() {
    instrumented_build sanitize-address "-DELBO_SANITIZE=address;undefined" -DELBO_TOOLS=OFF
    LSAN_OPTIONS="suppressions=$PWD/tests/support/leaks.supp:print_suppressions=0 ${LSAN_OPTIONS:-}" \
        run_tests "$build_folder/sanitize-address" -L cpu
}
# oneTBB is not instrumented: the one file that calls it is not either, and what happens in between is not looked at. All
# that helpers share with a caller goes through atomic numbers of instrumented code, so that a race in a loop is seen.
thread_tests() {
    CC=clang CXX=clang++ instrumented_build sanitize-thread -DELBO_SANITIZE=thread -DELBO_TOOLS=OFF
    TSAN_OPTIONS="ignore_noninstrumented_modules=1 ${TSAN_OPTIONS:-}" run_tests "$build_folder/sanitize-thread" -L cpu
}
fuzz_tests() {
    CC=clang CXX=clang++ instrumented_build fuzz "-DELBO_SANITIZE=address;undefined" -DELBO_FUZZ=ON -DELBO_TESTS=OFF -DELBO_TOOLS=OFF \
        -DELBO_X86_SIMD=OFF -DELBO_FAST_BUILD=OFF # so that every source is seen to include what it uses
    run_tests "$build_folder/fuzz" -L fuzz
}
coverage_tests() {
    instrumented_build coverage -DELBO_COVERAGE=ON -DELBO_TOOLS=ON
    find "$build_folder/coverage" -name '*.gcda' -delete
    local status=0
    run_tests "$build_folder/coverage" -L cpu || status=$?
    python3 scripts/coverage.py "$build_folder/coverage" host kernels/cpu || status=$?
    return $status
}

install_packages build bench test tools
describe_machine
if [ -n "${ELBO_DATA_DIR:-}" ]; then say "larger data sets: $ELBO_DATA_DIR"; else
    skip "the tests that read larger data sets (ELBO_DATA_DIR is not set)"
fi

if $coverage; then
    phase "CPU tests with coverage" coverage_tests
elif [ -n "$filter" ]; then
    phase "build" main_tests
    phase "tests that match $filter" run_tests "$build_folder/release" -R "$filter"
else
    phase "build with warnings and header checks" main_tests
    if [ ${#failed[@]} -eq 0 ]; then
        phase "tests of the reference and cpu back ends" run_tests "$build_folder/release" -L cpu
        if [ -z "$(find_nvcc)" ]; then
            skip "the cuda back end (no nvcc)"
        else
            phase "tests of the cuda back end" run_tests "$build_folder/release" -L cuda
        fi
        blas_phases
        phase "the installed package" run_tests "$build_folder/release" -L install
    fi
    if ! $quick; then
        if emulator_used; then phase "the emulator's own tests" emulator_tests; fi
        phase "address and undefined-behaviour sanitizers" address_tests
        if have clang++; then
            phase "thread sanitizer" thread_tests
            if compgen -G 'tests/fuzz/fuzz_*.cpp' >/dev/null; then phase "fuzzing of the readers" fuzz_tests; fi
        else
            skip "thread sanitizer and fuzzing (no clang)"
        fi
        phase "limits of folders, files and functions" python3 scripts/limits.py
        if have clang-format; then phase "formatting" scripts/format.sh --check; else skip "formatting (no clang-format)"; fi
    fi
fi

say "time"
printf '%s\n' "${times[@]}"
for what in "${skipped[@]}"; do say "skipped: $what"; done
if [ ${#failed[@]} -gt 0 ]; then
    for what in "${failed[@]}"; do say "FAILED: $what"; done
    exit 1
fi
say "all passed"
