#!/usr/bin/env bash
# elbo mixture variational.
. "$(dirname "$0")/common.sh"
faithful="$data/faithful.csv"

# The optimum of scikit-learn with the same prior (tests/gmm/variational/variational_test.cpp), but for 1e-6 of the scale.
run 0 mixture variational "$faithful" --columns eruptions,waiting -k 2 -o q.safetensors --model-output m.safetensors \
    --json fit.json --report page.html
keys fit.json command version device samples dimensions components family weights_model iterations stopped start best_restart bound \
    total_bound expected_log_likelihood weights_divergence components_divergence entropy threshold \
    effective_components counts prior seconds trace events weights means covariances
near fit.json total_bound -1178.9510066 1e-3
is fit.json effective_components '[0,1]'
is fit.json stopped converged
is fit.json weights_model dirichlet
contains stdout 'effective components'
contains stdout '2 of 2'
contains page.html 'Variational mixture of faithful.csv'
contains page.html 'KL(q'
contains page.html 'id="bound"'
run 0 mixture score m.safetensors "$faithful" --json score.json -q
# Below the maximum, -4.15539, by what the prior of one sample and two degrees of freedom does to 272 samples.
near score.json log_likelihood -4.17 0.01

# Superfluous components lose their samples, and are left out on request.
run 0 mixture variational "$faithful" --columns eruptions,waiting -k 10 --weights-model stick-breaking \
    --concentration 0.001 --drop-empty -o kept.json --model-output kept_model.json --json kept.json.summary
is kept.json.summary weights_model stick_breaking
run 0 mixture info kept_model.json --json info.json
is info.json components 2
contains kept.json '"weights_model": "stick_breaking"'
contains kept.json '"components": 2'

# Everything of a prior can be given.
run 0 mixture variational "$faithful" --columns eruptions,waiting -k 3 --family diagonal --prior-concentration 2 \
    --prior-mean 3,70 --prior-mean-precision 0.5 --prior-degrees-of-freedom 4 --prior-scale 1,100 --precision float64 \
    --start random --restarts 2 --seed 3 --max-iterations 50 --tolerance 1e-6 --threshold 2 --json given.json -q
is given.json threshold 2.0
grep -q '"concentration":2.0' given.json || grep -qE '"concentration": ?2' given.json || fail 'the prior was not taken'

# Bad input.
refuses 2 'number of components is missing' mixture variational "$faithful" --columns waiting
refuses 2 'sideways' mixture variational "$faithful" --columns waiting -k 2 --weights-model sideways
refuses 2 'prior.concentration = -1' mixture variational "$faithful" --columns waiting -k 2 --concentration -1
refuses 2 'prior.mean has 3' mixture variational "$faithful" --columns waiting -k 2 --prior-mean 1,2,3
refuses 2 'prior.mean_precision = 0' mixture variational "$faithful" --columns waiting -k 2 --prior-mean-precision 0
refuses 2 'prior.degrees_of_freedom = 0' mixture variational "$faithful" --columns waiting -k 2 \
    --prior-degrees-of-freedom 0
refuses 2 'prior.scale' mixture variational "$faithful" --columns waiting -k 2 --prior-scale -1
refuses 2 '--threshold -1' mixture variational "$faithful" --columns waiting -k 2 --threshold -1
refuses 2 '--precision half' mixture variational "$faithful" --columns waiting -k 2 --precision half
refuses 2 'posterior.csv' mixture variational "$faithful" --columns waiting -k 2 -o posterior.csv
refuses 2 'two outputs' mixture variational "$faithful" --columns waiting -k 2 -o a.json --model-output a.json
refuses 2 'expected a number below' mixture variational "$faithful" --columns waiting -k 2 --threshold 1e9 --drop-empty
refuses 2 'format' mixture score q.safetensors "$faithful"

finish
