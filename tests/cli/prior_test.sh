#!/usr/bin/env bash
# elbo mixture fit --prior: maximum a posteriori.
. "$(dirname "$0")/common.sh"

faithful=("$data/faithful.csv" --columns eruptions,waiting)

# mclust 6.0.0 with priorControl() reaches this log-likelihood. A fit that stops at a gain of 1e-12 nats a sample leaves
# √1e-12 in the parameters; at the mode the log-likelihood alone still has the slope of the log prior, some tens of nats.
run 0 mixture fit "${faithful[@]}" -k 2 --prior mclust --relative-regularization 0 --tolerance 1e-12 --json map.json
near map.json total_log_likelihood -1130.509264 1e-3
contains stdout 'log prior'
contains map.json '"log_prior":'
contains map.json '"log_prior_after":'

# Its defaults by hand: the mean, the covariance over n − 1 / 2^(2/2), d + 2.
run 0 mixture fit "${faithful[@]}" -k 2 --relative-regularization 0 --tolerance 1e-12 --json hand.json \
    --prior-mean 3.487783088,70.897058824 --prior-mean-precision 0.01 --prior-degrees-of-freedom 4 \
    --prior-scale 0.651364165,6.988903896,6.988903896,92.411656176 --prior-concentration 1
near hand.json total_log_likelihood "$(value map.json total_log_likelihood)" 1e-4

# Without a prior nothing of it is shown.
run 0 mixture fit "${faithful[@]}" -k 2 --prior none --json none.json
lacks stdout 'log prior'
near none.json total_log_likelihood -1130.263960 1e-5

refuses 2 '--prior flat' mixture fit "${faithful[@]}" -k 2 --prior flat
refuses 2 '--prior none' mixture fit "${faithful[@]}" -k 2 --prior none --prior-concentration 2
refuses 2 'prior.concentration = 0.5' mixture fit "${faithful[@]}" -k 2 --prior-concentration 0.5
refuses 2 'prior.mean_precision = 0' mixture fit "${faithful[@]}" -k 2 --prior-mean-precision 0
refuses 2 'prior.degrees_of_freedom = 1' mixture fit "${faithful[@]}" -k 2 --prior-degrees-of-freedom 1
refuses 2 'prior.mean has 3 numbers' mixture fit "${faithful[@]}" -k 2 --prior-mean 1,2,3
refuses 2 'prior.scale has 2 numbers' mixture fit "${faithful[@]}" -k 2 --prior-scale 1,2
refuses 2 'not positive definite' mixture fit "${faithful[@]}" -k 2 --prior-scale 1,2,2,1
refuses 2 'prior-scale' mixture fit "${faithful[@]}" -k 2 --prior-scale 1,two

finish
