#!/usr/bin/env python3
"""Milliseconds of one EM iteration of Gaussian mixtures on a GPU: elbo beside the fastest EM that PyTorch allows.

    em_gpu_compare.py --bench PATH/mixture_bench [--device cuda|cpu] [--rounds 3] [--seconds 0.3] [--only NAME]
                      [--shrink 1] [--json FILE]

The peer is EM as products of matrices: features of the rows, [1, x, products of two coordinates], made once and kept;
log-densities are features times the parameters of the components, statistics features times responsibilities; the
softmax of the rows is fused by torch.compile, and an iteration, factors and all, is captured as a CUDA graph where that
works. In float32, and with products in TF32. What does not fit into memory is left out. The features lose accuracy
where means lie far apart for their deviations, and with TF32: "loss" is the error of the mean log-likelihood of the
first iteration, in nats, against the same rows in float64.

Shapes are those of mixture_bench --table; both draw rows from the same mixture (not the same rows) and begin at it.
Programs run in turn, round after round, and medians over the rounds are shown. elbo repeats the first iteration, the
peer goes on, which near the truth hardly moves. --device cpu --shrink 1000 only shows that everything works.
"""
import argparse
import json
import math
import statistics
import subprocess
import sys
import time

import torch

SHAPES = [  # family, rows, dimensions, components, spread of the means: as in mixture_bench.cpp
    ("full", 10000000, 2, 8, 0.5),
    ("full", 1000000, 8, 32, 0.5),
    ("full", 1000000, 16, 64, 0.5),
    ("full", 1000000, 16, 64, 16),
    ("full", 1000000, 32, 256, 0.5),
    ("full", 1000000, 32, 256, 16),
    ("full", 1000000, 64, 256, 0.5),
    ("full", 1000000, 64, 256, 16),
    ("full", 200000, 64, 64, 0.5),
    ("full", 100000, 128, 32, 0.5),
    ("full", 100000, 784, 10, 16),
    ("diagonal", 1000000, 16, 64, 0.5),
    ("diagonal", 1000000, 64, 256, 0.5),
    ("diagonal", 1000000, 64, 256, 16),
    ("diagonal", 100000, 784, 10, 0.5),
    ("spherical", 1000000, 128, 1024, 0.5),
    ("spherical", 1000000, 128, 1024, 16),
    ("tied", 1000000, 16, 64, 0.5),
    ("tied", 1000000, 64, 256, 0.5),
    ("full", 272, 2, 2, 4),
    ("full", 1000000, 24, 100, 0.5),
    ("full", 1000000, 33, 100, 0.5),
    ("full", 1000000, 40, 100, 0.5),
    ("full", 1000000, 65, 100, 0.5),
    ("full", 200000, 100, 100, 0.5),
    ("full", 200000, 32, 1000, 0.5),
    ("full", 100000, 16, 10000, 0.5),
    ("diagonal", 100000, 16, 10000, 0.5),
]
RIDGE = 1e-6
MOST_MEMORY = 0.4  # of the device's: features, responsibilities, and what products need beside


class Mixture:
    """Rows, features and parameters of one shape; iterate() is a step of EM in place."""

    def __init__(self, shape, device):
        self.family, rows, self.d, k, spread = shape
        generator = torch.Generator(device).manual_seed(1)
        normal = lambda *size: torch.randn(*size, generator=generator, device=device)
        means = normal(k, self.d) * (spread / math.sqrt(self.d))
        self.x = normal(rows, self.d)
        self.x += means[torch.arange(rows, device=device) % k]
        self.upper = torch.triu_indices(self.d, self.d, device=device)
        self.features = self.make_features(self.x)
        eye = torch.eye(self.d, device=device)
        identity = {"full": eye.repeat(k, 1, 1), "tied": eye, "diagonal": torch.ones_like(means),
                    "spherical": torch.ones(k, device=device)}[self.family]
        self.scatter = self.x.T @ self.x / rows if self.family == "tied" else None
        self.weights = self.make_weights(means, identity, torch.full((k,), -math.log(k), device=device))
        self.log_likelihood = torch.zeros((), device=device)
        self.fused = None

    @staticmethod
    def bytes_needed(shape):
        family, rows, d, k, _ = shape
        columns = {"full": 1 + d + d * (d + 1) // 2, "diagonal": 1 + 2 * d, "spherical": 2 + d, "tied": 1 + d}[family]
        return 4 * rows * (columns + d + 2 * k)

    def make_features(self, x):
        second = {"full": lambda: x[:, self.upper[0]] * x[:, self.upper[1]], "diagonal": lambda: x * x,
                  "spherical": lambda: (x * x).sum(1, keepdim=True), "tied": lambda: x[:, :0]}[self.family]()
        return torch.cat([torch.ones_like(x[:, :1]), x, second], 1)

    def make_weights(self, means, precision, log_weights):
        """[features x K]: log p = features . weights; in the tied family but for -x' P x / 2, which all share."""
        constant = log_weights - 0.5 * self.d * math.log(2 * math.pi)
        if self.family == "full":
            linear = torch.einsum("kij,kj->ki", precision, means)
            second = precision[:, self.upper[0], self.upper[1]]
            second = torch.where(self.upper[0] == self.upper[1], -0.5 * second, -second)
            half_log_det = torch.linalg.cholesky_ex(precision)[0].diagonal(dim1=1, dim2=2).log().sum(1)
        elif self.family == "tied":
            self.precision = precision
            linear, second = means @ precision, means[:, :0]
            half_log_det = torch.linalg.cholesky_ex(precision)[0].diagonal().log().sum()
        elif self.family == "diagonal":
            linear, second, half_log_det = means * precision, -0.5 * precision, 0.5 * precision.log().sum(1)
        else:
            linear, second = means * precision[:, None], -0.5 * precision[:, None]
            half_log_det = 0.5 * self.d * precision.log()
        constant = constant + half_log_det - 0.5 * (linear * means).sum(1)
        return torch.cat([constant[:, None], linear, second], 1).T.contiguous()

    def inverse(self, covariance):
        """Without a look at whether it is singular, for which the host would wait: then it is not finite."""
        eye = torch.eye(self.d, device=covariance.device).expand(covariance.shape)
        factor = torch.linalg.solve_triangular(torch.linalg.cholesky_ex(covariance)[0], eye, upper=False)
        return factor.mT @ factor

    def precisions(self, counts, means, second):
        if self.family == "full":
            covariance = means.new_zeros(len(counts), self.d, self.d)
            covariance[:, self.upper[0], self.upper[1]] = second
            covariance[:, self.upper[1], self.upper[0]] = second
            covariance = covariance - means[:, :, None] * means[:, None, :] + RIDGE * torch.eye(self.d, device=means.device)
            return self.inverse(covariance)
        if self.family == "tied":
            share = counts / counts.sum()
            covariance = self.scatter - (means * share[:, None]).T @ means + RIDGE * torch.eye(self.d, device=means.device)
            return self.inverse(covariance)
        if self.family == "diagonal":
            return 1 / (second - means.square() + RIDGE)
        return 1 / ((second[:, 0] - means.square().sum(1)) / self.d + RIDGE)

    def iterate(self, row_rule):
        log_densities = self.features @ self.weights
        r, total = row_rule(log_densities)
        if self.family == "tied":
            total = total - 0.5 * ((self.x @ self.precision) * self.x).sum() / len(self.x)
        self.log_likelihood.copy_(total)
        statistics_ = r.T @ self.features
        counts = statistics_[:, 0].clamp_min(1e-10)
        means = statistics_[:, 1:1 + self.d] / counts[:, None]
        precision = self.precisions(counts, means, statistics_[:, 1 + self.d:] / counts[:, None])
        self.weights.copy_(self.make_weights(means, precision, (counts / counts.sum()).log()))

    def loss(self):
        """Error of the mean log-likelihood at the start; call before the first iteration."""
        start = self.weights.clone()
        self.iterate(row_rule)
        self.weights.copy_(start)
        found, exact, piece = self.log_likelihood.item(), 0.0, 1 << 14
        for first in range(0, len(self.x), piece):
            x = self.x[first:first + piece].double()
            part = (self.make_features(x) @ start.double()).logsumexp(1).sum()
            if self.family == "tied":
                part = part - 0.5 * x.square().sum()
            exact += part.item()
        return abs(found - exact / len(self.x))


def row_rule(log_densities):
    most = log_densities.amax(1, keepdim=True)
    r = torch.exp(log_densities - most)
    total = r.sum(1, keepdim=True)
    return r / total, (most + total.log()).mean(dtype=torch.float64)


class Peer:
    """The iteration as fast as it can be had: compiled row rule, captured graph; what fails is said and left out."""

    def __init__(self, shape, device, tf32):
        self.device, self.tf32, self.graph = device, tf32, None
        torch.backends.cuda.matmul.allow_tf32 = tf32
        self.mixture = Mixture(shape, device)
        self.loss = self.mixture.loss()
        rule = torch.compile(row_rule) if device == "cuda" else row_rule
        self.step = lambda: self.mixture.iterate(rule)
        try:
            self.step()
        except Exception as failure:  # no compiler at hand
            print(f"torch.compile: {str(failure).splitlines()[0]}", file=sys.stderr)
            self.step = lambda: self.mixture.iterate(row_rule)
        if device == "cuda":
            self.capture()

    def capture(self):
        try:
            stream = torch.cuda.Stream()
            with torch.cuda.stream(stream):
                for _ in range(3):
                    self.step()
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.step()
            self.step, self.graph = graph.replay, graph
        except Exception as failure:  # a factor that cannot be captured: launches one by one
            print(f"no graph: {str(failure).splitlines()[0]}", file=sys.stderr)
            torch.cuda.synchronize()

    def milliseconds(self, seconds):
        torch.backends.cuda.matmul.allow_tf32 = self.tf32
        synchronize = torch.cuda.synchronize if self.device == "cuda" else lambda: None
        times = []
        self.step()
        while sum(times) < seconds or len(times) < 3:
            synchronize()
            begin = time.perf_counter()
            self.step()
            synchronize()
            times.append(time.perf_counter() - begin)
        return 1e3 * statistics.median(times)


def elbo(args, shape):
    family, rows, d, k, spread = shape
    command = [args.bench, f"--backend={args.device}", "--operation=iteration", f"--family={family}", f"--rows={rows}",
               f"--dimensions={d}", f"--components={k}", f"--spread={spread}", "--benchmark_repetitions=1",
               f"--benchmark_min_time={args.seconds}", "--benchmark_format=json"]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return report["benchmarks"][0]


def measure(args, shape):
    """Medians: milliseconds by program, the losses of the peers, and what elbo was predicted to take."""
    peers = {}
    memory = torch.cuda.get_device_properties(0).total_memory if args.device == "cuda" else 16 << 30
    if Mixture.bytes_needed(shape) < MOST_MEMORY * memory:
        for name, tf32 in (("PyTorch float32", False), ("PyTorch TF32", True)):
            if args.device == "cuda" or not tf32:
                peers[name] = Peer(shape, args.device, tf32)
    times, predicted = {}, ""
    for _ in range(args.rounds):
        own = elbo(args, shape)
        times.setdefault("elbo", []).append(1e3 * own["seconds"])
        if "predicted_seconds_low" in own:
            predicted = f"{1e3 * own['predicted_seconds_low']:.3g} to {1e3 * own['predicted_seconds_high']:.3g}"
        for name, peer in peers.items():
            times.setdefault(name, []).append(peer.milliseconds(args.seconds))
    found = {name: statistics.median(t) for name, t in times.items()}
    return found, {name: peer.loss for name, peer in peers.items()}, predicted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--only", default="", help="shapes whose line in the table has this")
    parser.add_argument("--shrink", type=int, default=1)
    parser.add_argument("--json")
    args = parser.parse_args()
    names = ["PyTorch float32", "PyTorch TF32"]
    print("| family, N x d x K, spread | elbo, ms | predicted | " + " | ".join(f"{n}, ms (ratio; loss)" for n in names) + " |")
    print("| --- " * (3 + len(names)) + "|")
    report = []
    for family, rows, d, k, spread in SHAPES:
        rows = max(rows // args.shrink, min(rows, 272))
        label = f"{family}, {rows} x {d} x {k}, {spread:g}"
        if args.only not in label:
            continue
        found, losses, predicted = measure(args, (family, rows, d, k, spread))
        own = found["elbo"]
        cells = [f"{found[n]:.3g} ({found[n] / own:.2f}; {losses[n]:.1g})" if n in found else "-" for n in names]
        print(f"| {label} | {own:.3g} | {predicted} | " + " | ".join(cells) + " |", flush=True)
        report.append({"shape": label, "milliseconds": found, "losses": losses, "predicted": predicted})
        if args.device == "cuda":
            torch.cuda.empty_cache()
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"torch": torch.__version__, "rows": report}, file, indent=1)


if __name__ == "__main__":
    main()
