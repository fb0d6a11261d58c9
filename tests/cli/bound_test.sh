#!/usr/bin/env bash
# elbo mixture evidence; fits with labels and with ascent steps.
. "$(dirname "$0")/common.sh"

faithful=("$data/faithful.csv" --columns eruptions,waiting)
run 0 mixture fit "${faithful[@]}" -k 2 -o model.json --json fit.json --quiet
run 0 mixture fit "${faithful[@]}" -k 2 --max-iterations 2 -o early.json --quiet

# Tight for the posterior: the two ways to the bound and the log-likelihood are one number but for rounding. A fit may leave
# out 2⁻²⁴ of a density.
run 0 mixture evidence model.json "${faithful[@]}" --json tight.json
contains stdout 'KL(q || posterior)'
contains stdout 'posterior of the model'
keys tight.json command version device model samples dimensions components family q expected_log_joint entropy elbo \
    log_likelihood kl elbo_from_gap total_weight
near tight.json log_likelihood "$(value fit.json log_likelihood)" 1e-7
near tight.json elbo "$(value tight.json log_likelihood)" 1e-12
near tight.json kl 0 1e-12
is tight.json total_weight 272.0

# Loose for another q: the posterior of an earlier model, and the same numbers from a file of six and more digits.
run 0 mixture evidence model.json "${faithful[@]}" --posterior early.json --json loose.json --quiet
near loose.json elbo "$(value loose.json elbo_from_gap)" 1e-12
[ "$(awk -v a="$(value loose.json elbo)" -v b="$(value tight.json elbo)" 'BEGIN { print (a < b) }')" = 1 ] ||
    fail 'the bound is not below that of the posterior'
run 0 mixture assign early.json "${faithful[@]}" -o labels.csv --responsibilities q.npy --quiet
run 0 mixture evidence model.json "${faithful[@]}" --responsibilities q.npy --json file.json --quiet
near file.json kl "$(value loose.json kl)" 1e-6
is file.json q q.npy

# Labels: a column of the data, which is left out of it. One row of each kind names the components.
awk -F, 'NR == 1 { print "eruptions,waiting,known" } NR > 1 { print $(NF-1) "," $NF "," (NR == 2 ? 1 : NR == 3 ? 0 : -1) }' \
    "$data/faithful.csv" > known.csv
run 0 mixture fit known.csv -k 2 --labels known -o named.json --json named.fit.json
contains stdout '272 samples (2 labelled)'
is named.fit.json labelled 2
is named.fit.json dimensions 2
contains named.fit.json '"means": [[2.0'
run 0 mixture score named.json known.csv --labels known --json score.json --quiet
run 0 mixture evidence named.json known.csv --labels known --json labelled.json --quiet
near labelled.json log_likelihood "$(value score.json log_likelihood)" 1e-7
run 0 mixture assign named.json known.csv --labels known -o assigned.csv --quiet
[ "$(sed -n 2p assigned.csv)" = 1 ] || fail 'the first row is not where its label says'
cut -d, -f3 known.csv > column.csv
run 0 mixture score named.json "${faithful[@]}" --labels column.csv --json column.json --quiet
is column.json log_likelihood "$(value score.json log_likelihood)"

# Ascent steps lead to the optimum of the closed form: both stop some 1e-8 nats a sample before it.
run 0 mixture fit "${faithful[@]}" -k 2 --m-step gradient --steps 10 --tolerance 1e-10 --json ascent.json --quiet
near ascent.json total_log_likelihood -1130.263960 1e-4
run 0 mixture fit "${faithful[@]}" -k 2 --m-step gradient --rate 0.01 --no-backtracking --max-iterations 3 --quiet

# Wrong input.
refuses 2 'labels[0] = 3.6' mixture fit known.csv -k 2 --labels eruptions
refuses 2 '--labels nowhere' mixture fit "${faithful[@]}" -k 2 --labels nowhere
refuses 2 'newton' mixture fit "${faithful[@]}" -k 2 --m-step newton
refuses 2 'gradient.rate = 0' mixture fit "${faithful[@]}" -k 2 --m-step gradient --rate 0
refuses 2 'q has 272 x 3' mixture evidence model.json "${faithful[@]}" --responsibilities known.csv
refuses 2 'expected 272 x 2' mixture evidence model.json "${faithful[@]}" --responsibilities column.csv
run 0 mixture fit "${faithful[@]}" -k 3 --max-iterations 1 -o three.json --quiet
refuses 2 'the other model has 3 components' mixture evidence model.json "${faithful[@]}" --posterior three.json

# Options of ascent steps mean nothing without them.
for option in '--steps 5' '--rate 0.5' --no-backtracking; do
    # shellcheck disable=SC2086
    refuses 2 "${option%% *}: expected --m-step gradient" mixture fit "$data/faithful.csv" -k 2 $option
done

finish
