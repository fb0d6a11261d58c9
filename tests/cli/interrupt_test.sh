#!/usr/bin/env bash
# Ctrl-C: the best model so far is written, and the exit status is 130. kill -9: a resumed fit gives the same bits.
. "$(dirname "$0")/common.sh"
set -m # so that jobs in the background do not ignore SIGINT

# Overlapping components and no tolerance: this fit would go on for hours.
endless=(mixture fit "$data/faithful.csv" --columns eruptions,waiting -k 5 --tolerance 0 --max-iterations 1000000000)
"$tool" "${endless[@]}" -o model.json --json fit.json --report fit.html > stdout 2> stderr &
job=$!
sleep 6 # beyond the five seconds between two lines of progress
kill -INT $job
status=0
wait $job || status=$?
[ $status -eq 130 ] || fail "exit status $status, expected 130"
is fit.json stopped interrupted
contains stdout 'interrupted after'
contains stderr 'elbo: iteration'
contains stderr 's/iteration'
[ -s model.json ] || fail 'no model was written'
contains fit.html 'interrupted after'
run 0 mixture score model.json "$data/faithful.csv" --json score.json
near score.json total_log_likelihood "$(value fit.json total_log_likelihood)" 1e-6
[ -z "$(find . -name '*.tmp*')" ] || fail 'temporary files were left'

# Eigenvectors come in one piece: nothing is there to be written, and Ctrl-C ends the program at once. With no tolerance the
# subspace iteration over more columns than LAPACK takes would go on for long.
awk 'BEGIN { srand(1); for (i = 0; i < 4500; ++i) { for (j = 0; j < 1100; ++j) printf "%s%d", j ? "," : "", 1000 * rand();
    print "" } }' > wide.csv
"$tool" convert wide.csv wide.npy > stdout 2> stderr || fail "cannot convert: $(cat stderr)"
"$tool" latent fit wide.npy -L 5 --method eigen --tolerance 0 --max-iterations 2000 -o eigen.json > stdout 2> stderr &
job=$!
await 'wide.npy: 4500 rows'
sleep 1
kill -INT $job
status=0
wait $job || status=$?
[ $status -eq 130 ] || fail "exit status $status of eigenvectors, expected 130"
[ ! -e eigen.json ] || fail 'a model was written that was not finished'

# On a terminal there is one line that is rewritten, and it is gone at the end.
if command -v script > script_path; then
    limited="'$tool' mixture fit '$data/faithful.csv' -k 5 --tolerance 0 --max-iterations 20000"
    script -qec "$limited" typescript > live < /dev/null || fail "the fit on a terminal failed: $(cat live)"
    contains live $'\r\e[Kiteration 0  log-likelihood'
    contains live $'\r\e[KGaussian mixture of'
fi

# A fit that was killed goes on from its checkpoint to the same bits as one that was not; what else is asked for is refused.
for fit in 'mixture fit -k 5' 'mixture variational -k 5' 'latent fit --model factor-mixture -L 1 -k 2 --restarts 2' \
    'latent fit --model sphere' 'mixture select -k 1:3 --restarts 2'; do
    read -r -a words <<< "$fit"
    command=("${words[@]:0:2}" "$data/faithful.csv" --columns eruptions,waiting "${words[@]:2}" --tolerance 0
        --max-iterations 4000 --threads 1)
    rm -f ck.safetensors
    run 0 "${command[@]}" -o whole.safetensors -q
    "$tool" "${command[@]}" --checkpoint ck.safetensors --checkpoint-iterations 3 -q > stdout 2> stderr &
    job=$!
    while [ ! -s ck.safetensors ]; do
        sleep 0.02
        kill -0 $job 2> /dev/null || break
    done
    kill -9 $job 2> /dev/null || fail "$fit: the run to be killed was over too soon"
    wait $job 2> /dev/null
    run 0 "${command[@]}" --checkpoint ck.safetensors --resume ck.safetensors -o resumed.safetensors -q
    same whole.safetensors resumed.safetensors
    run 2 "${command[@]}" --resume ck.safetensors --seed 5 -o other.safetensors
    contains stderr 'seed = 0, this call has 5'
    [ ! -e other.safetensors ] || fail "$fit: a refused run wrote a model"
done

finish
