#!/usr/bin/env bash
# elbo latent fit, score, posterior, reconstruct, sample, info.
. "$(dirname "$0")/common.sh"

digits=(--columns "$(seq -s, 0 63)")
fit_keys='command version device samples kind dimensions components latent iterations stopped start best_restart log_likelihood
    total_log_likelihood parameters bic aic seconds trace events'

# Probabilistic PCA: EM and eigenvectors agree; the summary, the page, the model.
run 0 latent fit "$data/optdigits.tes" "${digits[@]}" -L 5 --json em.json --report page.html -o ppca.safetensors
# shellcheck disable=SC2086
keys em.json $fit_keys weights means loadings noise
is em.json kind ppca
is em.json latent 5
is em.json stopped converged
is em.json start principal
contains stdout 'log-likelihood'
contains page.html 'Latent variables'
contains page.html 'Convergence'
run 0 latent fit "$data/optdigits.tes" "${digits[@]}" -L 5 --method eigen --json eigen.json -q
near em.json log_likelihood "$(value eigen.json log_likelihood)" 1e-6
run 0 latent fit "$data/optdigits.tes" "${digits[@]}" --start ppca.safetensors --max-iterations 2 --json again.json -q
is again.json latent 5
is again.json start null
near again.json log_likelihood "$(value em.json log_likelihood)" 1e-6

# The file says what it is; what is applied agrees with the fit.
run 0 latent info ppca.safetensors --json info.json
keys info.json command version model kind dimensions components latent parameters column_names weights means loadings \
    noise
is info.json loadings "$(value em.json loadings)"
contains stdout 'ppca, 64 dimensions, 5 latent'
run 0 latent score ppca.safetensors "$data/optdigits.tes" "${digits[@]}" --json score.json -o density.csv
keys score.json command version device model samples kind dimensions components latent log_likelihood \
    total_log_likelihood parameters bic aic seconds
near score.json log_likelihood "$(value em.json log_likelihood)" 1e-9
[ "$(wc -l < density.csv)" -eq 1798 ] || fail 'log p(x) of every row, with a head'
run 0 latent posterior ppca.safetensors "$data/optdigits.tes" "${digits[@]}" -o z.csv --json posterior.json
[ "$(head -1 z.csv)" = z0,z1,z2,z3,z4 ] || fail "columns of the posterior: $(head -1 z.csv)"
run 0 latent reconstruct ppca.safetensors "$data/optdigits.tes" "${digits[@]}" -o clean.npy
[ -s clean.npy ] || fail 'no reconstructed rows'
run 0 latent sample ppca.safetensors -n 3 --seed 5
cp stdout first
run 0 latent sample ppca.safetensors -n 5 --seed 5
head -4 stdout > second
same first second

# Near full rank, too, EM ends at the maximum, and factor analysis where noise variances vanish.
run 0 latent fit "$data/optdigits.tes" "${digits[@]}" -L 60 --json full.json -q
near full.json log_likelihood -105.33 0.01
run 0 latent fit "$data/failing/13_htru2_std.npy" -L 4 --model factors --json factors.json
is factors.json start conditional
awk -v got="$(value factors.json log_likelihood)" 'BEGIN { exit !(got >= -6.393) }' || fail 'not the optimum of factors'
contains stdout 'conditional'
run 0 latent fit "$data/failing/13_htru2_std.npy" -L 4 --model factors --start principal --restarts 2 --json other.json -q
is other.json start principal

# Factors, and a mixture of them; posteriors of all components.
run 0 latent fit "$data/faithful.csv" --columns eruptions,waiting --model factors -L 1 -o factors.json --json fa.json -q
is fa.json kind factors
run 0 latent fit "$data/faithful.csv" --columns eruptions,waiting --model factor-mixture -L 1 -k 2 --own-noise \
    -o mixture.json --json mixture_fit.json --report mixture.html -q
is mixture_fit.json components 2
awk -v one="$(value fa.json log_likelihood)" -v two="$(value mixture_fit.json log_likelihood)" \
    'BEGIN { exit !(two > one) }' || fail 'two components are worse than one'
run 0 latent posterior mixture.json "$data/faithful.csv"
[ "$(head -1 stdout)" = p0,p1,k0_z0,k1_z0 ] || fail "columns of the posterior: $(head -1 stdout)"

# Events, of which there may be one for every column, are counted; the summary has them all.
awk -F, -v OFS=, 'NR == 1 { print $0, "s", "t"; next } { print $0, 0, 0 }' "$data/faithful.csv" > constant.csv
run 0 latent fit constant.csv --columns eruptions,waiting,s,t --model factors -L 1 --json constant.json
[ "$(grep -c 'events' stdout)" -eq 1 ] || fail "events are not one line: $(cat stdout)"
contains constant.json '"event":"noise_floor","column":3'

# A sphere: a model by hand, its samples, the fit of them.
cat > circle.json <<'END'
{"format": "elbo.sphere", "version": 1, "dimensions": 2, "column_names": ["x", "y"], "centre": [3, -1], "radius": 2,
 "noise": 0.01}
END
run 0 latent sample circle.json -n 2000 --seed 3 -o circle.csv
[ "$(head -1 circle.csv)" = x,y ] || fail 'the samples lost the names of their columns'
run 0 latent fit circle.csv --model sphere -o fitted.safetensors --json sphere.json --report sphere.html
# shellcheck disable=SC2086
keys sphere.json $fit_keys centre radius noise
is sphere.json kind sphere
# Standard errors: 0.1 / √2000 = 0.0022 of the radius, √2 of it of the centre.
near sphere.json radius 2 0.012
near sphere.json noise 0.01 0.002
contains sphere.html 'Rows and the sphere'
lacks sphere.html 'samples are shown'
run 0 latent sample circle.json -n 6000 --seed 3 -o many.csv
run 0 latent fit many.csv --model sphere --report many.html -q
contains many.html '5000 of 6000 samples are shown'
run 0 latent fit circle.csv --model sphere --no-acceleration --restarts 2 --json plain.json -q
near plain.json log_likelihood "$(value sphere.json log_likelihood)" 1e-6
run 0 latent score fitted.safetensors circle.csv --json score.json
near score.json log_likelihood "$(value sphere.json log_likelihood)" 1e-9
run 0 latent posterior fitted.safetensors circle.csv
[ "$(head -1 stdout)" = u0,u1,concentration ] || fail "columns of the posterior: $(head -1 stdout)"
run 0 latent info fitted.safetensors
contains stdout 'radius'
awk -F, 'NR == 1 { print $0 ",w"; next } { print $0 ",2" }' circle.csv > weighted.csv
run 0 latent fit weighted.csv --weights w --model sphere --json weighted.json -q
near weighted.json log_likelihood "$(value sphere.json log_likelihood)" 1e-9

# Where the BLAS leaves much of the processor unused, a line says so, unless somebody has chosen its kernels.
if grep -qw avx2 /proc/cpuinfo 2> no_cpuinfo && command -v cc > cc_path; then
    printf '%s\n' 'char *openblas_get_config(void) { return "OpenBLAS 0.3.0 DYNAMIC_ARCH Prescott"; }' \
        'char *openblas_get_corename(void) { return "Prescott"; }' > old.c
    cc -shared -fPIC old.c -o old.so
    fit_with_old_blas() { env "$@" LD_PRELOAD="$PWD/old.so" "$tool" latent fit circle.csv -L 1 --device cpu > stdout 2> stderr; }
    fit_with_old_blas -u OPENBLAS_CORETYPE || fail 'a fit with an old BLAS'
    [ "$(grep -c 'OpenBLAS 0.3.0 runs kernels for Prescott.*OPENBLAS_CORETYPE=' stderr)" -eq 1 ] ||
        fail "one line on the BLAS: $(cat stderr)"
    fit_with_old_blas OPENBLAS_CORETYPE=Prescott || fail 'a fit with a BLAS that was chosen'
    lacks stderr Prescott
fi

# Bad input: exit status 2, nothing written.
refuses 2 '-L' latent fit circle.csv -o never.safetensors
refuses 2 '--model gauss' latent fit circle.csv --model gauss -L 1 --json never.json
refuses 2 'latent = 2' latent fit circle.csv -L 2
printf '1e300,1\n' > far.csv
refuses 2 'far from the model' latent score factors.json far.csv
refuses 2 'far from the model' latent posterior factors.json far.csv -o never.csv
refuses 2 'far from the model' latent reconstruct factors.json far.csv -o never.csv
refuses 2 '-L' latent fit circle.csv --model sphere -L 1
refuses 2 '-k' latent fit circle.csv --model sphere -k 2
refuses 2 '--method' latent fit circle.csv --model sphere --method eigen
refuses 2 '--on-collapse' latent fit circle.csv --model sphere --on-collapse drop
refuses 2 '--start: expected --method em' latent fit circle.csv -L 1 --method eigen --start random
refuses 2 '--restarts: expected --method em' latent fit circle.csv -L 1 --method eigen --restarts 2
refuses 2 '--no-acceleration' latent fit circle.csv --model factors -L 1 --no-acceleration
refuses 2 'components = 2' latent fit circle.csv -L 1 -k 2
refuses 2 'noise_floor' latent fit circle.csv --model sphere --noise-floor 2
refuses 2 'elbo.sphere' latent fit circle.csv -L 1 --start circle.json
refuses 2 'missing.json' latent info missing.json
refuses 2 'dimensions' latent score circle.json "$data/optdigits.tes" "${digits[@]}"
refuses 2 '-n 0' latent sample circle.json -n 0
refuses 2 'never.csv' latent fit circle.csv --model sphere -o never.csv
printf '{"format": "elbo.gmm", "version": 1}' > other.json
refuses 2 'elbo.gmm' latent info other.json
sed 's/"radius": 2/"radius": -2/' circle.json > negative.json
refuses 2 'radius = -2' latent info negative.json

finish
