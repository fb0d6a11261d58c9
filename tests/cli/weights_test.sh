#!/usr/bin/env bash
# Weights of any size, from the shell.
. "$(dirname "$0")/common.sh"

printf 'x,w\n0,1e-40\n1,1e-41\n2,1\n' > outweighed.csv
refuses 2 'components = 2: expected at most 1, the number of distinct rows with weights that count' \
    mixture fit outweighed.csv -k 2 --weights w
run 0 mixture fit outweighed.csv -k 1 --weights w --json one.json
is one.json components 1
is one.json negligible_weights '{rows:2,first_row:0}'
contains stderr '2 rows, the first is 0'

printf 'x,w\n0,5e-324\n1,5e-324\n5,5e-324\n6,5e-324\n' > smallest.csv
printf 'x\n0\n1\n5\n6\n' > plain.csv
run 0 mixture fit smallest.csv -k 2 --weights w -o a.json --json a_fit.json
run 0 mixture fit plain.csv -k 2 -o b.json
same a.json b.json
keys a_fit.json command version device samples dimensions components family iterations stopped start best_restart log_likelihood \
    total_log_likelihood parameters bic aic icl seconds seconds_per_iteration trace events weights means covariances
for size in 5e-324 1e-40 1e300; do
    sed "s/5e-324/$size/" smallest.csv > sized.csv
    run 0 mixture select sized.csv -k 1:2 --weights w
    run 0 mixture score a.json sized.csv --weights w --json score.json
    run 0 mixture evidence a.json sized.csv --weights w
    run 0 latent fit sized.csv -L 1 --model factors --weights w
done
sed 's/5e-324/1e301/' smallest.csv > heavy.csv
refuses 2 'weights, of which the largest is 1e+301, sum to more than' mixture fit heavy.csv -k 1 --weights w
refuses 2 'beside a prior' mixture variational smallest.csv -k 2 --weights w
refuses 2 'beside a prior' mixture fit smallest.csv -k 2 --weights w --prior mclust

# A prior counts for so many samples at most.
for option in --prior-concentration --prior-mean-precision --prior-degrees-of-freedom; do
    refuses 2 '1e+300' mixture fit plain.csv -k 2 $option 1e300
    refuses 2 '1e+300' mixture variational plain.csv -k 2 $option 1e300
done

# A start whose components are all the same.
cat > twins.json <<'END'
{"format": "elbo.gmm", "version": 1, "family": "full", "components": 2, "dimensions": 1, "column_names": [],
 "weights": [0.5, 0.5], "means": [[3], [3]], "covariances": [[[4]], [[4]]]}
END
run 0 mixture fit plain.csv --start twins.json --json twins_fit.json
contains twins_fit.json '{"iteration":0,"component":1,"event":"identical"}'
contains stderr 'the same as one before'

# Means that lie close together beside their size.
printf 'x\n1000000000\n1000000001\n1000000002\n1000000300\n1000000301\n1000000302\n' > far.csv
run 0 mixture fit far.csv -k 2
contains stdout '1000000001 ±'
contains stdout '1000000301 ±'

finish
