#!/usr/bin/env python3
"""Makes files of counts that elbo reads, from two public data sets.

    scripts/count-data.py OUT [FOLDER]

FOLDER (default: the environment variable ELBO_DATA_DIR) holds 20news-counts/{train,test}.feat, word counts of documents as
lines "label index:count ...", and pollen-scrna/counts.csv, genes by cells. Into OUT go 20news-{train,test}.npy
[documents x words] and pollen-{train,test}.npy [cells x genes], every fifth cell for testing, with the --genes genes of
the largest variance of ln(1 + x) (default 1000). Beside each lies a file ...-log1p.npy with y = ln(1 + x + u), u drawn
uniformly from [0, 1) by a fixed seed, and printed is the mean over its rows of the sum of y. With the density q that a
model gives y, that of x + u is q(y) / (1 + x + u), and its mean logarithm over u is a lower bound on ln P(x) of the
counts (Theis, van den Oord and Bethge, arXiv 1511.01844): the bound that elbo reports, less what is printed.
"""
import argparse
import array
import csv
import math
import os
import pathlib
import random
import sys

WORDS = 1995


def write(path, rows):
    """Rows of numbers as a .npy file of float32."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
        for row in rows:
            numbers = array.array("f", row)
            if sys.byteorder == "big":
                numbers.byteswap()
            file.write(numbers.tobytes())


def write_both(folder, name, rows):
    write(folder / f"{name}.npy", rows)
    numbers = random.Random(1)
    logs = [[math.log1p(x + numbers.random()) for x in row] for row in rows]
    write(folder / f"{name}-log1p.npy", logs)
    jacobian = sum(map(sum, logs)) / len(logs)
    total = sum(map(sum, rows)) / len(rows)
    print(f"{name}: {len(rows)} x {len(rows[0])}, {total:.1f} counts a row, sum of y {jacobian:.4f}")


def documents(path):
    rows = []
    for line in path.read_text().splitlines():
        row = [0.0] * WORDS
        for entry in line.split()[1:]:
            index, count = entry.split(":")
            row[int(index) - 1] += float(count)
        rows.append(row)
    return rows


def cells(path, genes):
    with open(path, newline="") as file:
        table = [[float(x) for x in row[1:]] for row in list(csv.reader(file))[1:]]

    def spread(row):
        logs = [math.log1p(x) for x in row]
        mean = sum(logs) / len(logs)
        return sum((x - mean) ** 2 for x in logs)

    kept = sorted(sorted(range(len(table)), key=lambda i: -spread(table[i]))[:genes])
    return [list(column) for column in zip(*(table[i] for i in kept))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("folder", nargs="?", default=os.environ.get("ELBO_DATA_DIR"))
    parser.add_argument("--genes", type=int, default=1000)
    options = parser.parse_args()
    if not options.folder:
        parser.error("no FOLDER, and ELBO_DATA_DIR is not set")
    folder = pathlib.Path(options.folder)
    options.out.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        write_both(options.out, f"20news-{part}", documents(folder / "20news-counts" / f"{part}.feat"))
    rows = cells(folder / "pollen-scrna" / "counts.csv", options.genes)
    write_both(options.out, "pollen-train", [row for i, row in enumerate(rows) if i % 5 != 0])
    write_both(options.out, "pollen-test", rows[::5])


if __name__ == "__main__":
    main()
