#!/usr/bin/env bash
# What batch systems do to a process: SIGTERM and SIGHUP end long commands as Ctrl-C does, with what there is so far; kill
# -9, limits of file size and of address space.
. "$(dirname "$0")/common.sh"
set -m

# begin TEXT ARGUMENTS...: a job that goes on for hours, until TEXT is on its standard error.
begin() {
    local text=$1
    shift
    : > stderr
    "$tool" "$@" > stdout 2> stderr &
    job=$!
    await "$text"
    sleep 0.5
}
# ended STATUS: waits for the job.
ended() {
    local status=0
    wait $job || status=$?
    [ $status -eq "$1" ] || fail "exit status $status, expected $1: $(cat stderr)"
}

begun=' rows' # of the line that says what is fitted
rows=("$data/faithful.csv" --columns eruptions,waiting)
endless=(--tolerance 0 --max-iterations 1000000000)
mixture=(mixture fit "${rows[@]}" -k 5 "${endless[@]}" -o model.json --json fit.json --checkpoint ck.safetensors)

# More than one may come, as srun and the batch step both send one; the model is written all the same.
begin "$begun" "${mixture[@]}"
kill -TERM $job
kill -TERM $job 2> /dev/null || true
ended 143
is fit.json stopped interrupted
contains stderr 'stopping'
[ -s model.json ] || fail 'no model was written'
[ -s ck.safetensors ] || fail 'no checkpoint was written'
run 0 mixture score model.json "$data/faithful.csv" --json score.json
near score.json total_log_likelihood "$(value fit.json total_log_likelihood)" 1e-6

begin "$begun" "${mixture[@]}"
kill -HUP $job
ended 129
is fit.json stopped interrupted

begin "$begun" mixture variational "${rows[@]}" -k 5 "${endless[@]}" -o model.json --json fit.json
kill -TERM $job
ended 143
is fit.json stopped interrupted

begin "$begun" latent fit "${rows[@]}" --model factor-mixture -L 1 -k 2 "${endless[@]}" -o model.json --json fit.json
kill -TERM $job
ended 143
is fit.json stopped interrupted

training=(vae train "$data/optdigits.tes" --labels 64 --scale 0.0625 --encoder 32 --latent 4 --batch 100 --epochs 10000000)
begin "$begun" "${training[@]}" -o vae.safetensors --json train.json --checkpoint vae-ck.safetensors
kill -TERM $job
ended 143
is train.json stopped interrupted
run 0 vae info vae.safetensors
run 0 vae info vae-ck.safetensors

# nohup: a SIGHUP that was ignored stays ignored.
(trap '' HUP && exec "$tool" "${mixture[@]}") > stdout 2> stderr &
job=$!
await "$begun"
sleep 0.5
kill -HUP $job
sleep 0.3
kill -0 $job 2> /dev/null || fail 'a SIGHUP that was ignored ended the fit'
kill -TERM $job
ended 143

# Every finished line is in the log of a process that is killed.
begin '^elbo: epoch' "${training[@]}"
kill -9 $job
wait $job 2> /dev/null || true
grep -q '^elbo: epoch .* left$' stderr || fail "the last line is not whole: $(tail -n 1 stderr)"

# A file whose writer was killed is removed by the next that writes it; a limit of file size is an error of writing.
run 0 mixture fit "${rows[@]}" -k 2 -o model.safetensors
"$tool" mixture sample model.safetensors -n 20000000 -o big.csv -q &
job=$!
for ((i = 0; i < 1000; ++i)); do
    compgen -G '.big.csv.*.partial' > /dev/null && break
    sleep 0.02
done
kill -9 $job
wait $job 2> /dev/null || true
compgen -G '.big.csv.*.partial' > /dev/null || fail 'the killed process left nothing to remove'
(ulimit -f 8 && exec "$tool" mixture sample model.safetensors -n 100000 -o big.csv) > stdout 2> stderr
[ $? -eq 1 ] || fail "beyond the limit of file size: $(cat stderr)"
contains stderr 'elbo: error: big.csv: cannot write: File too large'
[ -z "$(compgen -G '.big.csv*' big.csv)" ] || fail "files were left: $(ls -a)"
run 0 mixture sample model.safetensors -n 10 -o big.csv

# Too little address space: it works, or ends and says so. (A sanitizer needs terabytes.)
for kilobytes in 250000 2000000; do
    status=0
    (ulimit -v $kilobytes && exec timeout 30 "$tool" --version) > stdout 2> stderr || status=$?
    case $status in
    0) contains stdout 'elbo ' ;;
    1) contains stderr 'ulimit -v' ;;
    *) grep -qE 'error while loading shared libraries|ReserveShadow|anitizer' stderr ||
        fail "with $kilobytes KB of address space: exit status $status: $(head -n 3 stderr)" ;;
    esac
done

finish
