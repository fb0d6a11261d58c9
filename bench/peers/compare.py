#!/usr/bin/env python3
"""Seconds of one EM iteration of Gaussian mixtures: elbo beside other programs, on the same rows from the same start.

    compare.py --bench PATH/mixture_bench [--native FOLDER] [--peers NAME,...] [--threads 2] [--rounds 5] [--seconds 1]
               [--clock wall|cpu] [--shrink 1]

mixture_bench makes the rows, and every peer begins at the mixture that they were drawn from (weights 1/K, the means,
identity covariances). Before it is timed a peer must find the mean log-likelihood that elbo finds there. All run in
turn, round after round, so that a machine that slows down does so for all; the table has medians over the rounds, and
ratios to elbo. elbo repeats the first iteration; the others go on from iteration to iteration, which near the truth
hardly moves. A peer that is not installed is left out, with a line that says so:

    scikit-learn, PyTorch    pip install scikit-learn torch
    OpenCV                   pip install 'opencv-python-headless<5'
    mclust                   apt install r-base-core r-cran-mclust
    Armadillo, VLFeat        apt install libarmadillo-dev libvlfeat-dev; armadillo_gmm and vlfeat_gmm, compiled as their
                             sources say, in the folder of --native

Memory that a peer frees is kept for its next iteration (glibc settings below), since returning large arrays to the
system and taking them anew makes PyTorch up to three times slower. On a machine that others use too, --clock cpu
--threads 1 counts processor time. --shrink 100 divides the rows by 100, to see that everything works.
"""
import argparse
import json
import math
import os
import pathlib
import shutil
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


class Unavailable(Exception):
    """The peer is not installed, or does not have the family."""


class Problem:
    """Rows and means that mixture_bench wrote to a folder."""

    def __init__(self, args, shape, folder):
        self.args, self.folder = args, folder
        self.family, self.rows, self.dimensions, self.components, self.spread = shape
        self.log_likelihood = None

    def load(self):
        self.x = np.fromfile(self.folder / "rows.f32", np.float32).reshape(self.rows, self.dimensions)
        self.means = np.fromfile(self.folder / "means.f64", np.float64).reshape(self.components, self.dimensions)

    @property
    def iterations(self):
        """Of peers that are timed by whole fits: more where they are short; not so many that fits converge."""
        return max(3, min(30, 30_000_000 // (self.rows * self.dimensions * self.components)))

    @property
    def full(self):
        return self.family == "full"

    def check(self, log_likelihood):
        """float32 sums of other programs are not exact: 1e-3 of the value tells apart what is not the same start."""
        if not abs(log_likelihood - self.log_likelihood) <= 1e-3 * (1 + abs(self.log_likelihood)):
            raise RuntimeError(f"log-likelihood {log_likelihood}, expected {self.log_likelihood}: not the same problem")

    def now(self):
        return time.process_time() if self.args.clock == "cpu" else time.perf_counter()

    def per_call(self, call):
        """Median seconds of one call, repeated for args.seconds after a warm-up."""
        call()
        times = []
        while sum(times) < self.args.seconds or not times:
            begin = self.now()
            call()
            times.append(self.now() - begin)
        return statistics.median(times)


def elbo(problem):
    args = problem.args
    command = [args.bench, f"--family={problem.family}", f"--rows={problem.rows}", f"--dimensions={problem.dimensions}",
               f"--components={problem.components}", f"--spread={problem.spread}", f"--threads={args.threads}",
               f"--clock={args.clock}", "--benchmark_repetitions=1", f"--benchmark_min_time={args.seconds}",
               "--benchmark_format=json"]
    if problem.log_likelihood is None:
        command.append(f"--export={problem.folder}")
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    counters = json.loads(output)["benchmarks"][0]
    problem.log_likelihood = counters["mean_log_likelihood"]
    return counters["seconds"]


def scikit_learn(problem):
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits
    k, d = problem.components, problem.dimensions
    model = GaussianMixture(k, covariance_type="full" if problem.full else "diag")
    x = problem.x
    # What weights_init, means_init and precisions_init come to in its fit, in the type of the rows.
    model.weights_, model.means_ = np.full(k, 1 / k, x.dtype), problem.means.astype(x.dtype)
    identity = np.eye(d, dtype=x.dtype)
    model.precisions_cholesky_ = np.tile(identity, (k, 1, 1)) if problem.full else np.ones((k, d), x.dtype)

    def iteration():  # what GaussianMixture.fit does in its loop
        log_likelihood, log_responsibilities = model._e_step(x)
        model._m_step(x, log_responsibilities)
        return log_likelihood

    with threadpool_limits(problem.args.threads):
        problem.check(iteration())
        return problem.per_call(iteration)


def pytorch(problem):
    import torch
    torch.set_num_threads(problem.args.threads)
    rows, d, k = problem.rows, problem.dimensions, problem.components
    x = torch.from_numpy(problem.x)
    means = torch.from_numpy(problem.means.astype(np.float32))
    log_weights = torch.full((k,), -math.log(k))
    factors = torch.eye(d).repeat(k, 1, 1) if problem.full else torch.ones(k, d)
    constant = 0.5 * d * math.log(2 * math.pi)

    def full_densities():
        log_densities = torch.empty(rows, k)
        for c in range(k):  # one matrix product each; all at once would take rows x k x d numbers
            y = (x - means[c]) @ factors[c]
            log_determinant = factors[c].diagonal().log().sum()
            log_densities[:, c] = log_weights[c] + log_determinant - constant - 0.5 * y.square().sum(1)
        return log_densities

    def diagonal_densities():  # products of matrices, as in scikit-learn
        precision = factors.square()
        squares = x.square() @ precision.T - 2 * x @ (means * precision).T + (means.square() * precision).sum(1)
        return log_weights + factors.log().sum(1) - constant - 0.5 * squares

    def full_covariances(r, counts, new_means):
        for c in range(k):
            z = x - new_means[c]
            covariance = (z * r[:, c:c + 1]).T @ z / counts[c] + 1e-6 * torch.eye(d)
            lower = torch.linalg.cholesky(covariance)
            factors[c] = torch.linalg.solve_triangular(lower, torch.eye(d), upper=False).T

    def diagonal_covariances(r, counts, new_means):
        variances = (r.T @ x.square()) / counts[:, None] - new_means.square() + 1e-6
        factors.copy_(variances.rsqrt())

    densities = full_densities if problem.full else diagonal_densities
    covariances = full_covariances if problem.full else diagonal_covariances

    def iteration():
        r = torch.softmax(densities(), 1)
        counts = r.sum(0)
        new_means = (r.T @ x) / counts[:, None]
        covariances(r, counts, new_means)
        means.copy_(new_means)
        log_weights.copy_((counts / rows).log())

    with torch.inference_mode():
        problem.check(densities().logsumexp(1).double().mean().item())
        return problem.per_call(iteration)


def opencv(problem):
    import cv2
    if not hasattr(cv2, "ml"):
        raise Unavailable(f"OpenCV {cv2.__version__} has no module ml, install one before 5")
    cv2.setNumThreads(problem.args.threads)
    k, d = problem.components, problem.dimensions
    identities = cv2.Mat(np.tile(np.eye(d), (k, 1, 1)), wrap_channels=False)  # k matrices, not d channels

    def fit(iterations):  # begins with an E-step and ends with one: `iterations` of them
        model = cv2.ml.EM_create()
        model.setClustersNumber(k)
        model.setCovarianceMatrixType(cv2.ml.EM_COV_MAT_GENERIC if problem.full else cv2.ml.EM_COV_MAT_DIAGONAL)
        model.setTermCriteria((cv2.TERM_CRITERIA_COUNT, iterations, 0))
        begin = problem.now()
        _, log_likelihoods, _, _ = model.trainE(problem.x, problem.means, identities, np.full((1, k), 1 / k))
        return problem.now() - begin, log_likelihoods

    one, log_likelihoods = fit(1)
    problem.check(float(np.mean(log_likelihoods)))
    return (fit(1 + problem.iterations)[0] - one) / problem.iterations


def native(problem, command):
    """A program that speaks the protocol of native_peer.hpp."""
    arguments = [problem.folder, problem.rows, problem.dimensions, problem.components, problem.family,
                 problem.iterations, problem.args.clock]
    threads = {"OMP_NUM_THREADS": str(problem.args.threads), "OPENBLAS_NUM_THREADS": str(problem.args.threads)}
    output = subprocess.run([*command, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True,
                            env=os.environ | threads).stdout
    log_likelihood, seconds = map(float, output.split())
    problem.check(log_likelihood)
    return seconds


def compiled(problem, name):
    program = pathlib.Path(problem.args.native or ".") / name
    if problem.args.native is None or not program.exists():
        raise Unavailable(f"there is no {name} in the folder of --native")
    return native(problem, [program])


def vlfeat(problem):
    if problem.full:
        raise Unavailable("it has diagonal covariances only")
    return compiled(problem, "vlfeat_gmm")


def mclust(problem):
    have = shutil.which("Rscript") and subprocess.run(
        ["Rscript", "-e", "library(mclust)"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    if not have:
        raise Unavailable("Rscript with the package mclust is not installed")
    return native(problem, ["Rscript", pathlib.Path(__file__).with_name("mclust_gmm.R")])


PEERS = {"scikit-learn": scikit_learn, "PyTorch": pytorch, "Armadillo": lambda p: compiled(p, "armadillo_gmm"),
         "VLFeat": vlfeat, "OpenCV": opencv, "mclust": mclust}


def compare(args, shape):
    """Medians over the rounds, by name; why peers are missing goes to stderr."""
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        problem = Problem(args, shape, pathlib.Path(folder))
        left_out = set()
        for _ in range(args.rounds):
            times.setdefault("elbo", []).append(elbo(problem))
            if not hasattr(problem, "x"):
                problem.load()
            for name in args.peers:
                if name in left_out:
                    continue
                try:
                    times.setdefault(name, []).append(PEERS[name](problem))
                except Exception as reason:  # not installed, or it failed on these rows: the others go on
                    print(f"{name} is left out at {problem.family} {problem.rows} x {problem.dimensions} x "
                          f"{problem.components}: {str(reason).splitlines()[0]}", file=sys.stderr)
                    left_out.add(name)
                    times.pop(name, None)
    return {name: statistics.median(t) for name, t in times.items() if t}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--native")
    parser.add_argument("--peers", type=lambda names: names.split(","), default=list(PEERS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--shrink", type=int, default=1)
    args = parser.parse_args()
    unknown = set(args.peers) - set(PEERS)
    if unknown:
        parser.error(f"unknown peers {', '.join(sorted(unknown))}: expected some of {', '.join(PEERS)}")
    print("| family | N x d x K | spread | elbo, s | " + " | ".join(f"{name}, s (ratio)" for name in args.peers) + " |")
    print("| --- " * (4 + len(args.peers)) + "|")
    for family, rows, dimensions, components, spread in SHAPES:
        rows = max(rows // args.shrink, min(rows, 272))
        found = compare(args, (family, rows, dimensions, components, spread))
        own = found["elbo"]
        cells = [f"{found[n]:.3g} ({found[n] / own:.1f})" if n in found else "-" for n in args.peers]
        print(f"| {family} | {rows} x {dimensions} x {components} | {spread} | {own:.3g} | " + " | ".join(cells) + " |",
              flush=True)


if __name__ == "__main__":
    main()
