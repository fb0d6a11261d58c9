#!/usr/bin/env bash
# elbo mixture score, assign, sample, info; elbo devices, convert.
. "$(dirname "$0")/common.sh"

run 0 mixture fit "$data/faithful.csv" --columns eruptions,waiting -k 2 -o model.safetensors --json fit.json -q

# score: the same numbers as the fit, and a density for every row whose mean is the log-likelihood.
run 0 mixture score model.safetensors "$data/faithful.csv" --json score.json -o density.csv --report score.html
keys score.json command version device model samples dimensions components family left_out log_likelihood total_log_likelihood \
    parameters bic aic icl entropy seconds
is score.json samples 272
is score.json parameters 11
for key in log_likelihood total_log_likelihood bic aic icl; do
    near score.json $key "$(value fit.json $key)" 1e-5
done
contains stdout 'BIC'
contains stdout 'ICL'
contains score.html '<svg'
[ "$(wc -l < density.csv)" -eq 273 ] || fail 'density.csv should have a head and 272 rows'
mean=$(awk 'NR > 1 { sum += $1 } END { printf "%.9f", sum / (NR - 1) }' density.csv)
near score.json log_likelihood "$mean" 1e-6

# Columns are found by their names, in any order.
awk -F, 'NR == 1 { print "waiting,number,eruptions"; next } { print $3 "," $1 "," $2 }' "$data/faithful.csv" > swapped.csv
run 0 mixture score model.safetensors swapped.csv --json swapped.json
is swapped.json log_likelihood "$(value score.json log_likelihood)"

# Weights: zero is an absent row.
awk -F, 'NR == 1 { print $0 ",w"; next } { print $0 "," (NR <= 101) }' "$data/faithful.csv" > half.csv
head -101 "$data/faithful.csv" > first.csv
run 0 mixture score model.safetensors half.csv --weights w --json half.json
run 0 mixture score model.safetensors first.csv --json first.json
near half.json log_likelihood "$(value first.json log_likelihood)" 1e-12

# assign: labels to standard output or a file, counts, responsibilities that sum to one.
run 0 mixture assign model.safetensors "$data/faithful.csv"
cp stdout printed
run 0 mixture assign model.safetensors "$data/faithful.csv" -o labels.csv --responsibilities r.csv --json assign.json
keys assign.json command version device model samples dimensions components family left_out counts
tail -n +2 labels.csv | cmp -s - printed || fail 'printed and written labels differ'
[ "$(wc -l < printed)" -eq 272 ] || fail 'expected 272 labels'
[ "$(value assign.json counts)" = "[$(grep -c 0 printed),$(grep -c 1 printed)]" ] || fail 'counts differ from the labels'
paste -d, printed <(tail -n +2 r.csv) | awk -F, '
    { sum = $2 + $3; if (sum < 1 - 1e-6 || sum > 1 + 1e-6 || ($2 >= $3 ? 0 : 1) != $1) exit 1 }' ||
    fail 'responsibilities do not sum to one or disagree with the labels'

# sample: names of the columns, the same seed twice, labels, types.
run 0 mixture sample model.safetensors -n 1000 --seed 3
cp stdout sampled.csv
[ "$(head -1 sampled.csv)" = 'eruptions,waiting' ] || fail 'samples lack the names of the columns'
run 0 mixture sample model.safetensors -n 1000 --seed 3 -o written.csv --labels drawn.csv --json sample.json
same sampled.csv written.csv
keys sample.json command version device model samples dimensions seed
[ "$(sort -u drawn.csv | tr '\n' ' ')" = '0 1 component ' ] || fail 'labels of the samples are not 0 and 1'
run 0 mixture sample model.safetensors -n 1000 --seed 4 -o other.csv
! cmp -s written.csv other.csv || fail 'another seed gave the same samples'
run 0 mixture sample model.safetensors -n 1000 --seed 3 --type float32 -o written.npy
[ "$(wc -c < written.npy)" -eq 8128 ] || fail 'float32 samples should take 128 + 8000 bytes'
# A fit to samples finds the model again: 1000 samples, so the mean of log p is known to about 1.2 / sqrt(1000) = 0.04.
run 0 mixture score model.safetensors written.csv --json again.json
near again.json log_likelihood "$(value fit.json log_likelihood)" 0.2

# info, and models in both formats.
run 0 mixture info model.safetensors --json info.json --report info.html
keys info.json command version model dimensions components family parameters column_names weights means covariances
contains stdout 'waiting'
contains info.html '<svg'
run 0 convert model.safetensors model.json
run 0 convert model.json back.safetensors
same model.safetensors back.safetensors
run 0 mixture info model.json --json info2.json
is info2.json covariances "$(value info.json covariances)"

# convert: there and back gives the same numbers.
run 0 convert "$data/faithful.csv" faithful.npy --json convert.json
keys convert.json command version from to samples dimensions left_out
run 0 convert faithful.npy faithful.f64
run 0 convert faithful.f64 --dimensions 2 faithful2.npy
same faithful.npy faithful2.npy
[ "$(wc -c < faithful.f64)" -eq $((272 * 2 * 8)) ] || fail 'faithful.f64 has a wrong size'
run 0 convert "$data/faithful.csv" --columns waiting waiting.tsv
[ "$(sed -n 2p waiting.tsv)" = 79 ] || fail 'waiting.tsv should begin with 79'

# devices, version, help.
run 0 devices --json devices.json
contains stdout 'cpu'
contains stdout 'CUDA:'
contains stdout 'BLAS:'
keys devices.json command version devices cuda blas
run 0 --version
contains stdout 'elbo '
for command in '' mixture 'mixture fit' 'mixture score' 'mixture assign' 'mixture sample' 'mixture info' devices convert; do
    run 0 $command --help
    contains stdout 'Usage: elbo'
done

finish
