#!/usr/bin/env bash
# EM over parts of the data, stepwise EM, and data that is streamed, on the command line.
. "$(dirname "$0")/common.sh"

# 9000 rows: two units of 4096 rows and a part of a third.
awk 'BEGIN { print "a,b"; s = 1; for (i = 0; i < 9000; ++i) {
    s = (s * 1103515245 + 12345) % 2147483648; u = s / 2147483648
    s = (s * 1103515245 + 12345) % 2147483648; v = s / 2147483648
    printf "%.6f,%.6f\n", u + (i % 3 == 0 ? 4 : 0), u * v - (i % 3 == 1 ? 3 : 0) } }' > all.csv
(head -1 all.csv && sed -n 2,4097p all.csv) > one.csv
(head -1 all.csv && sed -n '4098,$p' all.csv) > two.csv
run 0 mixture fit all.csv -k 3 --max-iterations 2 -o start.safetensors -q

# The parts of two processes give the bits of one.
run 0 mixture accumulate start.safetensors one.csv -o one.safetensors --json one.json
keys one.json command version device model samples dimensions components family total_weight log_likelihood seconds
is one.json samples 4096
contains stdout 'nats per sample'
run 0 mixture accumulate start.safetensors two.csv -o two.safetensors -q
run 0 mixture accumulate start.safetensors all.csv -o all.safetensors -q
run 0 mixture maximize two.safetensors one.safetensors -o parts.safetensors --json parts.json
keys parts.json command version parts samples total_weight log_likelihood entropy dimensions components family \
    column_names weights means covariances
is parts.json samples 9000
is parts.json column_names '[a,b]'
contains stdout 'log-likelihood of the model before'
run 0 mixture maximize all.safetensors -o whole.safetensors -q
same parts.safetensors whole.safetensors

# It is the iteration of a fit: its second iteration says what the model before and the model made of it come to.
run 0 mixture fit all.csv --start start.safetensors --max-iterations 2 --tolerance 0 --json fit.json -q
run 0 mixture score whole.safetensors all.csv --json score.json -q
near score.json log_likelihood "$(value fit.json log_likelihood)" 1e-9

# Weights count.
run 0 mixture accumulate start.safetensors one.csv --columns a,b --weights a -o weighted.safetensors -q
run 0 mixture maximize weighted.safetensors --json weighted.json -q
awk -v w="$(value weighted.json total_weight)" 'BEGIN { exit !(w > 4096) }' || fail 'weights were not used'

# A stream: begun with a model, gone on with its state, which is a model, too.
run 0 mixture update start.safetensors one.csv --t0 0 --kappa 1 -o state.safetensors --json first.json
keys first.json command version device model samples dimensions components family step rate total_weight log_likelihood \
    entropy samples_so_far events seconds
is first.json step 1
is first.json rate 1.0
contains stdout 'step 1 at rate 1'
run 0 mixture update state.safetensors two.csv -o state.safetensors --json second.json -q
is second.json step 2
is second.json rate 0.5
is second.json samples_so_far 9000
run 0 mixture score state.safetensors all.csv --json streamed.json -q
near streamed.json log_likelihood "$(value score.json log_likelihood)" 0.05
run 0 mixture update start.safetensors one.csv --rate 0.25 -o drifting.safetensors --json drifting.json -q
is drifting.json rate 0.25

printf '0,0\n0,0\n' > point.csv
run 0 mixture update start.safetensors point.csv --rate 1 --relative-regularization 0 -o never.safetensors --json point.json -q
contains point.json '"event":"singular"'

# Streamed rows give the bits of rows that stay.
run 0 mixture fit all.csv -k 2 --max-iterations 5 -o resident.safetensors -q
run 0 mixture fit all.csv -k 2 --max-iterations 5 --memory-limit 1000 -o streamed.safetensors -q
same resident.safetensors streamed.safetensors

# Bad input: named, nothing written.
refuses 2 'part.json' mixture accumulate start.safetensors one.csv -o part.json
refuses 2 '--output' mixture accumulate start.safetensors one.csv
refuses 2 'faithful.csv' mixture accumulate start.safetensors "$data/faithful.csv" --columns 0 -o part.safetensors
refuses 2 "format = 'elbo.gmm'" mixture maximize start.safetensors
refuses 2 'missing.safetensors' mixture maximize one.safetensors missing.safetensors
run 0 mixture accumulate whole.safetensors two.csv -o other.safetensors -q
refuses 2 'other.safetensors was made under another model' mixture maximize one.safetensors other.safetensors
ln one.safetensors link.safetensors
for again in one.safetensors ./one.safetensors link.safetensors; do # each part counts once
    refuses 2 "$again: is named twice" mixture maximize one.safetensors two.safetensors $again -o twice.safetensors
done
head -c 300 one.safetensors > short.safetensors
refuses 2 'short.safetensors: byte' mixture maximize short.safetensors
refuses 2 'regularization = -1' mixture maximize one.safetensors --regularization -1
refuses 2 'kappa = 0.3' mixture update start.safetensors one.csv --kappa 0.3 -o new.safetensors
refuses 2 't0 = -2' mixture update start.safetensors one.csv --t0 -2 -o new.safetensors
refuses 2 'rate = 2' mixture update start.safetensors one.csv --rate 2 -o new.safetensors
refuses 2 '--kappa' mixture update state.safetensors one.csv --kappa 0.9 -o new.safetensors
refuses 2 'excludes' mixture update start.safetensors one.csv --rate 0.5 --kappa 0.9 -o new.safetensors
refuses 2 '--rate' mixture update state.safetensors one.csv --rate 0.5 -o new.safetensors
refuses 2 'new.json' mixture update start.safetensors one.csv -o new.json
refuses 2 'memory_limit = -1' mixture fit all.csv -k 2 --memory-limit -1

finish
