#!/usr/bin/env python3
"""Prints line coverage per file of some folders, merged over all objects.

usage: coverage.py BUILD_FOLDER SOURCE_FOLDER...
A source that was compiled several times (for several instruction sets) counts a line as covered if any of them ran it.
"""
import collections
import json
import os
import pathlib
import subprocess
import sys


def line_counts(build, root):
    """{file: {line: runs}} of all files below root, from gcov's JSON."""
    counts = collections.defaultdict(dict)
    for data in sorted(pathlib.Path(build).rglob("*.gcda")):
        out = subprocess.run(
            ["gcov", "--json-format", "--stdout", str(data)], cwd=data.parent, capture_output=True, text=True, check=True
        ).stdout
        for text in filter(None, out.splitlines()):
            for file in json.loads(text)["files"]:
                path = os.path.normpath(os.path.join(data.parent, file["file"]))
                if not path.startswith(root + os.sep):
                    continue
                lines = counts[os.path.relpath(path, root)]
                for line in file["lines"]:
                    lines[line["line_number"]] = lines.get(line["line_number"], 0) + line["count"]
    return counts


def main(build, folders):
    counts = line_counts(build, os.getcwd())
    for folder in folders:
        covered = total = 0
        for path in sorted(p for p in counts if p.startswith(folder + os.sep) and counts[p]):
            lines = counts[path]
            ran = sum(1 for n in lines.values() if n)
            print(f"{100 * ran / len(lines):6.1f}%  {ran:5d} of {len(lines):5d}  {path}")
            covered, total = covered + ran, total + len(lines)
        if total:
            print(f"{100 * covered / total:6.1f}%  {covered:5d} of {total:5d}  all of {folder}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
