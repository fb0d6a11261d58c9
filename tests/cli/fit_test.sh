#!/usr/bin/env bash
# elbo mixture fit: results, summary, files, options.
. "$(dirname "$0")/common.sh"

faithful=("$data/faithful.csv" --columns eruptions,waiting)

# Old Faithful, K = 2, against mclust and scikit-learn (which agree to the last digit given). The maximum is flat: a fit
# that stops at a gain of 1e-8 nats a sample, and the relative regularisation of 1e-6, are together within 1e-5.
run 0 mixture fit "${faithful[@]}" -k 2 --json fit.json -o model.safetensors --report report.html
contains stdout 'full, 2 components, 2 dimensions, 272 samples'
contains stdout 'log-likelihood         -4.155382 nats per sample'
contains stdout 'eruptions'
contains stderr '272 rows, 2 columns'
keys fit.json command version device samples dimensions components family iterations stopped start best_restart log_likelihood \
    total_log_likelihood parameters bic aic icl seconds seconds_per_iteration trace events weights means covariances
is fit.json command "elbo mixture fit ${faithful[*]} -k 2 --json fit.json -o model.safetensors --report report.html"
is fit.json samples 272
is fit.json dimensions 2
is fit.json components 2
is fit.json family full
is fit.json stopped converged
is fit.json parameters 11
is fit.json events '[]'
is fit.json start kmeans
is fit.json best_restart 0
near fit.json total_log_likelihood -1130.263960 1e-5
near fit.json bic 2322.191743 2e-5
near fit.json aic 2282.527920 2e-5
contains fit.json '"load":'
contains fit.json '"start":'
contains fit.json '"total":'
contains fit.json '{"iteration":0,"log_likelihood":-4.'
contains fit.json '"elbo_after_m_step":-4.'
[ "v$(value fit.json version)" = "v$("$tool" --version | cut -d' ' -f2)" ] || fail 'version differs from --version'

# The page is whole in itself.
contains report.html '<svg'
contains report.html 'eruptions'
contains report.html 'elbo mixture fit'
lacks report.html '(src|href)="http'
lacks report.html '@import|url\(http'

# The same command gives the same bits, with any number of threads.
run 0 mixture fit "${faithful[@]}" -k 2 -o again.safetensors --threads 1 -q
run 0 mixture fit "${faithful[@]}" -k 010 --max-iterations 5 --json ten.json -q # not eight
is ten.json components 10
same model.safetensors again.safetensors
[ ! -s stdout ] && [ ! -s stderr ] || fail '--quiet printed something'

# JSON to standard output has it for itself.
run 0 mixture fit "${faithful[@]}" -k 2 --json -
keys stdout $(sed -n 's/^  "\([^"]*\)": .*/\1/p' fit.json)

# A start from a model is already there: families and components come from it.
run 0 mixture fit "${faithful[@]}" --start model.safetensors --json start.json
is start.json components 2
is start.json start null
near start.json total_log_likelihood -1130.263960 1e-5
[ "$(value start.json iterations)" -le 5 ] || fail 'a start at the optimum needed more than 5 iterations'

# Every family and start.
for family in full tied diagonal spherical tied_diagonal tied_spherical; do
    run 0 mixture fit "${faithful[@]}" -k 3 --family $family --json family.json
    is family.json family $family
done
for start in automatic kmeans kmeans++ random samples; do
    run 0 mixture fit "${faithful[@]}" -k 2 --start $start --restarts 3 --seed 5 --json start.json
    near start.json total_log_likelihood -1130.263960 1e-4
done
# Starts of other kinds reach what those of k-means do not, and the summary says which won.
run 0 mixture fit "$data/failing/12_htru2_700.csv" -k 3 --family diagonal --restarts 20 --json kinds.json
near kinds.json log_likelihood -3.728 1e-3
[[ $(value kinds.json start) = +(kmeans++|samples|random) ]] || fail "the start that won: $(value kinds.json start)"
contains stdout "$(value kinds.json start), restart $(value kinds.json best_restart)"
run 0 mixture fit "${faithful[@]}" -k 3 --family tied --json tied.json # default options, other packages stop early
near tied.json total_log_likelihood -1126.315928 2e-4

# The limit on the iterations.
run 0 mixture fit "${faithful[@]}" -k 3 --max-iterations 2 --tolerance 0 --json limit.json
is limit.json stopped max_iterations
is limit.json iterations 2

# Weights: a column and a file, equal to repeated rows.
printf 'x,y,w\n0,0,1\n1,0.5,2\n0.3,2,1\n5,5,3\n6,5.5,1\n5.2,7,2\n' > weighted.csv
printf 'x,y\n0,0\n1,0.5\n1,0.5\n0.3,2\n5,5\n5,5\n5,5\n6,5.5\n5.2,7\n5.2,7\n' > repeated.csv
printf '1\n2\n1\n3\n1\n2\n' > weights.csv
run 0 mixture fit repeated.csv -k 2 --family spherical --json repeated.json
run 0 mixture fit weighted.csv -k 2 --family spherical --weights w --json column.json
run 0 mixture fit weighted.csv --columns x,y -k 2 --family spherical --weights weights.csv --json file.json
for summary in column.json file.json; do
    is $summary dimensions 2
    near $summary total_log_likelihood "$(value repeated.json total_log_likelihood)" 1e-6
done

# --precision, --on-collapse, --device and regularisation are taken.
run 0 mixture fit "${faithful[@]}" -k 2 --precision float64 --device reference --on-collapse drop --json other.json
contains other.json 'reference'
near other.json total_log_likelihood -1130.263960 1e-5
run 0 mixture fit "${faithful[@]}" -k 2 --regularization 1 --relative-regularization 0 --json other.json
awk -v with="$(value other.json total_log_likelihood)" 'BEGIN { exit !(with < -1140) }' ||
    fail '--regularization 1 (15 times a variance of the data) did not lower the likelihood'

# More than 10,000 numbers stay out of the summary; the rest is there.
seq 1 60 | awk '{ for (j = 0; j < 110; ++j) printf "%s%d", j ? "," : "", ($1 * 7919 * (j + 1)) % 1009; print "" }' > wide.csv
run 0 mixture fit wide.csv -k 1 --json wide.json
is wide.json covariances null
contains wide.json '"means": [['

# 64 columns are enough for BLAS to share a product over threads; how many there are changes no bit all the same.
digits=("$data/optdigits.tes" --columns "$(seq -s, 0 63)" -k 5 --max-iterations 5 -q)
for way in 'fit' 'fit --prior mclust' 'fit --m-step gradient' 'variational'; do
    for threads in 1 2; do
        # shellcheck disable=SC2086
        OMP_NUM_THREADS=$threads run 0 mixture $way "${digits[@]}" -o "digits$threads.safetensors"
    done
    same digits1.safetensors digits2.safetensors
done

finish
