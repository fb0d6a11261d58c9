#!/usr/bin/env bash
# A table is read once for data, weights, labels, the work and its report.
. "$(dirname "$0")/common.sh"

# Bytes that this shell and the commands it has waited for have read.
bytes_read() { sed -n 's/^rchar: //p' "/proc/$$/io"; }

if ! before=$(bytes_read) || [ -z "$before" ]; then
    echo "skipped: /proc does not say what was read"
    exit 0
fi
awk 'BEGIN {
    print "a,b,w,c,l"
    for (i = 0; i < 150000; ++i)
        printf "%d.25,%d,%d.5,%d,%d\n", i * 7 % 97, i * 5 % 101, 1 + i % 3, i % 89, (i % 2 ? (i % 4 > 1) : -1)
}' > table.csv
size=$(wc -c < table.csv)

# reads_once ARGUMENTS...: the tool reads no more than 1.1 times the table.
reads_once() {
    local before after
    before=$(bytes_read)
    run 0 "$@" --device cpu -q
    after=$(bytes_read)
    [ $((10 * (after - before))) -le $((11 * size)) ] ||
        fail "elbo $*: read $((after - before)) bytes of a table of $size"
}
reads_once mixture fit table.csv -k 2 --max-iterations 3 -o m.json --report m.html
reads_once mixture fit table.csv -k 2 --max-iterations 3 --weights w --labels l -o weighted.json --report w.html
reads_once latent fit table.csv -L 1 --max-iterations 3 --weights w --report l.html
reads_once vae train table.csv --columns a,b,c --likelihood gaussian --encoder 4 --latent 2 --epochs 1 --labels l --report v.html
reads_once mixture score weighted.json table.csv --weights w
reads_once mixture assign m.json table.csv -o assigned.npy

# What does not fit is read anew, to the same bits.
run 0 mixture fit table.csv -k 2 --max-iterations 3 --weights w --labels l --memory-limit 100000 -o streamed.json -q --device cpu
same weighted.json streamed.json

refuses 2 'delimiter: assigned.npy is no table of text' convert assigned.npy x.csv --delimiter ';'
refuses 2 'decimal_comma: assigned.npy is no table of text' convert assigned.npy x.csv --decimal-comma
refuses 2 'file.h5:/x names another one' convert file.h5:/x x.csv --dataset y
# They are of DATA: a file of weights of another kind is none of theirs.
sed 's/,/;/g' table.csv > semicolons.csv
awk 'BEGIN { for (i = 0; i < 150000; ++i) print (1 + i % 3) ".5" }' > weights.csv
run 0 convert weights.csv weights.npy
run 0 mixture fit semicolons.csv -k 2 --max-iterations 2 --columns a,b,c --delimiter ';' --weights weights.npy -o a.json -q
run 0 mixture fit table.csv -k 2 --max-iterations 2 --columns a,b,c --weights w -o b.json -q
same a.json b.json
finish
