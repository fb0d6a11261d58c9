#!/usr/bin/env bash
# Rows of 30,000 columns: families without matrices take memory of order k d, and what fails leaves no file.
. "$(dirname "$0")/common.sh"

export OPENBLAS_NUM_THREADS=1 # its threads would reserve address space
awk 'BEGIN { srand(7); for (i = 0; i < 6; ++i) { for (j = 0; j < 30000; ++j) printf "%s%.4f", j ? "," : "", rand() * 4 - 2; print "" } }' > wide.csv
run 0 convert wide.csv wide.npy
run 0 convert wide.csv wide.f32
rows=(wide.f32 --dimensions 30000)

# within MEGABYTES STATUS ARGUMENTS...: with so much address space. A [30000 x 30000] matrix takes 7.2 GB.
within() {
    local megabytes=$1 before
    shift
    before=$(ulimit -S -v)
    ulimit -S -v $((megabytes * 1024))
    run "$@"
    ulimit -S -v "$before"
}

for family in diagonal spherical tied_diagonal tied_spherical; do
    within 1200 0 mixture fit "${rows[@]}" -k 2 --family $family --threads 2 --json fit.json -o m.safetensors --report r.html
    contains stdout "$family, 2 components, 30000 dimensions"
    is fit.json stopped converged # although rounding in float32 is above the tolerance
    contains r.html '<svg'
    memory=$(sed -n 's/.*memory \([0-9]*\)\..* MiB:.*/\1/p' stderr)
    [ "${memory:-10000}" -lt 300 ] || fail "$family announces ${memory:-no} MiB: $(cat stderr)"
    within 1200 0 mixture info m.safetensors
    within 1200 0 mixture score m.safetensors "${rows[@]}" --threads 2
    within 1200 0 mixture assign m.safetensors "${rows[@]}" --threads 2 -o l.csv --responsibilities p.npy
    within 1200 0 mixture sample m.safetensors -n 3 --seed 1 -o s.npy
    within 1200 0 mixture variational "${rows[@]}" -k 2 --family $family --max-iterations 3 --threads 2
    within 1200 0 mixture accumulate m.safetensors "${rows[@]}" --threads 2 -o part.safetensors
    within 1200 0 mixture maximize part.safetensors -o next.safetensors
done
within 1200 0 mixture select "${rows[@]}" -k 1:2 --families diagonal,tied_diagonal --max-iterations 3 --threads 2
within 1200 0 mixture fit wide.npy -k 2 --family diagonal --threads 2 --max-iterations 3

# What fails at the last output leaves none of those before it.
rm -f m.safetensors fit.json r.html
if [ -w /dev ]; then
    refuses 1 'space' mixture fit "${rows[@]}" -k 1 --family spherical -o m.safetensors --report r.html --json /dev/full --quiet
fi

# Of a family with matrices the plan says what they would take, and nothing is left behind.
ulimit -S -v $((1200 * 1024))
refuses 1 'memory' mixture fit "${rows[@]}" -k 2 --family full -o m.safetensors --json fit.json --quiet

finish
