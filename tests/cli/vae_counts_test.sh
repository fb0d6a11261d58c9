#!/usr/bin/env bash
# elbo vae train and the commands after it on counts: options, summaries, files, samples, faults.
. "$(dirname "$0")/common.sh"

# The pixels of optdigits are whole numbers from 0 to 16.
digits=("$data/optdigits.tes" --columns "$(seq -s, 0 63)")
small=(--encoder 16 --epochs 2 --batch 200)

run 0 vae train "${digits[@]}" "${small[@]}" --likelihood poisson --library-size --count-mean exp --json train.json -o m.safetensors \
    --report train.html
contains stdout '64 dimensions, 2 latent units, poisson'
keys train.json command version device samples validation_samples scale dimensions latent encoder decoder activation \
    likelihood count_mean library_size encoder_input decoder_form parameters epochs steps stopped best_epoch elbo sigma \
    samples_per_second seconds history
is train.json likelihood poisson
is train.json count_mean exp
is train.json library_size true
is train.json encoder_input log1p
contains train.html poisson

# What was chosen is in the file; a page, pictures and samples go by it.
run 0 vae info m.safetensors --json info.json
contains stdout 'likelihood poisson, count_mean exp, library_size true'
contains stdout 'the encoder sees log1p'
run 0 vae evaluate m.safetensors "${digits[@]}" --importance-samples 3 --report evaluate.html -q
run 0 vae sample m.safetensors -n 50 --row-sum 320 -o samples.csv -q
awk -F, 'NR > 1 { for (i = 1; i <= NF; ++i) { if ($i != int($i) || $i < 0) exit 1; sum += $i } } END { exit !(sum > 250 * 50 && sum < 390 * 50) }' \
    samples.csv || fail 'samples are not counts that add up to about 320 a row'
run 0 vae reconstruct m.safetensors "${digits[@]}" -o means.csv -q
run 0 convert m.safetensors m.json
contains m.json '"library_size":true'

# The negative binomial: theta in the summaries, one or one a column.
run 0 vae train "${digits[@]}" "${small[@]}" --likelihood negative_binomial --theta 2 --json nb.json -o nb.safetensors -q
is nb.json dispersion learned_per_dimension
contains nb.json '"theta": ['
run 0 vae info nb.safetensors
contains stdout 'dispersion learned_per_dimension, theta 2'
run 0 vae train "${digits[@]}" "${small[@]}" --likelihood negative_binomial --dispersion fixed --theta 2 --json nb.json -o nb.json.json -q
is nb.json theta '[2.0]'
run 0 vae sample nb.safetensors -n 5 -o nb.csv -q
run 2 vae train "${digits[@]}" "${small[@]}" --likelihood negative_binomial --theta 0
contains stderr 'likelihood.theta = 0: expected a number from 1e-7 to 1e17'
run 2 vae train "${digits[@]}" "${small[@]}" --likelihood poisson --theta 3
contains stderr 'likelihood.theta = 3: expected 1 for the poisson likelihood, which has no theta'
run 2 vae train "${digits[@]}" "${small[@]}" --likelihood negative_binomial --dispersion optimal
contains stderr 'dispersion'

# Files of other likelihoods say nothing of counts.
run 0 vae train "${digits[@]}" --scale 0.0625 "${small[@]}" -o b.json -q
! grep -qE 'count_mean|library_size|encoder_input' b.json || fail 'a bernoulli model with members of counts'
run 0 vae train "${digits[@]}" "${small[@]}" --likelihood poisson --encoder-input identity --json plain.json -q
is plain.json encoder_input identity
is plain.json library_size false

# Faults.
printf 'a,b\n1,2\n3,0.5\n4,4\n' > half.csv
run 2 vae train half.csv --likelihood poisson --batch 1
contains stderr 'row 1, column 1 ("b") is 0.5: expected a whole number from 0 to 16777216 for the poisson likelihood'
printf 'a,b\n1,2\n3,1\n-4,4\n' > below.csv
run 2 vae train below.csv --likelihood poisson --batch 1
contains stderr 'row 2, column 0 ("a") is -4: expected a whole number'
run 2 vae train "${digits[@]}" "${small[@]}" --likelihood gaussian --library-size
contains stderr 'likelihood.library_size = true: expected false for the gaussian likelihood'
run 2 vae train "${digits[@]}" "${small[@]}" --likelihood gaussian --encoder-input log1p
contains stderr 'encoder_input = log1p: expected identity'
run 2 vae train "${digits[@]}" "${small[@]}" --likelihood poisson --count-mean cosine
contains stderr 'softplus, exp'
run 2 vae sample m.safetensors -n 1 --row-sum -3
contains stderr 'row_sum = -3'
finish
