#!/usr/bin/env bash
# elbo mixture select.
. "$(dirname "$0")/common.sh"
set -m # so that jobs in the background do not ignore SIGINT

faithful=("$data/faithful.csv" --columns eruptions,waiting)

# The published model, its page, its file.
run 0 mixture select "${faithful[@]}" -k 1:3 --families full,tied -o model.safetensors --json select.json \
    --report page.html
keys select.json command version device samples dimensions criterion folds validation_fraction one_standard_error seed \
    restarts jobs streamed stopped table chosen reason seconds components family log_likelihood total_log_likelihood \
    parameters bic aic icl held_out held_out_standard_error weights means covariances
is select.json stopped finished
is select.json criterion bic
is select.json components 3
is select.json family tied
is select.json chosen 5
is select.json streamed false
is select.json held_out null
is select.json reason 'bic 2314.3 for tied K = 3; next: full K = 2, 2322.2, 7.9 more'
contains stdout 'chosen: bic 2314.3 for tied K = 3'
contains stdout '*'
contains stderr 'elbo: '
[ "$(grep -o '"family":"full"' select.json | wc -l)" -eq 3 ] || fail 'not three models of full covariances in the table'
for text in 'Choice of a mixture for faithful.csv' 'clip-path="url(#bic)"' 'class="ring"' '<tr class="chosen"><td>tied</td><td>3</td>'; do
    contains page.html "$text"
done
run 0 mixture score model.safetensors "${faithful[@]}" --json score.json
near score.json bic "$(value select.json bic)" 1e-6
# The same as one fit.
run 0 mixture fit "${faithful[@]}" -k 3 --family tied --json fit.json
is fit.json bic "$(value select.json bic)"

# Numbers of components in every way they can be written.
run 0 mixture select "${faithful[@]}" -k 1,3 --json list.json -q
[ "$(grep -o '"components_left"' list.json | wc -l)" -eq 2 ] || fail '-k 1,3 is not two models'
run 0 mixture select "${faithful[@]}" -k 1:5:2 --json steps.json -q
[ "$(grep -oE '"components":[135],"components_left"' steps.json | wc -l)" -eq 3 ] || fail '-k 1:5:2 is not 1, 3, 5'

# Held-out rows; the number of jobs changes nothing.
held_out=(mixture select "${faithful[@]}" -k 1:2 --criterion cross-validation --folds 4 --restarts 2 --seed 3)
run 0 "${held_out[@]}" --json folds.json --report folds.html
is folds.json criterion cross_validation
is folds.json folds 4
is folds.json components 2
near folds.json held_out -4.2 0.1
contains stdout ' ± '
contains folds.html 'class="error-bar"'
run 0 "${held_out[@]}" --jobs 1 --threads 1 --json alone.json -q
is alone.json held_out "$(value folds.json held_out)"
is alone.json held_out_standard_error "$(value folds.json held_out_standard_error)"
is alone.json means "$(value folds.json means)"
run 0 mixture select "${faithful[@]}" -k 1:2 --criterion validation --validation-fraction 0.3 --one-standard-error \
    --json share.json -q
is share.json validation_fraction 0.3
is share.json one_standard_error true

# What fits take, sweeps take: the same numbers with a prior and with labels.
printf 'label\n0\n' > labels.csv && yes -- -1 | head -271 >> labels.csv
run 0 mixture fit "${faithful[@]}" -k 2 --prior mclust --labels labels.csv --json prior.json -q
run 0 mixture select "${faithful[@]}" -k 2 --prior mclust --labels labels.csv --json swept.json -q
is swept.json bic "$(value prior.json bic)"
is swept.json means "$(value prior.json means)"

# A model that fails is in the table, with the reason; if all fail, so does the command.
printf 'x\n1\n2\n1\n2\n1\n' > two.csv
run 0 mixture select two.csv -k 1:3 --families spherical --json two.json --report two.html
contains stdout 'failed'
contains stdout 'spherical K = 3: components = 3: expected at most 2'
contains two.json 'expected at most 2'
contains two.html 'expected at most 2'
refuses 2 'none of 2 models could be fitted' mixture select two.csv -k 3,4

# Fewer rows than the default of five folds.
printf 'x\n1\n2\n4\n' > three.csv
run 0 mixture select three.csv -k 1 --criterion cross-validation --json three.json -q
is three.json folds 3

# Bad input.
for range in 0 -1 x 3:1 1:2:0 1:2:3:4 1: '' 1:1000000000; do
    refuses 2 "--components" mixture select two.csv "--components=$range"
done
refuses 2 'components[2] = 1' mixture select two.csv -k 1:2,1
refuses 2 'family = "round"' mixture select two.csv --families full,round
refuses 2 'criterion = "dic"' mixture select two.csv --criterion dic
refuses 2 'folds = 1' mixture select two.csv --criterion cross-validation --folds 1
refuses 2 'validation_fraction = 2' mixture select two.csv --criterion validation --validation-fraction 2
refuses 2 'one_standard_error' mixture select two.csv --one-standard-error
refuses 2 'jobs = -1' mixture select two.csv --jobs -1
refuses 2 'start = "nowhere"' mixture select two.csv --start nowhere
refuses 2 '--output' mixture select two.csv -o model.txt
refuses 2 'missing.csv' mixture select missing.csv

# Ctrl-C: the best so far is written, and the exit status is 130.
"$tool" mixture select "${faithful[@]}" -k 2,5 --tolerance 0 --max-iterations 1000000000 -o best.json \
    --json stopped.json --report stopped.html > stdout 2> stderr &
job=$!
sleep 6 # beyond the five seconds between two lines of progress
kill -INT $job
status=0
wait $job || status=$?
[ $status -eq 130 ] || fail "exit status $status, expected 130"
is stopped.json stopped interrupted
contains stdout 'interrupted'
contains stderr 'fits done, full K = '
[ -s best.json ] || fail 'no model was written'
contains stopped.html 'interrupted'
[ -z "$(find . -name '*.tmp*')" ] || fail 'temporary files were left'

refuses 2 '--folds: expected --criterion cross-validation' mixture select "${faithful[@]}" --folds 4
refuses 2 '--validation-fraction: expected --criterion validation' mixture select "${faithful[@]}" \
    --criterion cross-validation --validation-fraction 0.3

finish
