#!/usr/bin/env bash
# Every bad input: the message names what and where, the exit status is 2 (or 1 for the machine), nothing is written.
. "$(dirname "$0")/common.sh"

bad_fit() { refuses 2 "$1" mixture fit "${@:2}" -o out.json --json out-summary.json --report out.html; }

faithful=$data/faithful.csv

# Wrong usage.
refuses 2 'subcommand' # no command at all
refuses 2 'subcommand' mixture
refuses 2 'nonsense' mixture fit "$faithful" -k 2 --nonsense
refuses 2 'components' mixture fit "$faithful" -k two
refuses 2 'DATA' mixture fit -k 2
refuses 2 '-k K' mixture fit "$faithful"
refuses 2 'components = 0' mixture fit "$faithful" -k 0
refuses 2 "found '1.5'" mixture fit "$faithful" -k 1.5
refuses 2 "found '99999999999999999999'" mixture fit "$faithful" -k 99999999999999999999
for command in fit variational; do # before memory is taken
    refuses 2 'components = 9223372036854775807' mixture $command "$faithful" -k 9223372036854775807
done
refuses 2 "found '-1'" mixture fit "$faithful" -k 2 --seed -1
refuses 2 '--output: expected a value' mixture fit "$faithful" -k 2 -o ''
refuses 2 '--weights: expected a value' mixture fit "$faithful" -k 2 --weights ''
refuses 2 'family = "oval"' mixture fit "$faithful" -k 2 --family oval
refuses 2 'lottery' mixture fit "$faithful" -k 2 --start lottery
refuses 2 '--precision half' mixture fit "$faithful" -k 2 --precision half
refuses 2 'ignore' mixture fit "$faithful" -k 2 --on-collapse ignore
refuses 2 'restarts = 0' mixture fit "$faithful" -k 2 --restarts 0
refuses 2 'max_iterations = 0' mixture fit "$faithful" -k 2 --max-iterations 0
refuses 2 'tolerance = -1' mixture fit "$faithful" -k 2 --tolerance -1
refuses 2 'regularization = -1' mixture fit "$faithful" -k 2 --regularization -1
refuses 2 'threads = -3' mixture fit "$faithful" -k 2 --device cpu --threads -3
refuses 2 '--device abacus' mixture fit "$faithful" -k 2 --device abacus
refuses 2 '--device cuda:x' mixture fit "$faithful" -k 2 --device cuda:x
refuses 2 'no column' mixture fit "$faithful" -k 2 --columns eruptions,colour

# Files that are missing, unreadable or of an unknown kind.
printf 'x\n1\n' > known.exe
mkdir folder.csv
bad_fit 'missing.csv' missing.csv -k 2
bad_fit 'folder.csv' folder.csv -k 2
bad_fit 'known.exe' known.exe -k 2
if [ "$(id -u)" -ne 0 ]; then
    printf '1,2\n' > secret.csv && chmod 000 secret.csv
    bad_fit 'secret.csv' secret.csv -k 1
fi

# CSV: line and column.
printf 'a,b\n1,2\n3\n4,5\n' > ragged.csv
printf 'a,b\n1,2\n3,four\n4,5\n' > words.csv
printf 'a,b\n1,2\n3,nan\n4,5\n' > nan.csv
printf 'a,b\n1,2\n3,4\n-inf,5\n' > infinite.csv
printf 'a,b\n' > norows.csv
: > empty.csv
bad_fit 'ragged.csv: line 3' ragged.csv -k 1
bad_fit 'words.csv: line 3' words.csv -k 1 --columns a,b
bad_fit 'row 1' nan.csv -k 1
bad_fit 'row 2' infinite.csv -k 1
bad_fit 'norows.csv' norows.csv -k 1
bad_fit 'empty.csv' empty.csv -k 1

# Binary files that are cut off or hold what cannot be used.
run 0 convert "$faithful" whole.npy
head -c 1000 whole.npy > cut.npy
head -c 20 whole.npy > head.npy
npy() { # npy DTYPE: a header that says so, and 32 bytes
    printf '\x93NUMPY\x01\x00\x76\x00'
    printf '%-117s\n' "{'descr': '$1', 'fortran_order': False, 'shape': (2, 2), }"
    printf '01234567890123456789012345678901'
}
npy '<c8' > complex.npy
npy '|O' > object.npy
printf '\x00\x00\x08\x02\x00\x00\x00\x05\x00\x00\x00\x04abc' > cut-idx2-ubyte
head -c 100 whole.npy > odd.f32 && printf 'x' >> odd.f32
bad_fit 'cut.npy' cut.npy -k 2
bad_fit 'byte' cut.npy -k 2
bad_fit 'head.npy' head.npy -k 2
bad_fit 'complex.npy' complex.npy -k 1
bad_fit 'object.npy' object.npy -k 1
bad_fit 'byte' cut-idx2-ubyte -k 1
bad_fit 'odd.f32' odd.f32 -k 1 --dimensions 2
bad_fit 'dimensions' odd.f32 -k 1
if "$tool" convert "$faithful" whole.h5 -q 2> stderr; then
    head -c 1500 whole.h5 > cut.h5
    bad_fit 'cut.h5' cut.h5 -k 2
    bad_fit '/nothing' whole.h5:/nothing -k 2
fi

# More components than there are distinct rows with weight.
printf 'x,w,neg,undefined,zero\n1,1,1,1,0\n1,1,1,1,0\n2,0,-1,nan,0\n' > weights.csv
bad_fit 'components = 3' weights.csv --columns x -k 3
bad_fit 'components = 2' weights.csv --columns x -k 2 --weights w
# Weights.
bad_fit '-1' weights.csv --columns x -k 1 --weights neg
bad_fit 'nan' weights.csv --columns x -k 1 --weights undefined
bad_fit 'weights' weights.csv --columns x -k 1 --weights zero
bad_fit 'nowhere' weights.csv --columns x -k 1 --weights nowhere
printf '1\n1\n' > short.csv
bad_fit 'weights' weights.csv --columns x -k 1 --weights short.csv
bad_fit 'one' weights.csv --columns x -k 1 --weights "$faithful"

# Models: missing, cut off, of another kind, of other dimensions.
run 0 mixture fit "$faithful" --columns eruptions,waiting -k 2 -o model.safetensors -q
head -c 300 model.safetensors > cut.safetensors
head -c 4 model.safetensors > head.safetensors
printf '{"format": "elbo.gmm", "version": 99}' > newer.json
printf '{"format": ' > cut.json
for command in 'mixture info' 'mixture sample -n 3'; do
    refuses 2 'missing.json' $command missing.json
    refuses 2 'byte' $command cut.safetensors
    refuses 2 'byte' $command head.safetensors
    refuses 2 'version' $command newer.json
    refuses 2 'byte' $command cut.json
    refuses 2 'faithful.csv' $command "$faithful"
done
for command in score assign; do
    refuses 2 "no column 'eruptions'" mixture $command model.safetensors "$data/iris.csv" -o out.csv
    refuses 2 'model.safetensors has 2 dimensions' mixture $command model.safetensors "$data/iris.csv" --by-position -o out.csv
    refuses 2 'nan.csv' mixture $command model.safetensors nan.csv -o out.csv
done
refuses 2 'model.safetensors has 2 dimensions' mixture fit "$data/iris.csv" --by-position --start model.safetensors -o out.json
refuses 2 'start_model' mixture fit "$faithful" -k 3 --start model.safetensors -o out.json
refuses 2 '-n 0' mixture sample model.safetensors -n 0 -o out.csv

# Outputs: refused before any work.
bad_fit_output() { refuses 2 "$1" mixture fit "$faithful" -k 2 "${@:2}"; }
bad_fit_output 'nowhere' -o nowhere/model.json
bad_fit_output 'nowhere' --json nowhere/fit.json
bad_fit_output 'nowhere' --report nowhere/fit.html
bad_fit_output 'folder.csv' --json folder.csv
bad_fit_output '.safetensors' -o model.txt
bad_fit_output 'twice.json' -o twice.json --json twice.json
refuses 2 'out.exe' convert "$faithful" out.exe
refuses 2 'out.exe' mixture score model.safetensors "$faithful" -o out.exe
refuses 2 'out.exe' mixture sample model.safetensors -n 3 -o out.exe
refuses 2 '--json -' mixture assign model.safetensors "$faithful" --json -
refuses 2 '--json -' mixture sample model.safetensors -n 3 --json -
refuses 2 '--type int8' convert "$faithful" out.npy --type int8

# Failures of the machine: status 1. An existing file stays as it was.
if [ -w /dev/full ]; then
    refuses 1 '/dev/full' mixture fit "$faithful" -k 2 --json /dev/full
    status=0
    "$tool" mixture info model.safetensors > /dev/full 2> stderr || status=$?
    [ $status -eq 1 ] || fail "a full standard output gave $status"
    contains stderr 'elbo: error: '
fi
"$tool" devices > devices.txt
if grep -q 'CUDA: available' devices.txt; then
    refuses 1 '4096' mixture fit "$faithful" -k 2 --device cuda:4096
else
    refuses 1 'CUDA' mixture fit "$faithful" -k 2 --device cuda
fi
printf 'kept' > old.json
refuses 2 'row 1' mixture fit nan.csv -k 1 -o old.json
[ "$(cat old.json)" = kept ] || fail 'a failed fit changed an existing file'

finish
