#!/usr/bin/env bash
# ./run format [--check]: clang-format over the project's own sources.
set -euo pipefail
. scripts/environment.sh

have clang-format || apt_install required clang-format
mode=(-i)
[ "${1:-}" != --check ] || mode=(--dry-run -Werror)
# Versions before 14 do not know all settings, and newer ones break some lines elsewhere.
clang-format --version
git ls-files '*.cpp' '*.hpp' '*.cu' '*.cuh' | grep -v '^third_party/' | xargs clang-format --style=file "${mode[@]}"
