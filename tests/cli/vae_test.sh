#!/usr/bin/env bash
# elbo vae train, evaluate, encode, decode, reconstruct, sample, interpolate, info: results, summaries, files, options.
. "$(dirname "$0")/common.sh"

# 1797 images of 8 x 8 pixels with values 0 ... 16, the digit in column 64.
digits=("$data/optdigits.tes" --columns "$(seq -s, 0 63)" --scale 0.0625)
network=(--latent 3 --encoder 32,16 --activation relu)
png() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] || fail "$1 is not a PNG file"; }

# train: the summary, the page, the picture, the model.
run 0 vae train "${digits[@]}" --labels 64 "${network[@]}" --epochs 4 --batch 100 --validation-fraction 0.1 --json train.json \
    -o model.safetensors --report train.html --png train.png
contains stdout '64 dimensions, 3 latent units, bernoulli, 1617 samples'
contains stdout 'completed 4 epochs, 68 steps'
contains stderr '1797 rows, values times 0.0625'
keys train.json command version device samples validation_samples scale dimensions latent encoder decoder activation \
    likelihood decoder_form parameters epochs steps stopped best_epoch elbo sigma samples_per_second seconds history
is train.json samples 1617
is train.json validation_samples 180
is train.json scale 0.0625
is train.json encoder '[32,16]'
is train.json decoder '[16,32]'
is train.json parameters 5430 # 65·32 + 33·16 + 17·6 of the encoder, 4·16 + 17·32 + 33·64 of the decoder
is train.json epochs 4
is train.json steps 68
is train.json stopped completed
for key in epoch step train_elbo train_reconstruction train_kl validation_elbo validation_kl learning_rate seconds; do
    contains train.json "\"$key\":"
done
# The bound is the difference of its terms, and that of the last epoch is the result.
sed -n 's/^  "history": //p' train.json | tr '}' '\n' | awk -F'"validation_elbo":' -v elbo="$(value train.json elbo)" '
    function field(name,   text) { text = $0; sub(".*\"" name "\":", "", text); sub(",.*", "", text); return text + 0 }
    /epoch/ {
        ++epochs
        d = field("train_elbo") - (field("train_reconstruction") - field("train_kl"))
        v = field("validation_elbo") - (field("validation_reconstruction") - field("validation_kl"))
        if (d > 1e-9 || d < -1e-9 || v > 1e-9 || v < -1e-9) exit 1
        if (epochs == 1) first = field("validation_elbo")
        last = field("validation_elbo")
    }
    END { exit !(epochs == 4 && last > first && last == elbo + 0) }' || fail 'the history does not add up'
for text in 'Samples' 'Reconstructions' 'Terms of the bound' 'Latent space' 'coloured by label' 'encoder.0' '<svg' 'data:image/png'; do
    contains train.html "$text"
done
lacks train.html '(src|href)="http'
lacks train.html '@import|url\(http'
lacks train.html '[^a-z]nan[^a-z]'
png train.png

# The same command gives the same model, on one thread too; another seed another one.
again() { run 0 vae train "${digits[@]}" "${network[@]}" --epochs 2 --batch 100 -q "${@:2}" -o "$1"; }
again a.safetensors
again b.safetensors --threads 1
again c.safetensors --seed 1
same a.safetensors b.safetensors
! cmp -s a.safetensors c.safetensors || fail 'another seed gave the same model'
# Rows that are held out change training; a column of labels is left out of the data by itself.
again d.safetensors --validation-fraction 0.5
! cmp -s a.safetensors d.safetensors || fail 'rows that are held out were trained on'
run 0 vae train "$data/optdigits.tes" --scale 0.0625 --labels 64 "${network[@]}" --epochs 2 --batch 100 -q -o e.safetensors
same a.safetensors e.safetensors

# evaluate: J = reconstruction - KL <= L_S; the mean of the rows is the result; the same numbers for the same file.
run 0 vae evaluate model.safetensors "${digits[@]}" --importance-samples 20 --json evaluate.json -o rows.csv --report evaluate.html
keys evaluate.json command version device model samples scale dimensions latent encoder decoder activation likelihood \
    decoder_form parameters elbo elbo_standard_error reconstruction kl kl_per_unit unit_activity active_units \
    importance_samples log_likelihood_bound log_likelihood_standard_error effective_sample_size seconds
contains stdout 'log-likelihood bound'
contains stdout 'active units'
contains evaluate.html 'latent unit'
near evaluate.json elbo "$(awk -v r="$(value evaluate.json reconstruction)" -v k="$(value evaluate.json kl)" 'BEGIN { printf "%.9f", r - k }')" 1e-6
awk -v elbo="$(value evaluate.json elbo)" -v bound="$(value evaluate.json log_likelihood_bound)" 'BEGIN { exit !(bound > elbo) }' ||
    fail 'the importance bound is not above the ELBO'
[ "$(head -1 rows.csv)" = elbo,log_likelihood_bound ] || fail "rows.csv begins with $(head -1 rows.csv)"
for column in 1:elbo 2:log_likelihood_bound; do
    mean=$(awk -F, -v j="${column%:*}" 'NR > 1 { sum += $j } END { printf "%.9f", sum / (NR - 1) }' rows.csv)
    near evaluate.json "${column#*:}" "$mean" 1e-6
done
run 0 vae evaluate model.safetensors "${digits[@]}" --json evaluate2.json -q
is evaluate2.json elbo "$(value evaluate.json elbo)"
! grep -q log_likelihood_bound evaluate2.json || fail 'a bound without --importance-samples'

# encode and decode: together they are reconstruct.
run 0 vae encode model.safetensors "${digits[@]}" -o z.npy --log-variances v.csv --json encode.json
[ "$(head -1 v.csv)" = 'log_variance0,log_variance1,log_variance2' ] || fail "v.csv begins with $(head -1 v.csv)"
[ "$(wc -l < v.csv)" -eq 1798 ] || fail 'v.csv should have a head and 1797 rows'
run 0 vae decode model.safetensors z.npy -o decoded.csv --json decode.json
run 0 vae reconstruct model.safetensors "${digits[@]}" -o rows.csv --png reconstructed.png
same decoded.csv rows.csv
png reconstructed.png
run 0 vae reconstruct model.safetensors "${digits[@]}" --png alone.png
contains stdout 'alone.png: rows of'
same reconstructed.png alone.png
tail -n +2 rows.csv | tr ',' '\n' | awk '$1 < 0 || $1 > 1 { exit 1 }' || fail 'a probability outside [0, 1]'
run 0 vae encode model.safetensors "${digits[@]}"
[ "$(head -1 stdout)" = 'mean0,mean1,mean2' ] || fail "encode printed $(head -1 stdout)"
[ "$(wc -l < stdout)" -eq 1798 ] || fail 'encode should print a head and 1797 rows'

# sample: the same seed twice; draws are 0 or 1, means are not.
run 0 vae sample model.safetensors -n 50 --seed 3
cp stdout printed.csv
run 0 vae sample model.safetensors -n 50 --seed 3 -o written.csv --png samples.png --json sample.json
same printed.csv written.csv
keys sample.json command version device model samples dimensions seed means
png samples.png
[ "$(tail -n +2 written.csv | tr ',' '\n' | sort -u | tr '\n' ' ')" = '0 1 ' ] || fail 'draws of bernoulli are not 0 and 1'
run 0 vae sample model.safetensors -n 50 --seed 3 --means -o means.csv
tail -n +2 means.csv > means.rows # grep -q at the end of a pipe would leave a writer without a reader
grep -q '0\.' means.rows || fail 'means are whole numbers'
run 0 vae sample model.safetensors -n 5 --png only.png --image 4x16
png only.png
[ "$(wc -l < stdout)" -eq 1 ] || fail 'rows were printed although there is a picture'

# interpolate: the ends are the reconstructions of the two rows.
run 0 vae interpolate model.safetensors "${digits[@]}" --from 3 --to 17 --steps 5 -o line.csv --png line.png --json line.json
[ "$(wc -l < line.csv)" -eq 6 ] || fail 'line.csv should have a head and 5 rows'
paste -d' ' <(sed -n '2p;6p' line.csv) <(sed -n '5p;19p' rows.csv) | awk '{
    n = split($1, a, ","); split($2, b, ",")
    for (i = 1; i <= n; ++i) { d = a[i] - b[i]; if (d > 1e-6 || d < -1e-6) exit 1 } }' || fail 'the line does not end at the rows'
png line.png

# info, and both kinds of model file.
run 0 vae info model.safetensors --json info.json
keys info.json command version model dimensions latent encoder decoder activation likelihood decoder_form parameters sigma \
    training_flops_per_sample
contains stdout 'encoder.0'
contains stdout '5430 parameters'
run 0 vae train "${digits[@]}" "${network[@]}" --epochs 2 --batch 100 -q -o a.json
run 0 vae evaluate a.json "${digits[@]}" --json aj.json -q
run 0 vae evaluate a.safetensors "${digits[@]}" --json as.json -q
is aj.json elbo "$(value as.json elbo)"
run 0 convert a.json back.safetensors
same a.safetensors back.safetensors

# Fewer rows than the default batch, and a sphere in as many dimensions as columns.
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do printf '%d,%d,%d\n' "$i" $((i * i % 7)) $((i % 3)); done > twelve.csv
run 0 vae train twelve.csv --likelihood gaussian --epochs 2 --json twelve.json -q
is twelve.json steps 2
is twelve.json latent 2
run 0 vae train twelve.csv --likelihood gaussian --decoder-form sphere --epochs 2 --json sphere.json -q
is sphere.json latent 3
# The training bound of an optimal sigma with batches of one row is that of one model: the maximum is -8.7598, and the
# noise of one draw for each of 2000 rows 0.03 (tests/vae/scale_test.cpp).
run 0 vae train "$data/failing/11_linear.npy" --likelihood gaussian --gaussian-scale optimal --encoder none --decoder none \
    --latent 2 --batch 1 --epochs 20 --learning-rate 0.003 --schedule cosine --json linear.json -o linear.safetensors -q
near linear.json elbo -8.80 0.06
run 0 vae evaluate linear.safetensors "$data/failing/11_linear.npy" --samples 5 --json linear_evaluation.json -q
near linear_evaluation.json elbo -8.80 0.06

# The other likelihoods, objectives, optimisers.
run 0 vae train "${digits[@]}" --encoder none --latent 2 --likelihood gaussian --gaussian-scale optimal --epochs 3 --json gaussian.json \
    --optimizer sgd --momentum 0.5 --learning-rate 0.001 --clip-norm 1 --schedule cosine --warm-up-steps 5 -o gaussian.safetensors
contains stdout 'sigma'
is gaussian.json gaussian_scale optimal
run 0 vae train "${digits[@]}" "${network[@]}" --epochs 2 --objective importance --samples 3 --estimator doubly_reparameterized \
    --optimizer adamw --weight-decay 0.01 --schedule steps --boundaries 1 --factors 0.5 --average-decay 0.9 --binarize -q
run 0 vae train "${digits[@]}" "${network[@]}" --epochs 3 --kl-warm-up 2 --free-bits 0.1 --beta 0.5 --validation-fraction 0.2 --patience 2 -q
# Terms and bound are those of one epoch, the best (each rounded to four digits).
run 0 vae train "${digits[@]}" --encoder 16 --epochs 60 --learning-rate 0.1 --validation-fraction 0.2 --patience 1
contains stdout 'stopped early'
awk '/^  ELBO/ { j = $3 } /^  reconstruction/ { r = $2 } /^  KL/ { k = $2 } END { d = r - k - j; exit !(j && d < 2e-4 && d > -2e-4) }' \
    stdout || fail "reconstruction - KL is not the ELBO: $(cat stdout)"
run 0 vae train "${digits[@]}" "${network[@]}" --epochs 1 --schedule burda --start a.safetensors --estimator sticking_the_landing -q
awk 'BEGIN { for (i = 0; i < 60; ++i) print (i % 3 == 0) "," (i % 3 == 1) "," (i % 3 == 2) "," (i % 2) "," 1 - i % 2 "," 0 }' > hot.csv
run 0 vae train hot.csv --likelihood categorical --blocks 3 --latent 2 --encoder 8 --epochs 2 --batch 20 --json hot.json --report hot.html
is hot.json blocks '[3,3]'
contains hot.html 'Data and samples'

# Images of unsigned bytes are scaled by themselves.
{ printf '\x00\x00\x08\x03\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00\x02'; printf '\x00\xff\x33\x66\xff\x00\x99\xcc'; } > images-idx3-ubyte
run 0 vae train images-idx3-ubyte --encoder none --latent 1 --epochs 1 --batch 2 --json images.json
near images.json scale 0.0039215686 1e-9
contains stderr 'values times 0.00392157'

for command in '' train evaluate encode decode reconstruct sample interpolate info; do
    # shellcheck disable=SC2086
    run 0 vae $command --help
    contains stdout 'Usage: elbo vae'
done

finish
