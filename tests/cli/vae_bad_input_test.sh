#!/usr/bin/env bash
# Every bad input of elbo vae: the message names what and where, the exit status is 2 (or 1 for the machine), nothing is written.
. "$(dirname "$0")/common.sh"

digits=("$data/optdigits.tes" --columns "$(seq -s, 0 63)" --scale 0.0625)
# bad TEXT OPTIONS...: training on the digits with these options.
bad() { refuses 2 "$1" vae train "${digits[@]}" "${@:2}" -o out.safetensors --json out.json --report out.html; }
# bad_data TEXT FILE OPTIONS...
bad_data() { refuses 2 "$1" vae train "${@:2}" --encoder 4 --latent 1 --epochs 1 -o out.safetensors; }

# Wrong usage.
refuses 2 'subcommand' vae
refuses 2 'DATA' vae train
refuses 2 'nonsense' vae train "${digits[@]}" --nonsense
bad 'encoder[0] = 0' --encoder 0
bad 'encoder[1] = 0' --encoder 8,0
bad 'decoder[0] = 0' --decoder 0
bad '--encoder 8,' --encoder 8,
bad '--encoder wide' --encoder wide
bad 'latent = 0' --latent 0
bad 'latent = -1' --latent -1
bad 'sawtooth' --activation sawtooth
bad 'guess' --likelihood guess
bad 'blocks' --likelihood categorical
bad 'blocks' --likelihood categorical --blocks 10
bad 'blocks' --likelihood bernoulli --blocks 8
bad 'sigma = 0' --likelihood gaussian --sigma 0
bad 'guess' --likelihood gaussian --gaussian-scale guess
bad 'sphere' --decoder-form sphere
bad '--decoder 8: expected none' --likelihood gaussian --latent 64 --decoder-form sphere --decoder 8
bad 'likelihood.scale = learned' --gaussian-scale learned
bad 'epochs = 0' --epochs 0
bad 'batch = 0' --batch 0
bad 'batch = 1798' --batch 1798
bad 'samples = 0' --samples 0
bad 'entropy' --objective entropy
bad 'doubly_reparameterized' --estimator doubly_reparameterized
bad 'free_bits' --estimator sticking_the_landing --free-bits 1
bad 'free_bits = -1' --free-bits -1
bad 'beta' --objective importance --beta 2
bad 'adagrad' --optimizer adagrad
bad 'learning_rate = 0' --learning-rate 0
bad 'learning_rate = -1' --learning-rate -1
bad 'learning_rate = nan' --learning-rate nan
bad 'weight_decay' --weight-decay 0.1
bad '--schedule sometimes' --schedule sometimes
bad 'factors' --schedule steps --boundaries 1,2 --factors 0.5
bad 'boundaries' --schedule steps --boundaries 2,1 --factors 0.5,0.1
bad 'average_decay = 1' --average-decay 1
bad 'patience' --patience 3
bad 'binarize' --likelihood gaussian --binarize
bad 'validation_fraction = 1:' --validation-fraction 1
bad 'validation_fraction = -0.1' --validation-fraction -0.1
bad 'validation_fraction = 1e-06' --validation-fraction 1e-6
bad 'expected one of them' --validation "$data/optdigits.tes" --validation-fraction 0.1
bad '--image 8by8' --image 8by8
bad '--image 8x9' --image 8x9
bad '--device abacus' --device abacus
bad 'half' --precision half

# Files.
bad 'missing.csv' --validation missing.csv
bad 'missing.safetensors' --start missing.safetensors
bad 'missing.safetensors' --resume missing.safetensors
bad 'scale' --scale 0
refuses 2 'missing.csv' vae train missing.csv -o out.safetensors
refuses 2 'nowhere' vae train "${digits[@]}" -o nowhere/out.safetensors
refuses 2 'nowhere' vae train "${digits[@]}" --checkpoint nowhere/ck.safetensors
refuses 2 '.safetensors' vae train "${digits[@]}" -o out.txt
refuses 2 '.safetensors' vae train "${digits[@]}" --checkpoint ck.txt
refuses 2 'twice.json' vae train "${digits[@]}" -o twice.json --json twice.json

# Values that the likelihood does not allow: row and column.
printf '0,1\n0.5,0.25\n1,1.5\n' > above.csv
printf '0,1\n-0.1,0.25\n1,1\n' > below.csv
printf '0,1\n0,nan\n1,1\n' > nan.csv
printf '1,0\n1,1\n0,1\n' > warm.csv
bad_data 'row 2' above.csv --batch 1
bad_data 'column 1' above.csv --batch 1
bad_data '1.5' above.csv --batch 1
bad_data 'row 1' below.csv --batch 1
bad_data 'row 1' nan.csv --batch 1
bad_data 'row 1' nan.csv --batch 1 --likelihood gaussian
bad_data 'row 1' warm.csv --batch 1 --likelihood categorical --blocks 2
bad_data 'row 2' warm.csv --batch 1 --likelihood bernoulli --validation above.csv
bad_data 'batch = 4' warm.csv --batch 4
bad_data 'columns' warm.csv --batch 1 --validation "$data/iris.csv"
bad_data '--labels nowhere' warm.csv --batch 1 --labels nowhere
bad_data '--labels nan.csv' warm.csv --batch 1 --labels nan.csv
printf '1\n2\n' > short.csv
bad_data 'short.csv' warm.csv --batch 1 --labels short.csv

# A bound that is not finite ends the run and names term and step.
refuses 2 'not finite at step' vae train "${digits[@]}" --likelihood gaussian --encoder none --optimizer sgd --learning-rate 1e200 -o out.safetensors

# Models: missing, cut off, changed, of another kind, of other dimensions.
run 0 vae train "${digits[@]}" --encoder 8 --latent 2 --epochs 1 -o model.safetensors -q
run 0 vae train "${digits[@]}" --encoder 8 --latent 2 --epochs 1 -o model.json -q
run 0 vae train "${digits[@]}" --encoder 8 --latent 2 --epochs 1 --checkpoint ck.safetensors -q
run 0 mixture fit "$data/faithful.csv" --columns eruptions,waiting -k 2 -o mixture.safetensors -q
head -c 2000 model.safetensors > cut.safetensors
head -c 4 model.safetensors > head.safetensors
head -c 2000 ck.safetensors > cut-ck.safetensors
head -c 500 model.json > cut.json
printf '{"format": "elbo.vae", "version": 99}' > newer.json
sed 's/"latent": *2/"latent": 3/' model.json > changed.json
for command in info 'sample -n 3'; do
    refuses 2 'missing.json' vae $command missing.json
    refuses 2 'byte' vae $command cut.safetensors
    refuses 2 'byte' vae $command head.safetensors
    refuses 2 'cut.json' vae $command cut.json
    refuses 2 'version' vae $command newer.json
    refuses 2 'changed.json' vae $command changed.json
    refuses 2 'mixture.safetensors' vae $command mixture.safetensors
    refuses 2 'faithful.csv' vae $command "$data/faithful.csv"
done
refuses 2 'model.safetensors' mixture info model.safetensors
for command in evaluate encode reconstruct interpolate; do
    refuses 2 'model.safetensors has 64 dimensions' vae $command model.safetensors warm.csv -o out.csv
    refuses 2 'above.csv' vae $command model.safetensors above.csv -o out.csv
done
refuses 2 'model.safetensors has 2 latent units' vae decode model.safetensors "${digits[@]}" -o out.csv
refuses 2 'samples = 0' vae evaluate model.safetensors "${digits[@]}" --samples 0
refuses 2 'importance_samples = -1' vae evaluate model.safetensors "${digits[@]}" --importance-samples -1
refuses 2 '-n 0' vae sample model.safetensors -n 0 -o out.csv
refuses 2 '--from 1797' vae interpolate model.safetensors "${digits[@]}" --from 1797 -o out.csv
refuses 2 '--to -1' vae interpolate model.safetensors "${digits[@]}" --to -1 -o out.csv
refuses 2 'steps' vae interpolate model.safetensors "${digits[@]}" --steps 0 -o out.csv
refuses 2 'out.exe' vae encode model.safetensors "${digits[@]}" -o out.exe
refuses 2 '--type int8' vae sample model.safetensors -n 3 -o out.csv --type int8
refuses 2 '--json -' vae encode model.safetensors "${digits[@]}" --json -
refuses 2 '--json -' vae sample model.safetensors -n 3 --json -
refuses 2 '--image' vae sample model.safetensors -n 3 --png out.png --image 5x5
resumed=(--encoder 8 --epochs 1)
bad 'model.safetensors' --resume model.safetensors "${resumed[@]}" # a model is no checkpoint
bad 'cut-ck.safetensors' --resume cut-ck.safetensors "${resumed[@]}"
bad 'latent' --resume ck.safetensors --latent 3 "${resumed[@]}"
bad_data 'model.safetensors has 64 dimensions' warm.csv --start model.safetensors

# Failures of the machine: status 1. An existing file stays as it was.
if [ -w /dev/full ]; then
    refuses 1 '/dev/full' vae train "${digits[@]}" --encoder 8 --epochs 1 --json /dev/full
fi
printf 'kept' > old.safetensors
refuses 2 'row 1' vae train nan.csv --batch 1 -o old.safetensors
[ "$(cat old.safetensors)" = kept ] || fail 'a failed training changed an existing file'

finish
