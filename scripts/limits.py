"""Checks the limits of CONTRIBUTING.md: sources of a folder, lines of a file, lines of a function.

It relies on the project's format: a function begins at a line that ends with "{" and ends at the "}" of the same column.
"""

import os
import re
import subprocess
import sys

folder_limit, file_limit, function_limit = 24, 400, 60
rooms = ("include/", "kernels/", "host/", "bench/", "tests/", "docs/", "examples/")
sources = re.compile(r"\.(cpp|hpp|cu|cuh|sh)$")
no_function = re.compile(r"\s*(namespace|class|struct|union|enum|extern|typedef)\b|.*[=\]]\s*\{$|.*\breturn\b.*\{$")


def functions(lines):
    """(first line, number of lines) of each function outside of functions, from column 0 or 4."""
    begin = column = None
    for number, line in enumerate(lines, 1):
        if begin is None:
            indent = len(line) - len(line.lstrip())
            if indent <= 4 and line.endswith("{") and not no_function.match(line):
                begin, column = number, indent
        elif re.match(" {%d}\\}[;)]*$" % column, line):
            yield begin, number - begin + 1
            begin = None


def main():
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", *rooms], text=True).split("\n")
    faults, folders = [], {}
    for path in filter(sources.search, listed):
        if not os.path.exists(path):
            continue
        folders[os.path.dirname(path)] = folders.get(os.path.dirname(path), 0) + 1
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")[:-1]
        if len(lines) > file_limit:
            faults.append(f"{path}: {len(lines)} lines, at most {file_limit}")
        if not path.endswith(".sh"):
            for begin, length in functions(lines):
                if length > function_limit:
                    faults.append(f"{path}:{begin}: a function of {length} lines, at most {function_limit}")
    for folder, count in folders.items():
        if count > folder_limit:
            faults.append(f"{folder}: {count} sources, at most {folder_limit}")
    if faults:
        print("\n".join(sorted(faults)))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
