#!/usr/bin/env bash
# Fits mixtures to real data and to a large synthetic set, trains a variational autoencoder, and draws what came out.
#   scripts/demo.sh ELBO [FOLDER]
# ELBO is the tool, or the build folder that has it; pages and models go to FOLDER (default: build/demo).
set -euo pipefail

usage='usage: scripts/demo.sh ELBO [FOLDER]'
tool=$(realpath "${1:?$usage}")
[ ! -d "$tool" ] || tool=$tool/bin/elbo
cd "$(dirname "$(readlink -f "$0")")/.."
folder=$(realpath -m "${2:-build/demo}")
mkdir -p "$folder"

samples=1000000
dimensions=16
components=16

# The value of a number or a text in a JSON summary, which has one key a line.
value() { sed -n "s/^  \"$2\": \(.*[^,]\),*$/\1/p" "$folder/$1.json" | tr -d '"'; }

heading() { printf '\n== %s\n\n' "$1"; }

# fit NAME DATA OPTIONS...: fits, prints, and leaves NAME.html, NAME.json and NAME.safetensors.
fit() {
    local name=$1
    shift
    "$tool" mixture fit "$@" --report "$folder/$name.html" --json "$folder/$name.json" -o "$folder/$name.safetensors"
}

# train NAME DATA OPTIONS...: the same for a variational autoencoder.
train() {
    local name=$1
    shift
    "$tool" vae train "$@" --report "$folder/$name.html" --json "$folder/$name.json" -o "$folder/$name.safetensors"
}

# A mixture with known parameters: overlapping axis-parallel clusters whose means and variances are drawn by the generator of Park and Miller.
synthetic_model() {
    awk -v k="$components" -v d="$dimensions" '
        function uniform() { state = (16807 * state) % 2147483647; return state / 2147483647 }
        function list(count, kind,   i, out) {
            for (i = 0; i < count; ++i)
                out = out (i ? ", " : "") (kind == "mean" ? 5 * uniform() - 2.5 : kind == "weight" ? 1 / k : 0.5 + 3 * uniform())
            return "[" out "]"
        }
        function rows(kind,   i, out) {
            for (i = 0; i < k; ++i) out = out (i ? ",\n    " : "") list(d, kind)
            return "[\n    " out "\n  ]"
        }
        BEGIN {
            state = 20240601
            printf "{\n  \"format\": \"elbo.gmm\", \"version\": 1, \"family\": \"diagonal\",\n"
            printf "  \"components\": %d, \"dimensions\": %d,\n  \"weights\": %s,\n", k, d, list(k, "weight")
            printf "  \"means\": %s,\n  \"covariances\": %s\n}\n", rows("mean"), rows("variance")
        }'
}

# One page that leads to the others.
index_page() {
    cat <<HTML
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/><title>elbo demo</title>
<style>body{font:16px/1.5 "Segoe UI","DejaVu Sans",Arial,sans-serif;margin:2rem auto;max-width:62rem;color:#1d232b}
iframe{width:100%;height:66rem;border:1px solid #dfe3e8;border-radius:6px}h2{margin-top:2.5rem}</style></head><body>
<h1>Gaussian mixtures and a variational autoencoder, fitted by elbo $(value old-faithful version)</h1>
<p>On $(value old-faithful device). The synthetic set of $samples x $dimensions samples took
$(printf %.3g "$(value synthetic seconds_per_iteration)") s per iteration; the autoencoder took
$(printf %.0f "$(value digits-vae samples_per_second)") samples per second.</p>
<h2><a href="digits-vae.html">Handwritten digits, a variational autoencoder</a></h2>
<iframe src="digits-vae.html" title="Variational autoencoder of the digits"></iframe>
<h2><a href="old-faithful.html">Old Faithful</a></h2><iframe src="old-faithful.html" title="Old Faithful"></iframe>
<h2><a href="digits.html">Handwritten digits, a mixture</a></h2><iframe src="digits.html" title="Digits"></iframe>
<h2><a href="synthetic.html">$samples synthetic samples</a></h2><iframe src="synthetic.html" title="Synthetic"></iframe>
</body></html>
HTML
}

heading 'Old Faithful: 272 eruptions, two components'
fit old-faithful tests/data/faithful.csv --columns eruptions,waiting -k 2 --start random

heading 'Handwritten digits: 1797 images of 8 x 8 pixels, ten components'
fit digits tests/data/optdigits.tes --columns "$(seq -s, 0 63)" -k 10 --regularization 1 --seed 1

heading 'Handwritten digits: a variational autoencoder'
train digits-vae tests/data/optdigits.tes --labels 64 --scale 0.0625 --validation-fraction 0.1 --seed 1 \
    --latent 16 --encoder 256 --activation relu --epochs 1500 --batch 64 --schedule cosine
"$tool" vae sample "$folder/digits-vae.safetensors" -n 120 --means --seed 2 --png "$folder/digits-samples.png" -o "$folder/digits-samples.npy"
"$tool" vae interpolate "$folder/digits-vae.safetensors" tests/data/optdigits.tes --columns "$(seq -s, 0 63)" --scale 0.0625 \
    --from 0 --to 1 --png "$folder/digits-line.png"

heading "Throughput: $samples x $dimensions float32 samples, $components components with full covariances"
synthetic_model > "$folder/truth.json"
"$tool" mixture sample "$folder/truth.json" -n "$samples" --seed 7 --type float32 -o "$folder/synthetic.npy"
fit synthetic "$folder/synthetic.npy" -k "$components" --max-iterations 100
rm "$folder/synthetic.npy"
index_page > "$folder/report.html"

heading 'Summary'
awk -v seconds="$(value synthetic seconds_per_iteration)" -v n="$samples" -v device="$(value synthetic device)" \
    'BEGIN { printf "Throughput on %s: %.3g s per EM iteration, %.3g million samples a second.\n", device, seconds, n / seconds / 1e6 }'
printf 'Variational autoencoder of the digits: ELBO %.2f nats per sample on held-out images, %.3g samples a second of training.\n' \
    "$(value digits-vae elbo)" "$(value digits-vae samples_per_second)"
printf 'Total log-likelihood of Old Faithful: %s (published: -1130.263960).\n' "$(value old-faithful total_log_likelihood)"
printf 'Pictures: %s\n' "$folder/report.html"
