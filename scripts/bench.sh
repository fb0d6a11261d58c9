#!/usr/bin/env bash
# ./run bench [ARGUMENTS]: every benchmark program, with these arguments.
#   scripts/bench.sh BUILD_FOLDER [ARGUMENTS]
set -euo pipefail
folder=${1:?usage: scripts/bench.sh BUILD_FOLDER [ARGUMENTS]}
shift
for program in "$folder"/bench/*_bench; do
    "$program" "$@"
done
