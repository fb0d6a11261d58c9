#!/usr/bin/env bash
# Ctrl-C and kill -9 in elbo vae train: what is written, and that a resumed run gives the same bits.
. "$(dirname "$0")/common.sh"
set -m # so that jobs in the background do not ignore SIGINT

training=(vae train "$data/optdigits.tes" --labels 64 --scale 0.0625 --encoder 32 --latent 4 --batch 100 --validation-fraction 0.1)

# Ctrl-C: the model so far is written, with summary and page, and the exit status is 130.
"$tool" "${training[@]}" --epochs 10000000 -o model.safetensors --json train.json --report train.html > stdout 2> stderr &
job=$!
sleep 7 # beyond the five seconds between two lines of progress
kill -INT $job
status=0
wait $job || status=$?
[ $status -eq 130 ] || fail "exit status $status, expected 130"
is train.json stopped interrupted
contains stdout 'interrupted after'
contains stderr 'elbo: epoch'
contains stderr 'samples/s'
contains stderr 'left'
contains train.html 'interrupted after'
run 0 vae evaluate model.safetensors "$data/optdigits.tes" --labels 64 --scale 0.0625 --json evaluate.json
[ -z "$(find . -name '*.tmp*')" ] || fail 'temporary files were left'

# A run that was killed goes on from its checkpoint to the same bits as one that was not.
run 0 "${training[@]}" --epochs 200 -o whole.safetensors -q
"$tool" "${training[@]}" --epochs 200 --checkpoint ck.safetensors --checkpoint-every 0.05 -q &
job=$!
while [ ! -s ck.safetensors ] || [ "$(stat -c %Y.%s ck.safetensors)" = "${first:=$(stat -c %Y.%s ck.safetensors)}" ]; do
    sleep 0.1
    kill -0 $job 2> /dev/null || break
done
kill -9 $job 2> /dev/null || fail 'the run to be killed was over too soon'
wait $job 2> /dev/null
run 0 vae info ck.safetensors # a checkpoint is a model, too
run 0 "${training[@]}" --epochs 200 --resume ck.safetensors -o resumed.safetensors --json resumed.json -q
same whole.safetensors resumed.safetensors
is resumed.json epochs 200

# Another run than the one that was interrupted is refused, with what differs.
run 2 "${training[@]}" --epochs 200 --resume ck.safetensors --learning-rate 0.5 -o other.safetensors
contains stderr 'learning_rate'
run 2 "${training[@]}" --epochs 200 --resume ck.safetensors --latent 5 -o other.safetensors
contains stderr 'latent'
[ ! -e other.safetensors ] || fail 'a refused run wrote a model'

finish
