#!/usr/bin/env python3
"""Training and evaluating a variational autoencoder: elbo beside PyTorch, on the same network, batch and threads.

    vae_compare.py --bench PATH/vae_bench [--threads 2] [--rounds 5] [--seconds 1] [--device cpu|cuda]

Both train on the same kind of rows (60000 x 784, binary, resident), draw a batch, one z a row, the Bernoulli bound with
the KL in closed form, and take an Adam step. PyTorch: eager, and compiled where torch.compile works (on CUDA also with
mode="reduce-overhead", which records CUDA graphs). All run in turn, round after round; medians over the rounds.
The last rows are the importance bound of 100 test rows with 5000 draws each, in tiles of 100 draws for PyTorch.
Memory that PyTorch frees is kept for its next step (glibc settings below).
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(10**11), "MALLOC_TOP_PAD_": str(10**9)}
if any(os.environ.get(name) != value for name, value in KEEP_MEMORY.items()):  # glibc reads them when a process starts
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | KEEP_MEMORY)

import torch
from torch import nn

from vae_torch import Autoencoder, IMPORTANCE_DRAWS, IMPORTANCE_ROWS, ROWS, binary_rows

NETWORKS = {  # hidden widths, latent units, activation
    "784-200-200-50-tanh": ((200, 200), 50, nn.Tanh),
    "784-400-20-relu": ((400,), 20, nn.ReLU),
}
SHAPES = [("784-200-200-50-tanh", 100), ("784-200-200-50-tanh", 1000), ("784-400-20-relu", 100),
          ("784-400-20-relu", 1000)]


def per_call(args, call):
    """Median seconds of one call, repeated for args.seconds after a warm-up."""
    synchronize = torch.cuda.synchronize if args.device == "cuda" else lambda: None
    for _ in range(3):
        call()
    synchronize()
    times = []
    while sum(times) < args.seconds or not times:
        begin = time.perf_counter()
        call()
        synchronize()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


class TorchTraining:
    def __init__(self, args, network, batch, mode):
        self.model = Autoencoder(*NETWORKS[network]).to(args.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), fused=True)
        self.rows = binary_rows(args.device)
        self.bound = self.model.bound
        if mode == "compiled":
            self.bound = torch.compile(self.bound, mode="reduce-overhead" if args.device == "cuda" else "default")
        self.batch, self.position = batch, 0

    def step(self):
        if self.position == 0:
            self.order = torch.randperm(ROWS, device=self.rows.device)
        x = self.rows[self.order[self.position:self.position + self.batch]]
        self.position = (self.position + self.batch) % ROWS
        self.optimizer.zero_grad(set_to_none=True)
        (-self.bound(x)).backward()
        self.optimizer.step()


def torch_importance_seconds(args):
    model = Autoencoder(*NETWORKS["784-200-200-50-tanh"]).to(args.device)
    x = binary_rows(args.device)[:IMPORTANCE_ROWS]
    with torch.inference_mode():
        return per_call(args, lambda: model.importance(x))


def elbo_seconds(args, name):
    operation, network, size = name.split("/")
    command = [args.bench, f"--backend={args.device}", f"--threads={args.threads}", f"--operation={operation}",
               f"--network={network}", f"--benchmark_filter=^{name}/manual_time$",
               f"--benchmark_min_time={args.seconds}", "--benchmark_repetitions=1", "--benchmark_format=json"]
    if operation == "step":
        command.append(f"--batch={size}")
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found = report["benchmarks"][0]
    return {"seconds": found["seconds"] / found.get("steps_per_run", 1), "share_of_fma": found["share_of_fma"]}


def row(label, elbo, torch_times, per_second):
    own = statistics.median(b["seconds"] for b in elbo)
    share = statistics.median(b["share_of_fma"] for b in elbo)
    cells = [f"{statistics.median(t):.4g} ({statistics.median(t) / own:.2f})" if t else "-" for t in torch_times]
    print(f"| {label} | {own:.4g} | {per_second / own:.0f} | {share:.2f} | " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    modes = ["eager", "compiled"]
    print("| operation | elbo, s | rows/s | share of the FMA rate | "
          + " | ".join(f"PyTorch {torch.__version__} {mode}, s (ratio)" for mode in modes) + " |")
    print("| --- " * (4 + len(modes)) + "|")
    for network, batch in SHAPES:
        trainings = {}
        for mode in modes:
            try:
                trainings[mode] = TorchTraining(args, network, batch, mode)
                trainings[mode].step()
            except Exception as failure:  # no compiler at hand: the eager column stands alone
                print(f"PyTorch {mode}: {str(failure).splitlines()[0]}", file=sys.stderr)
                trainings.pop(mode, None)
        own, times = [], {mode: [] for mode in modes}
        for _ in range(args.rounds):
            own.append(elbo_seconds(args, f"step/{network}/{batch}"))
            for mode, training in trainings.items():
                times[mode].append(per_call(args, training.step))
        row(f"training step, {network}, batch {batch}", own, times.values(), batch)
    own, times = [], []
    for _ in range(args.rounds):
        own.append(elbo_seconds(args, f"importance/784-200-200-50-tanh/{IMPORTANCE_ROWS}x{IMPORTANCE_DRAWS}"))
        times.append(torch_importance_seconds(args))
    row(f"importance bound, {IMPORTANCE_ROWS} rows x {IMPORTANCE_DRAWS} draws", own, [times, []], IMPORTANCE_ROWS)


if __name__ == "__main__":
    main()
