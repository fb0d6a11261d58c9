#!/usr/bin/env bash
# How files are read and written from the command line: what is left out, options of text tables, pipes, and that no output
# replaces an input.
. "$(dirname "$0")/common.sh"

printf 'x,kind,y\n1,a,2\n3,b,4\n5,a,7\n' > mixed.csv
printf 'x,y\n1,2\n3,4\n5,7\n' > t.csv
cp "$data"/failing/0[2349]* .

# What is left out is said on standard error and in the summary, and is an error with --strict.
run 0 convert mixed.csv out.csv --json left.json
contains stderr "column 2 ('kind') is left out: text, as 'a' in line 2"
contains left.json '"left_out": [{"column":1,"name":"kind","reason":"text, as '"'a'"' in line 2"}]'
same out.csv t.csv
run 0 convert mixed.csv out.csv -q
[ ! -s stderr ] || fail "quiet and yet: $(cat stderr)"
run 0 convert mixed.csv out.csv --columns x,y --json left.json
lacks left.json left_out
refuses 2 "column 2 ('kind')" convert mixed.csv new.csv --strict
run 0 convert mixed.csv out.csv --strict --columns x
run 0 mixture fit mixed.csv -k 1 -o m.safetensors --json fit.json
contains fit.json '"left_out": [{"column":1,"name":"kind"'
run 0 mixture score m.safetensors mixed.csv --json score.json
contains score.json '"left_out": [{"column":1,"name":"kind"'
run 0 latent fit mixed.csv -L 1 --json latent.json -q
contains latent.json '"left_out"'
run 0 vae train mixed.csv --likelihood gaussian --latent 1 --encoder 2 --epochs 1 --batch 3 --json vae.json -q
contains vae.json '"left_out"'

# The files that failed once.
refuses 2 "line 2: column 2 ('height'): expected a number, found '1,71'" mixture fit 02_decimal_comma.csv -k 1
contains stderr '--decimal-comma'
run 0 convert 02_decimal_comma.csv out.csv --decimal-comma -q
contains out.csv '1,1.71,33'
refuses 2 "column 2 ('income')" mixture fit 02_thousands.csv -k 1
run 0 convert 02_d_exponent.csv out.csv -q
contains out.csv '5,10'
run 0 mixture fit 03_stamps.npy -k 2 --json array.json -q
run 0 mixture fit 03_stamps.csv -k 2 --json text.json -q
[ "$(value array.json log_likelihood)" = "$(value text.json log_likelihood)" ] || fail "stamps of .npy and .csv differ"
run 0 mixture fit 04_pandas_header.csv -k 2 --json pandas.json
is pandas.json samples 200
contains stderr '--header no'
run 0 mixture fit 04_pandas_header.csv -k 2 --header no --json pandas.json -q
is pandas.json samples 201
run 0 convert 09_cr.csv out.npy --json cr.json -q
is cr.json samples 50
is cr.json dimensions 2

printf 'land,2019,2020\nAT,1.5,2.5\nBE,3.5,4.5\n' > years.csv
run 0 convert years.csv out.csv
contains stderr '--header no'
printf '2019,2020\n1.5,2.5\n3.5,4.5\n' > expected.csv
same out.csv expected.csv

# Options of text tables, and wrong ones.
printf '1:2\n3:4\n' > colons.csv
run 0 convert colons.csv out.csv --delimiter : --header yes -q
printf '1,2\n3,4\n' > expected.csv
same out.csv expected.csv
printf '1\t2\n3\t4\n' > tabs.txt
run 0 convert tabs.txt out.csv --delimiter tab --header no -q
same out.csv expected.csv
printf '1   2\n3 4\n' > blanks.txt
run 0 convert blanks.txt out.csv --delimiter space -q
same out.csv expected.csv
refuses 2 '--header maybe' convert t.csv new.csv --header maybe
refuses 2 '--delimiter ab' convert t.csv new.csv --delimiter ab
refuses 2 'delimiter = ' convert t.csv new.csv --delimiter 5
refuses 2 'decimal_comma' convert t.csv new.csv --delimiter , --decimal-comma
printf '1,2\n1e300,4\n' > beyond.csv
refuses 2 '1e+300 is beyond the range of float32' convert beyond.csv new.npy --type float32
refuses 2 'float32' convert beyond.csv new.f32
printf 'a,b\n1,2\n-999,4\n' > sentinel.csv
run 0 convert sentinel.csv out.npy -q
refuses 2 "line 3: column 1 ('a')" mixture fit sentinel.csv -k 1 --missing NA,-999
refuses 2 'row 1, column 0: -999' convert out.npy new.csv --missing -999
printf 'a,b\n1,2\nNA,4\n' > missing.csv
refuses 2 'missing values' convert missing.csv new.csv

# Pipes and standard input are read once, wherever a file is opened more than once.
run 0 mixture fit t.csv -k 1 -o direct.safetensors --weights y -q
mkfifo p.csv
cat t.csv > p.csv &
run 0 mixture fit p.csv -k 1 -o piped.safetensors --weights y -q
same direct.safetensors piped.safetensors
cat t.csv > p.csv &
run 0 convert p.csv out.csv -q
same out.csv t.csv
run 0 mixture fit - -k 1 -o piped.safetensors --weights y -q < t.csv
same direct.safetensors piped.safetensors
run 0 convert - out.csv -q < <(cat t.csv)
same out.csv t.csv
run 0 convert <(cat 03_stamps.npy) out.npy -q
run 0 convert - back.npy --type float64 -q < out.npy
run 0 mixture score piped.safetensors - -q --by-position --json score.json < <(printf '1\n3\n')
is score.json samples 2
refuses 2 'standard input is the data already' mixture fit - -k 1 --weights - < t.csv
refuses 2 'the file is empty' convert - new.csv < /dev/null
refuses 2 '/dev/zero' convert /dev/zero new.csv
gzip -k t.csv out.npy
run 0 convert t.csv.gz unpacked.csv -q
same unpacked.csv t.csv
run 0 convert out.npy.gz unpacked.npy --type float64 -q

# No output replaces an input or another output, by whatever name.
run 0 convert t.csv data.npy -q
ln -s data.npy link.npy
ln data.npy hard.npy
mkdir folder && ln -s .. folder/up
run 0 mixture fit t.csv -k 1 -o m.safetensors -q
cp data.npy before.npy && cp m.safetensors before.safetensors
for name in data.npy link.npy hard.npy ./data.npy folder/up/data.npy; do
    refuses 2 'is an input, too' mixture assign m.safetensors data.npy -o "$name"
    refuses 2 'is an input, too' mixture assign m.safetensors "$name" --responsibilities data.npy
    refuses 2 'is an input, too' convert "$name" data.npy
    refuses 2 'is an input, too' mixture score m.safetensors data.npy -o "$name"
done
refuses 2 'is an input, too' mixture fit data.npy -k 1 --json link.npy
refuses 2 'is an input, too' mixture fit data.npy -k 1 --report hard.npy
refuses 2 'is an input, too' mixture fit t.csv -k 1 --weights data.npy --json data.npy
refuses 2 'is an input, too' mixture fit t.csv --start m.safetensors -o m.safetensors
refuses 2 'is an input, too' mixture sample m.safetensors -n 3 -o rows.csv --json m.safetensors
refuses 2 'is an input, too' mixture info m.safetensors --json m.safetensors
refuses 2 'is an input, too' mixture marginal m.safetensors --columns x -o m.safetensors
refuses 2 'is an input, too' mixture evidence m.safetensors t.csv --responsibilities data.npy --json data.npy
refuses 2 'is an input, too' latent fit t.csv -L 1 --json t.csv
refuses 2 'is an input, too' vae train t.csv --likelihood gaussian --validation data.npy --png data.npy
refuses 2 'is an input, too' vae train t.csv --likelihood gaussian --validation data.npy --checkpoint data.npy
refuses 2 'named for two outputs' mixture assign m.safetensors t.csv -o a.csv --responsibilities ./a.csv
refuses 2 'named for two outputs' mixture assign m.safetensors t.csv -o a.csv --json folder/up/a.csv
refuses 2 'named for two outputs' mixture fit t.csv -k 1 -o a.json --json a.json
refuses 2 'cannot write this kind of file' mixture score m.safetensors t.csv -o scores.xls
same data.npy before.npy
same m.safetensors before.safetensors
[ -L link.npy ] || fail "the link is gone"
"$tool" mixture assign m.safetensors t.csv >> t.csv 2> stderr && fail 'labels were added to the rows'
contains stderr 'is an input, too'
run 0 mixture score m.safetensors t.csv --json /dev/null -q

# A state takes the place of the one before, and so does a checkpoint that is gone on from.
refuses 2 'is an input, too' mixture update m.safetensors t.csv -o m.safetensors
run 0 mixture update m.safetensors t.csv -o state.safetensors -q
run 0 mixture update state.safetensors t.csv -o state.safetensors -q
refuses 2 'is an input, too' mixture update state.safetensors t.csv -o other.safetensors --json state.safetensors
training=(vae train t.csv --likelihood gaussian --latent 1 --encoder 2 --batch 3 --checkpoint-epochs 1)
run 0 "${training[@]}" --epochs 1 --checkpoint ck.safetensors -q
run 0 "${training[@]}" --epochs 2 --checkpoint ck.safetensors --resume ./ck.safetensors -q
refuses 2 'is an input, too' "${training[@]}" --epochs 3 --resume ck.safetensors -o ck.safetensors

# HDF5: a dataset is added, nothing that a file holds is lost.
run 0 convert t.csv d.h5 -q
if [ -s d.h5 ]; then
    run 0 convert t.csv d.h5:/x -q
    refuses 2 'is an input, too' mixture assign m.safetensors d.h5:/x -o d.h5
    contains stderr 'd.h5:/NAME'
    run 0 mixture assign m.safetensors d.h5:/x -o d.h5:/labels -q
    run 0 convert d.h5:/x out.csv -q
    sed 1d t.csv > rows.csv
    same out.csv rows.csv
    run 0 convert d.h5:/labels out.csv -q
    refuses 2 'already' mixture assign m.safetensors d.h5:/x -o d.h5:/labels
    refuses 2 'already' convert t.csv d.h5
    refuses 2 'named for two outputs' mixture assign m.safetensors t.csv -o d.h5:/a --responsibilities d.h5:/b
fi
finish
