#!/usr/bin/env python3
"""Prints what a CTest run comes to: single test cases, failures by name, and why cases were skipped.

usage: totals.py Testing/Temporary/LastTest.log
A GoogleTest program counts as its cases, any other test as one.
"""
import re
import sys


def programs(text):
    """Yields (name, output, passed) of each program that was run."""
    for block in re.split(r"^(?=\d+/\d+ Testing: )", text, flags=re.M):
        name = re.match(r"\d+/\d+ Testing: (.*)", block)
        if name:
            yield name[1], block, "\nTest Passed.\n" in block


def count(pattern, text):
    return sum(int(n) for n in re.findall(pattern, text, flags=re.M))


def main(path):
    with open(path, errors="replace") as log:
        text = log.read()
    passed = failed = skipped = 0
    for name, output, ok in programs(text):
        cases = count(r"^\[  PASSED  \] (\d+) tests?", output)
        broken = count(r"^\[  FAILED  \] (\d+) tests?, listed below", output)
        left_out = count(r"^\[  SKIPPED \] (\d+) tests?, listed below", output)
        if not cases + broken + left_out:
            cases = int(ok)
        if not ok:
            broken = max(broken, 1)
            print(f"FAILED   {name}")
        passed, failed, skipped = passed + cases, failed + broken, skipped + left_out
        for case in re.finditer(r"^\[ RUN      \] (\S+)\n(.*?)^\[  SKIPPED \] \1", output, flags=re.M | re.S):
            reason = " ".join(re.sub(r"^\S+: Skipped\n", "", case[2], flags=re.M).split())
            print(f"skipped  {name}: {case[1]}: {reason}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")


if __name__ == "__main__":
    main(sys.argv[1])
