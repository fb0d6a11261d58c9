#!/usr/bin/env python3
"""Variational mixtures, PPCA and factor analysis: elbo beside scikit-learn, on the same rows and threads.

    em_compare.py --elbo PATH/elbo [--threads 2] [--rounds 3] [--device cpu|cuda]

Every program fits the same float32 rows (drawn from a planted model by a fixed seed), in turn, round after round; medians
over the rounds of the seconds of a whole fit from rows in memory: for elbo "seconds.total" of its JSON summary, which
includes reading the file, for scikit-learn the time of fit() alone. Iterative fits take a fixed number of iterations;
PPCA is solved exactly by both. The last column is the mean log-likelihood per sample of the fitted model, or the bound
for variational mixtures, whose definitions differ by the constants that scikit-learn leaves out.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
import warnings

import numpy as np

ITERATIONS = 20


def clustered(rows, dimensions, components, rng):
    centres = rng.standard_normal((components, dimensions)) * 3 / np.sqrt(dimensions)
    return (centres[np.arange(rows) % components] + rng.standard_normal((rows, dimensions))).astype(np.float32)


def factored(rows, dimensions, latent, rng):
    loadings = rng.standard_normal((latent, dimensions))
    noise = rng.uniform(0.3, 0.8, dimensions)
    return (rng.standard_normal((rows, latent)) @ loadings + noise * rng.standard_normal((rows, dimensions))).astype(
        np.float32)


def variational_peer(x, components, family):
    from sklearn.mixture import BayesianGaussianMixture
    kind = {"full": "full", "diagonal": "diag"}[family]
    fit = BayesianGaussianMixture(n_components=components, covariance_type=kind,
                                  weight_concentration_prior_type="dirichlet_distribution",
                                  max_iter=ITERATIONS, tol=0, init_params="k-means++", random_state=0)
    return lambda: fit.fit(x).lower_bound_ / len(x)


def factor_peer(x, latent):
    from sklearn.decomposition import FactorAnalysis
    fit = FactorAnalysis(n_components=latent, max_iter=ITERATIONS, tol=0, svd_method="randomized")
    return lambda: fit.fit(x).loglike_[-1] / len(x)


def ppca_peer(x, latent):
    from sklearn.decomposition import PCA
    fit = PCA(n_components=latent, svd_solver="covariance_eigh")
    return lambda: fit.fit(x).score(x)


def cases(rng):
    for rows, d, k, family in ((200000, 16, 32, "full"), (200000, 16, 32, "diagonal"), (50000, 64, 16, "full")):
        x = clustered(rows, d, k, rng)
        yield (f"variational {family}, {rows} x {d}, {k} components, {ITERATIONS} iterations", x,
               ["mixture", "variational", "-k", str(k), "--family", family, "--start", "kmeans++", "--max-iterations",
                str(ITERATIONS), "--tolerance", "0"], variational_peer(x, k, family))
    for rows, d, latent in ((60000, 256, 10), (10000, 784, 20)):
        x = factored(rows, d, latent, rng)
        fit = ["latent", "fit", "-L", str(latent)]
        yield (f"factor analysis, {rows} x {d}, {latent} factors, {ITERATIONS} iterations", x,
               [*fit, "--model", "factors", "--max-iterations", str(ITERATIONS), "--tolerance", "0"],
               factor_peer(x, latent))
        yield (f"PPCA, exact, {rows} x {d}, {latent} components", x, [*fit, "--model", "ppca", "--method", "eigen"],
               ppca_peer(x, latent))


def run_elbo(arguments, program, path):
    result = subprocess.run([program, *arguments[:2], path, *arguments[2:], "--json", "-", "--quiet"],
                            capture_output=True, text=True, check=True)
    summary = json.loads(result.stdout)
    return summary["seconds"]["total"], summary["bound"] if "bound" in summary else summary["log_likelihood"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elbo", required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    import sklearn
    from threadpoolctl import threadpool_limits
    warnings.filterwarnings("ignore")  # fits that stop before they converge, on purpose
    print(f"| fit | elbo, s | scikit-learn {sklearn.__version__}, s | ratio | elbo, nats | scikit-learn, nats |")
    print("| --- | --- | --- | --- | --- | --- |")
    place = ["--device", options.device] + (["--threads", str(options.threads)] if options.device == "cpu" else [])
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(options.threads):
        for name, x, arguments, peer in cases(np.random.default_rng(1)):
            path = os.path.join(folder, "rows.npy")
            np.save(path, x)
            ours, theirs = [], []
            for _ in range(options.rounds):
                seconds, value = run_elbo([*arguments, *place], options.elbo, path)
                ours.append(seconds)
                begin = time.perf_counter()
                peer_value = peer()
                theirs.append(time.perf_counter() - begin)
            a, b = statistics.median(ours), statistics.median(theirs)
            print(f"| {name} | {a:.3g} | {b:.3g} | {b / a:.1f} | {value:.4f} | {peer_value:.4f} |", flush=True)


if __name__ == "__main__":
    main()
