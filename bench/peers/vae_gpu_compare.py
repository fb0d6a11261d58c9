#!/usr/bin/env python3
"""Microseconds of a training step of autoencoders, and milliseconds of the importance bound, on a GPU: elbo beside
PyTorch and JAX, in one run.

    vae_gpu_compare.py --bench PATH/vae_bench [--device cuda|cpu] [--rounds 3] [--seconds 0.2] [--budget 150]
                       [--only TEXT] [--json FILE] [--markdown FILE]

Networks I (784-200-200-50) and L (784-1024-1024-128) with tanh and mirrored decoders; Bernoulli likelihood, one draw a
row, Adam; 60,000 binary rows on the device. Each program in float32, with TF32 products and in bfloat16:

    eager      PyTorch, launch after launch (bf16: autocast)
    graph      the same whole step as one CUDA graph, batch and noise drawn in it
    compiled   torch.compile of bound and gradient, ten steps as one CUDA graph
    jax        jit of ten steps in lax.scan (bf16: products of rounded numbers)

All run in turn, round after round; medians over the rounds. "Bound": mean of the bounds of the last ten of 200 steps
from each program's own start, so that a program that trains nothing shows. What is not installed, does not work or has
no time left is named on standard error and left out. --budget: seconds for the setup of peers, of which compiling
takes most; each row has an equal share. --device cpu only shows that everything works.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

SHAPES = [("I", 100), ("I", 512), ("I", 1000), ("I", 8192), ("L", 512), ("L", 8192)]
NETWORKS = {"I": ((200, 200), 50), "L": ((1024, 1024), 128)}
PRECISIONS = ("float32", "tf32", "bfloat16")
STEPS = 10  # of a call of what is captured or compiled
CHECKED_STEPS = 200

try:
    import torch

    from vae_torch import Autoencoder, DIMENSIONS, IMPORTANCE_DRAWS, IMPORTANCE_ROWS, IMPORTANCE_TILE, ROWS, binary_rows
except ImportError as failure:
    sys.exit(f"vae_gpu_compare.py: {failure}: it needs PyTorch (pip install torch) and vae_torch.py beside it")
try:
    import jax
    import jax.numpy as jnp
except ImportError:
    jax = None


def say(text):
    print(text, file=sys.stderr, flush=True)


def bench_name(network):
    hidden, latent = NETWORKS[network]
    return "-".join(map(str, (DIMENSIONS, *hidden, latent))) + "-tanh"


class TorchTraining:
    """Steps of one variant; calls() does `steps` of them. bounds: of every step, on the device."""

    def __init__(self, device, network, batch, precision, variant):
        self.cuda, self.precision, self.batch, self.steps = device == "cuda", precision, batch, 1
        torch.manual_seed(1)
        self.model = Autoencoder(*NETWORKS[network], torch.nn.Tanh).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), fused=True, capturable=self.cuda)
        self.rows = binary_rows(device)
        self.last = torch.zeros((), device=device)
        self.bound = self.model.bound
        self.set_precision()
        self.call = self.one
        if variant == "compiled":
            self.bound = torch.compile(self.bound, dynamic=False)
            self.steps = STEPS
            self.call = lambda: [self.one() for _ in range(STEPS)]
        if variant != "eager" and self.cuda:
            self.capture()

    def set_precision(self):
        torch.backends.cuda.matmul.allow_tf32 = self.precision == "tf32"

    def one(self):
        x = self.rows[torch.randint(ROWS, (self.batch,), device=self.rows.device)]
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.rows.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            bound = self.bound(x)
        (-bound).backward()
        self.optimizer.step()
        self.last.copy_(bound.detach())

    def capture(self):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.one()
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.call()
        self.call = self.graph.replay

    def value(self):
        return self.last.item()


class TorchImportance:
    def __init__(self, device, _network, _batch, precision, variant):
        if variant == "graph":
            raise NotImplementedError("the importance bound has no step to capture")
        self.cuda, self.precision, self.steps = device == "cuda", precision, 1
        torch.manual_seed(1)
        self.model = Autoencoder(*NETWORKS["I"], torch.nn.Tanh).to(device)
        self.x = binary_rows(device)[:IMPORTANCE_ROWS]
        self.tile = torch.compile(self.model.importance_tile, dynamic=False) if variant == "compiled" else None
        self.set_precision()

    set_precision = TorchTraining.set_precision

    def call(self):
        with torch.inference_mode(), torch.autocast(self.x.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            self.last = self.model.importance(self.x, self.tile)

    def value(self):
        return self.last.mean().item()


def jax_network(network):
    """Parameters, and the two halves as functions of them and of how products are taken."""
    hidden, latent = NETWORKS[network]
    key = jax.random.PRNGKey(1)

    def stack(widths):
        nonlocal key
        layers = []
        for inputs, outputs in zip(widths, widths[1:]):
            key, own = jax.random.split(key)
            limit = (6 / (inputs + outputs)) ** 0.5
            layers.append((jax.random.uniform(own, (inputs, outputs), minval=-limit, maxval=limit), jnp.zeros(outputs)))
        return layers

    def apply(layers, x, dot):
        for i, (w, b) in enumerate(layers):
            x = dot(x, w) + b
            x = jnp.tanh(x) if i + 1 < len(layers) else x
        return x

    return (stack([DIMENSIONS, *hidden, 2 * latent]), stack([latent, *reversed(hidden), DIMENSIONS])), apply


def jax_dot(precision):
    if precision == "bfloat16":
        return lambda x, w: jnp.dot(x.astype(jnp.bfloat16), w.astype(jnp.bfloat16), preferred_element_type=jnp.float32)
    how = jax.lax.Precision.HIGHEST if precision == "float32" else jax.lax.Precision.HIGH
    return lambda x, w: jnp.dot(x, w, precision=how)


class JaxTraining:
    def __init__(self, device, network, batch, precision, _variant):
        self.steps = STEPS
        parameters, apply = jax_network(network)
        dot = jax_dot(precision)
        rows = jax.random.bernoulli(jax.random.PRNGKey(2), 0.2, (ROWS, DIMENSIONS)).astype(jnp.float32)

        def bound(p, x, key):
            mean, log_variance = jnp.split(apply(p[0], x, dot), 2, axis=1)
            z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
            logits = apply(p[1], z, dot)
            kl = 0.5 * (mean**2 + jnp.exp(log_variance) - 1 - log_variance).sum()
            return ((x * logits - jax.nn.softplus(logits)).sum() - kl) / len(x)

        def step(state, _):
            p, m, v, t, key = state
            key, choice, noise = jax.random.split(key, 3)
            x = rows[jax.random.randint(choice, (batch,), 0, ROWS)]
            value, g = jax.value_and_grad(bound)(p, x, noise)
            t = t + 1
            m = jax.tree_util.tree_map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
            v = jax.tree_util.tree_map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
            rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            p = jax.tree_util.tree_map(lambda a, b, c: a + rate * b / (jnp.sqrt(c) + 1e-8), p, m, v)
            return (p, m, v, t, key), value

        zeros = lambda: jax.tree_util.tree_map(jnp.zeros_like, parameters)  # each of them is given away
        self.state = (parameters, zeros(), zeros(), jnp.zeros(()), jax.random.PRNGKey(3))
        self.many = jax.jit(lambda state: jax.lax.scan(step, state, None, length=STEPS), donate_argnums=0)

    def set_precision(self):
        pass

    def call(self):
        self.state, self.last = self.many(self.state)

    def value(self):
        return float(self.last[-1])


class JaxImportance:
    def __init__(self, device, _network, _batch, precision, _variant):
        self.steps = 1
        (encoder, decoder), apply = jax_network("I")
        dot = jax_dot(precision)
        x = jax.random.bernoulli(jax.random.PRNGKey(2), 0.2, (IMPORTANCE_ROWS, DIMENSIONS)).astype(jnp.float32)

        def run(key):
            mean, log_variance = jnp.split(apply(encoder, x, dot), 2, axis=1)

            def tile(own):
                noise = jax.random.normal(own, (IMPORTANCE_TILE, *mean.shape))
                z = mean + jnp.exp(0.5 * log_variance) * noise
                logits = apply(decoder, z, dot)
                log_x = (x * logits - jax.nn.softplus(logits)).sum(2)
                return jax.nn.logsumexp(log_x + 0.5 * (noise**2 - z**2 + log_variance).sum(2), axis=0)

            parts = jax.lax.map(tile, jax.random.split(key, IMPORTANCE_DRAWS // IMPORTANCE_TILE))
            return jax.nn.logsumexp(parts, axis=0) - jnp.log(IMPORTANCE_DRAWS)

        self.run, self.key = jax.jit(run), jax.random.PRNGKey(3)

    set_precision = JaxTraining.set_precision

    def call(self):
        self.last = self.run(self.key)

    def value(self):
        return float(self.last.mean())


def wait(peer, device):
    if isinstance(peer, (JaxTraining, JaxImportance)):
        jax.block_until_ready(peer.last)
    elif device == "cuda":
        torch.cuda.synchronize()


def seconds_a_step(peer, args):
    """Median of a step: ten calls between two looks at the clock, so that launches may run ahead."""
    peer.set_precision()
    calls = 1 if args.device == "cpu" else 10
    times = []
    while sum(times) < args.seconds or len(times) < 3:
        begin = time.perf_counter()
        for _ in range(calls):
            peer.call()
        wait(peer, args.device)
        times.append(time.perf_counter() - begin)
    return statistics.median(times) / calls / peer.steps


def bound_after(peer, args, importance):
    """The mean bound of the last ten of CHECKED_STEPS steps; of the importance bound its value."""
    peer.call()
    if importance or args.device == "cpu":
        return peer.value()
    last = []
    for done in range(peer.steps, CHECKED_STEPS, peer.steps):
        peer.call()
        if done + peer.steps + 10 > CHECKED_STEPS:
            last.append(peer.value())
    return statistics.mean(last)


def variants(args, importance):
    """Name, constructor, precision, in the order in which they are set up: what compiles fast first."""
    found = []
    precisions = [p for p in PRECISIONS if args.device == "cuda" or p != "tf32"]
    torch_peer, jax_peer = (TorchImportance, JaxImportance) if importance else (TorchTraining, JaxTraining)
    for variant in ("eager", "graph"):
        if variant == "eager" or (args.device == "cuda" and not importance):
            found += [(f"PyTorch {variant}", torch_peer, p, variant) for p in precisions]
    if jax:
        found += [("JAX", jax_peer, p, "jax") for p in precisions]
    return found + [("PyTorch compiled", torch_peer, p, "compiled") for p in reversed(precisions)]


def set_up(args, network, batch, share):
    """Peers by (name, precision), with their bounds; `share`: seconds that may be used."""
    importance = network == "importance"
    peers, bounds = {}, {}
    begin = time.perf_counter()
    for name, make, precision, variant in variants(args, importance):
        label = f"{network} {batch} {name} {precision}"
        if time.perf_counter() - begin > share:
            say(f"left out, no time left of --budget: {label}")
            continue
        try:
            torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
            peer = make(args.device, network, batch, precision, variant)
            bounds[name, precision] = bound_after(peer, args, importance)
            peers[name, precision] = peer
        except Exception as failure:
            say(f"left out, does not work here: {label}: {str(failure).splitlines()[0] if str(failure) else type(failure).__name__}")
            if args.device == "cuda":
                torch.cuda.synchronize()
    return peers, bounds


def elbo_counters(args, network, batch, precision):
    importance = network == "importance"
    name = bench_name("I" if importance else network)
    command = [args.bench, f"--backend={args.device}", f"--network={name}", f"--arithmetic={precision}",
               f"--operation={'importance' if importance else 'step'}", f"--batch={batch}", f"--rows={IMPORTANCE_ROWS if importance else ROWS}",
               f"--bound_steps={CHECKED_STEPS if args.device == 'cuda' and not importance else 0}",
               "--benchmark_repetitions=1", f"--benchmark_min_time={args.seconds}", "--benchmark_format=json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr[-500:]}")
    found = json.loads(done.stdout)["benchmarks"][0]
    if found.get("error_occurred"):
        sys.exit(f"{' '.join(command)}: {found.get('error_message')}")
    return found


def measure(args, network, batch, share):
    """A row: microseconds of a step (milliseconds of the importance bound) and bounds by (name, precision)."""
    peers, bounds = set_up(args, network, batch, share)
    unit = 1e3 if network == "importance" else 1e6
    precisions = PRECISIONS if args.device == "cuda" and network != "importance" else PRECISIONS[:1]
    times, predicted = {}, {}
    for _ in range(args.rounds):
        for precision in precisions:
            own = elbo_counters(args, network, batch, precision)
            times.setdefault(("elbo", precision), []).append(unit * own["seconds"] / own.get("steps_per_run", 1))
            if "bound" in own:
                bounds["elbo", precision] = own["bound"]
            if "predicted_seconds_low" in own:
                predicted[precision] = [unit * own["predicted_seconds_low"], unit * own["predicted_seconds_high"]]
        for key, peer in peers.items():
            times.setdefault(key, []).append(unit * seconds_a_step(peer, args))
    return {key: statistics.median(t) for key, t in times.items()}, bounds, predicted


def cell(found, bounds, own, key):
    if key not in found:
        return "-"
    ratio = f"{found[key] / own:.2f}; " if own and key[0] != "elbo" else ""
    return f"{found[key]:.4g} ({ratio}{bounds[key]:.1f})" if key in bounds else f"{found[key]:.4g}"


def lines_of(label, found, bounds, predicted, names):
    """One line of the table for each precision that something ran in."""
    for precision in PRECISIONS:
        if not any(p == precision for _, p in found):
            continue
        own = found.get(("elbo", precision)) or found.get(("elbo", "float32"))
        low, high = predicted.get(precision, (None, None))
        guess = "-" if low is None else f"{low:.3g} to {high:.3g}"
        yield (f"| {label} | {precision} | {cell(found, bounds, own, ('elbo', precision))} | {guess} | "
               + " | ".join(cell(found, bounds, own, (n, precision)) for n in names) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--budget", type=float, default=150)
    parser.add_argument("--only", default="", help="rows whose name has this: 'I, 100', 'L, ', importance")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    args = parser.parse_args()
    if not shutil.which(args.bench):
        sys.exit(f"--bench = {args.bench} is no program; expected vae_bench, which cmake --preset bench builds")
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch finds no GPU here; --device cpu shows that the program works")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if not jax:
        say("left out, not installed: JAX (pip install 'jax[cuda12]')")
    shapes = [(f"{n}, {b}", n, b) for n, b in SHAPES] + [(f"importance bound, I, {IMPORTANCE_ROWS} x {IMPORTANCE_DRAWS}, ms", "importance", IMPORTANCE_ROWS)]
    shapes = [s for s in shapes if args.only in s[0]]
    names = ["PyTorch eager", "PyTorch graph", "PyTorch compiled", "JAX"]
    lines = ["| network, batch | precision | elbo, us (bound) | predicted | " + " | ".join(f"{n} (ratio; bound)" for n in names) + " |",
             "| --- " * (4 + len(names)) + "|"]
    print("\n".join(lines), flush=True)
    report = []
    for label, network, batch in shapes:
        found, bounds, predicted = measure(args, network, batch, args.budget / len(shapes))
        own_lines = list(lines_of(label, found, bounds, predicted, names))
        print("\n".join(own_lines), flush=True)
        lines += own_lines
        keyed = lambda d: {" ".join(k): v for k, v in d.items()}
        report.append({"row": label, "unit": "ms" if network == "importance" else "us", "times": keyed(found), "bounds": keyed(bounds),
                       "predicted": predicted})
        if args.device == "cuda":
            torch.cuda.empty_cache()
    about = {"torch": torch.__version__, "jax": jax.__version__ if jax else None,
             "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu"}
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({**about, "rows": report}, file, indent=1)
    if args.markdown:
        with open(args.markdown, "w", encoding="utf-8") as file:
            file.write(f"PyTorch {about['torch']}, JAX {about['jax'] or 'not installed'}, {about['device']}.\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
