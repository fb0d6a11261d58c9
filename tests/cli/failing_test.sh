#!/usr/bin/env bash
# Files that the tool once answered wrongly (tests/data/failing), each with the right answer, in the order of their
# numbers. They were made from reports about comparable programs; the tests of each part of the library have more of
# their kinds.
. "$(dirname "$0")/common.sh"

inputs=$data/failing

# 01: one weight outweighs the others by 1e38, and all weights are subnormal.
run 0 mixture fit "$inputs/01_weights_segfault.csv" -k 1 --weights w --json 01.json
lacks 01.json 'nan|inf'
refuses 2 'weights that count' mixture fit "$inputs/01_weights_segfault.csv" -k 2 --weights w
printf 'x,w\n1,5e-324\n2,5e-324\n4,5e-324\n5,5e-324\n' > 01b.csv
run 0 mixture fit 01b.csv -k 2 --weights w --json 01b.json
lacks 01b.json 'nan|inf'

# 02: numbers in other notations are read, or refused by column, line and text; nothing is left out in silence.
run 0 mixture fit "$inputs/02_d_exponent.csv" -k 1 --json 02.json
is 02.json dimensions 2
contains 02.json '4.666666666666667'
for notation in decimal_comma thousands; do
    status=0
    "$tool" mixture fit "$inputs/02_$notation.csv" -k 1 > stdout 2> stderr || status=$?
    if [ "$status" -eq 0 ]; then contains stderr 'left out'; else contains stderr 'line 2'; fi
    run 2 mixture fit "$inputs/02_$notation.csv" -k 1 --strict
done
run 0 mixture fit "$inputs/02_decimal_comma.csv" -k 1 --decimal-comma --json 02.json
is 02.json dimensions 3

# 03: whole numbers above 2^24 keep their digits.
run 0 mixture fit "$inputs/03_stamps.npy" -k 2 --json 03_npy.json
run 0 mixture fit "$inputs/03_stamps.csv" -k 2 --json 03_csv.json
near 03_npy.json log_likelihood "$(value 03_csv.json log_likelihood)" 1e-6
near 03_npy.json log_likelihood -5.10 5e-3

# 04: the header that pandas writes.
run 0 mixture fit "$inputs/04_pandas_header.csv" -k 2 --json 04.json
is 04.json samples 200
run 0 mixture fit "$inputs/04_pandas_header.csv" -k 2 --header no --json 04.json
is 04.json samples 201

# 05: one sentinel value does not blow up the floor of all variances.
run 0 mixture fit "$inputs/05_sentinel.csv" -k 3 --json 05.json -o 05_model.json
near 05.json log_likelihood -3.48 1e-2 # the component of the sentinel alone is as narrow as lambda lets it be

# 06: a constant column of 7 gives the floor that a column of zeros gives.
run 0 mixture fit "$inputs/06_const_train.csv" -k 2 -o 06.safetensors
run 0 mixture assign 06.safetensors "$inputs/06_const_new.csv" --responsibilities 06_r.csv -o 06_l.csv
awk -F, 'NR > 1 && ($1 > 0.01 && $1 < 0.99) { exit 1 }' 06_r.csv || fail "components are not told apart: $(cat 06_r.csv)"
run 0 mixture score 06.safetensors "$inputs/06_const_new.csv"

# 07 is tests/cli/wide_test.sh.

# 08: PPCA at nearly full rank reaches the closed form.
columns=$(seq -s, 0 63)
run 0 latent fit "$data/optdigits.tes" --columns "$columns" -L 60 --json 08_em.json
near 08_em.json log_likelihood -105.33 1e-2
run 0 latent fit "$data/optdigits.tes" --columns "$columns" -L 60 --start random --json 08_random.json
near 08_random.json log_likelihood -105.33 1e-2

# 09: lines that end with a carriage return alone.
run 0 convert "$inputs/09_cr.csv" 09.csv
[ "$(wc -l < 09.csv)" -ge 50 ] || fail "09: $(wc -l < 09.csv) lines"

# 10: the default batch is at most the number of rows.
head -n 12 "$data/iris.csv" > 10.csv
run 0 vae train 10.csv --likelihood gaussian --epochs 2 --latent 1

# 11: the training bound is that of one model, which cannot exceed the evidence.
for batch in 1 4; do
    run 0 vae train "$inputs/11_linear.npy" --likelihood gaussian --gaussian-scale optimal --encoder none --decoder none \
        --latent 2 --batch $batch --epochs 60 --learning-rate 0.003 --schedule cosine -o 11.safetensors --json 11.json
    awk -v elbo="$(value 11.json elbo)" 'BEGIN { exit !(elbo != "" && elbo < -8.74 && elbo > -9) }' ||
        fail "11, batch $batch: elbo $(value 11.json elbo), expected just below -8.76"
done

# 12: several starts are not all alike.
for seed in 1 2 3; do
    run 0 mixture fit "$inputs/12_htru2_700.csv" -k 3 --family diagonal --restarts 20 --seed $seed --json 12.json
    near 12.json log_likelihood -3.728 2e-3
done

# 13: factor analysis reaches the optimum that others find.
run 0 latent fit "$inputs/13_htru2_std.npy" -L 4 --model factors --json 13.json
awk -v l="$(value 13.json log_likelihood)" 'BEGIN { exit !(l != "" && l >= -6.393) }' ||
    fail "13: log-likelihood $(value 13.json log_likelihood), expected at least -6.393"

# 14: columns are matched by name.
printf 'x,y\n1,10\n2,20\n3,31\n4,39\n' > 14_xy.csv
awk -F, '{ print $2 "," $1 }' 14_xy.csv > 14_yx.csv
run 0 mixture fit 14_xy.csv -k 1 -o 14.safetensors
run 0 mixture score 14.safetensors 14_xy.csv --json 14_xy.json
run 0 mixture score 14.safetensors 14_yx.csv --json 14_yx.json
is 14_yx.json log_likelihood "$(value 14_xy.json log_likelihood)"
run 0 mixture score 14.safetensors 14_yx.csv --by-position --json 14_by.json
[ "$(value 14_by.json log_likelihood)" != "$(value 14_xy.json log_likelihood)" ] || fail '14: --by-position did nothing'
sed 1s/y/z/ 14_xy.csv > 14_xz.csv
run 2 mixture score 14.safetensors 14_xz.csv
contains stderr "'y'"

# 15: a pipe and standard input are read once.
mkfifo 15.fifo
cat "$data/faithful.csv" > 15.fifo &
run 0 convert 15.fifo 15.npy
run 0 convert "$data/faithful.csv" 15_file.npy
same 15.npy 15_file.npy
"$tool" convert - 15_stdin.npy < "$data/faithful.csv" || fail '15: standard input was not read'
same 15_stdin.npy 15_file.npy

# 16: an output never replaces an input.
run 0 convert "$data/faithful.csv" 16.npy
cp 16.npy 16_kept.npy
ln -s 16.npy 16_link.npy
run 0 mixture fit 16.npy -k 2 -o 16.safetensors
run 2 mixture assign 16.safetensors 16.npy -o 16_link.npy
same 16.npy 16_kept.npy
if "$tool" convert "$data/faithful.csv" 16.h5 2> stderr; then # built with HDF5
    cp 16.h5 16_kept.h5
    run 2 mixture assign 16.safetensors 16.h5 -o 16.h5
    same 16.h5 16_kept.h5
    run 0 mixture assign 16.safetensors 16.h5 -o 16.h5:/assignments
fi

# 17: a file that is shortened while it is read is an error that says where it ends. (18 and 19: signal_test.sh.)
cp 16_kept.npy 17.npy
"$tool" mixture fit 17.npy -k 5 --tolerance 0 --max-iterations 1000000000 --memory-limit 1 -o 17.safetensors > stdout 2> stderr &
job=$!
await ' rows'
sleep 0.5
truncate -s 2000 17.npy
status=0
wait $job || status=$?
[ $status -eq 2 ] || fail "17: exit status $status, expected 2: $(cat stderr)"
contains stderr '17.npy: byte 2000: the file ends here'
[ ! -e 17.safetensors ] || fail '17: a model was written'

finish
