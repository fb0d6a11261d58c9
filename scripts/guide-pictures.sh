#!/usr/bin/env bash
# Draws the pictures of docs/guide.md anew.
#   scripts/guide-pictures.sh BUILD_FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:?usage: scripts/guide-pictures.sh BUILD_FOLDER}
cmake --build "$build" --target guide
"$build/docs/guide/guide" tests/data docs/guide
