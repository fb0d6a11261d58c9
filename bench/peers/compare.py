#!/usr/bin/env python3
"""Seconds of one EM iteration: elbo beside scikit-learn, PyTorch on the CPU and Armadillo.

    compare.py --bench PATH/mixture_bench [--armadillo PATH/armadillo_gmm] [--threads 2] [--rounds 5] [--seconds 1]
               [--clock wall|cpu]

Every peer gets float32 rows of the same distribution and size. The peers begin at the first rows as means and move on
from iteration to iteration; their times do not depend on where they are. elbo's do (it leaves out what cannot count):
it is timed at the mixture that the rows were drawn from. All run in turn, round after round, so that a machine that
slows down does so for all. Reported are medians over the rounds and ratios to elbo. Peers
that are not installed are left out. Memory that a peer frees is kept for its next iteration (glibc settings below), since
returning large arrays to the system and taking them anew makes PyTorch up to three times slower. On a machine that others use too, --clock cpu --threads 1 counts processor time.
Armadillo is compiled with
    g++ -O3 -march=native -fopenmp armadillo_gmm.cpp -o armadillo_gmm -larmadillo
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(10**11), "MALLOC_TOP_PAD_": str(10**9)}
if any(os.environ.get(name) != value for name, value in KEEP_MEMORY.items()):  # glibc reads them when a process starts
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | KEEP_MEMORY)

import numpy as np

SHAPES = [  # family, rows, dimensions, components, spread of the means
    ("full", 272, 2, 2, 4.0),
    ("full", 1000000, 2, 8, 0.5),
    ("diagonal", 1000000, 16, 64, 0.5),
    ("full", 1000000, 16, 64, 0.5),
    ("full", 1000000, 16, 64, 16.0),
    ("diagonal", 200000, 64, 64, 0.5),
    ("full", 200000, 64, 64, 0.5),
    ("full", 200000, 64, 64, 16.0),
    ("full", 100000, 128, 32, 0.5),
    ("diagonal", 100000, 784, 10, 0.5),
]


def make_rows(rows, dimensions, components, spread):
    rng = np.random.default_rng(1)
    means = rng.standard_normal((components, dimensions)) * spread / math.sqrt(dimensions)
    return (means[np.arange(rows) % components] + rng.standard_normal((rows, dimensions))).astype(np.float32)


def elbo_seconds(args, family, rows, dimensions, components, spread):
    command = [args.bench, f"--family={family}", f"--rows={rows}", f"--dimensions={dimensions}",
               f"--components={components}", f"--spread={spread}", f"--threads={args.threads}",
               f"--seconds={args.seconds}", f"--clock={args.clock}"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["seconds"]


def per_iteration(args, iteration):
    """Seconds of one call, after a warm-up, repeated for args.seconds."""
    now = time.process_time if args.clock == "cpu" else time.perf_counter
    iteration()
    times = []
    while sum(times) < args.seconds or not times:
        begin = now()
        iteration()
        times.append(now() - begin)
    return statistics.median(times)


def sklearn_seconds(args, family, x, components):
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits
    model = GaussianMixture(components, covariance_type={"full": "full", "diagonal": "diag"}[family])
    model._check_parameters(x)
    responsibilities = np.full((len(x), components), 1 / components, dtype=x.dtype)
    model._initialize(x, responsibilities)
    model.means_ = x[:components].copy()

    def iteration():  # what GaussianMixture.fit does in its loop
        _, log_responsibilities = model._e_step(x)
        model._m_step(x, log_responsibilities)

    with threadpool_limits(args.threads):
        return per_iteration(args, iteration)


def torch_seconds(args, family, x, components):
    import torch
    torch.set_num_threads(args.threads)
    rows, d = x.shape
    x = torch.from_numpy(x)
    log_weights = torch.full((components,), -math.log(components))
    means = x[:components].clone()
    factors = torch.eye(d).repeat(components, 1, 1) if family == "full" else torch.ones(components, d)
    constant = 0.5 * d * math.log(2 * math.pi)

    def full_iteration():
        log_densities = torch.empty(rows, components)
        for k in range(components):  # one matrix product each; all at once would take rows x k x d numbers
            y = (x - means[k]) @ factors[k]
            log_densities[:, k] = factors[k].diagonal().log().sum() + log_weights[k] - 0.5 * y.square().sum(1)
        r = torch.softmax(log_densities, 1)
        counts = r.sum(0)
        new_means = (r.T @ x) / counts[:, None]
        for k in range(components):
            z = x - new_means[k]
            covariance = (z * r[:, k:k + 1]).T @ z / counts[k] + 1e-6 * torch.eye(d)
            lower = torch.linalg.cholesky(covariance)
            factors[k] = torch.linalg.solve_triangular(lower, torch.eye(d), upper=False).T
        means.copy_(new_means)
        log_weights.copy_((counts / rows).log())

    def diagonal_iteration():  # products of matrices, as in scikit-learn
        precision = factors.square()
        squares = x.square() @ precision.T - 2 * x @ (means * precision).T + (means.square() * precision).sum(1)
        log_densities = log_weights + factors.log().sum(1) - constant - 0.5 * squares
        r = torch.softmax(log_densities, 1)
        counts = r.sum(0)
        means.copy_((r.T @ x) / counts[:, None])
        variances = (r.T @ x.square()) / counts[:, None] - means.square() + 1e-6
        factors.copy_(variances.rsqrt())
        log_weights.copy_((counts / rows).log())

    with torch.inference_mode():
        return per_iteration(args, full_iteration if family == "full" else diagonal_iteration)


def armadillo_seconds(args, family, x, components):
    if args.armadillo is None or family != "diagonal":
        raise ImportError("diagonal only, and needs --armadillo")
    with tempfile.NamedTemporaryFile() as file:
        x.tofile(file.name)
        command = [args.armadillo, file.name, *map(str, x.shape), str(components), "3", args.clock]
        environment = {"OMP_NUM_THREADS": str(args.threads), "OPENBLAS_NUM_THREADS": "1"}
        return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


PEERS = {"scikit-learn": sklearn_seconds, "PyTorch": torch_seconds, "Armadillo": armadillo_seconds}


def compare(args, shape):
    family, rows, dimensions, components, spread = shape
    x = make_rows(rows, dimensions, components, spread)
    times = {"elbo": []} | {name: [] for name in PEERS}
    for _ in range(args.rounds):
        times["elbo"].append(elbo_seconds(args, *shape))
        for name, seconds in PEERS.items():
            try:
                times[name].append(seconds(args, family, x, components))
            except ImportError:
                pass
    return {name: statistics.median(t) for name, t in times.items() if t}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--armadillo")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    args = parser.parse_args()
    print("| family | N x d x K | spread | elbo, s | " + " | ".join(f"{name}, s (ratio)" for name in PEERS) + " |")
    print("| --- " * (4 + len(PEERS)) + "|")
    for shape in SHAPES:
        found = compare(args, shape)
        own = found["elbo"]
        cells = [f"{found[n]:.3g} ({found[n] / own:.1f})" if n in found else "-" for n in PEERS]
        family, rows, dimensions, components, spread = shape
        print(f"| {family} | {rows} x {dimensions} x {components} | {spread} | {own:.3g} | " + " | ".join(cells) + " |",
              flush=True)


if __name__ == "__main__":
    main()
