#!/usr/bin/env bash
# Columns go by name wherever model and data both have names.
. "$(dirname "$0")/common.sh"

awk 'BEGIN { print "x,y"; for (i = 0; i < 40; ++i) printf "%g,%g\n", i % 7 + (i % 2) * 20, (i % 5) * 3 - (i % 2) * 9 }' > xy.csv
awk -F, '{ print $2 "," $1 }' xy.csv > yx.csv
awk -F, 'NR == 1 { print "more,y,kind,x" } NR > 1 { print "7," $2 ",text," $1 }' xy.csv > more.csv
awk -F, 'NR == 1 { print "x,z" } NR > 1' xy.csv > xz.csv
sed 1d yx.csv > unnamed.csv

# same_value KEY FILE FILE
same_value() { [ "$(value "$2" "$1")" = "$(value "$3" "$1")" ] || fail "$1 of $2 and $3 differ"; }
differs() { [ "$(value "$2" "$1")" != "$(value "$3" "$1")" ] || fail "$1 of $2 and $3 are the same"; }

run 0 mixture fit xy.csv -k 2 -o m.safetensors -q
run 0 mixture score m.safetensors xy.csv --json xy.json -q
for file in yx.csv more.csv; do
    run 0 mixture score m.safetensors $file --json got.json -q
    same_value log_likelihood xy.json got.json
done
run 0 mixture score m.safetensors more.csv --json got.json
contains stderr "('more') is left out: not a column of the model"
awk -F, 'NR == 1 { print "kind,y,more,x" } NR > 1 { print "text," $2 ",7," $1 }' xy.csv > later.csv
run 0 mixture score m.safetensors later.csv --json got.json
same_value log_likelihood xy.json got.json
contains stderr "column 3 ('more') is left out: not a column of the model" # its number in the file
run 0 mixture score m.safetensors yx.csv --columns y,x --json got.json -q # chosen, and yet by name
same_value log_likelihood xy.json got.json
run 0 mixture score m.safetensors yx.csv --by-position --json got.json -q
differs log_likelihood xy.json got.json
run 0 mixture score m.safetensors unnamed.csv --json unnamed.json -q # without names by position
same_value log_likelihood got.json unnamed.json
awk -F, 'NR == 1 { print "x,x" } NR > 1' xy.csv > twice.csv
run 0 mixture fit twice.csv -k 2 -o twice.safetensors -q
run 0 mixture score twice.safetensors twice.csv -q
refuses 2 "twice.safetensors has two columns named 'x'" mixture score twice.safetensors xz.csv
refuses 2 "xz.csv has no column 'y', as m.safetensors has" mixture score m.safetensors xz.csv
contains stderr '--by-position'
run 0 mixture score m.safetensors xz.csv --by-position --json got.json -q
same_value log_likelihood xy.json got.json

# All commands with a model and data.
run 0 mixture assign m.safetensors xy.csv -o a.csv -q
run 0 mixture assign m.safetensors yx.csv -o b.csv -q
same a.csv b.csv
run 0 mixture evidence m.safetensors yx.csv --json got.json -q
near got.json log_likelihood "$(value xy.json log_likelihood)" 1e-12
refuses 2 "no column 'y'" mixture evidence m.safetensors xz.csv
run 0 mixture accumulate m.safetensors xy.csv -o a.safetensors -q
run 0 mixture accumulate m.safetensors yx.csv -o b.safetensors -q
same a.safetensors b.safetensors
run 0 mixture update m.safetensors xy.csv -o a.safetensors -q
run 0 mixture update m.safetensors yx.csv -o b.safetensors -q
same a.safetensors b.safetensors
refuses 2 "no column 'y'" mixture update a.safetensors xz.csv -o c.safetensors

# A second model, and a model to begin with.
run 0 mixture fit yx.csv -k 2 -o turned.safetensors -q
run 0 mixture evidence m.safetensors xy.csv --posterior m.safetensors --json own.json -q
run 0 mixture marginal m.safetensors --columns y,x -o reversed.safetensors -q
run 0 mixture evidence m.safetensors xy.csv --posterior reversed.safetensors --json got.json -q
near got.json kl "$(value own.json kl)" 1e-9
run 0 mixture divergence m.safetensors reversed.safetensors -n 1000 --json got.json -q
near got.json divergence 0 1e-9
run 0 mixture divergence m.safetensors reversed.safetensors -n 1000 --by-position --json apart.json -q
differs divergence got.json apart.json
run 0 mixture fit xz.csv -k 2 -o xz.safetensors -q
refuses 2 'xz.safetensors' mixture divergence m.safetensors xz.safetensors
run 0 mixture fit xy.csv --start m.safetensors --max-iterations 1 --json a.json -q
run 0 mixture fit yx.csv --start m.safetensors --max-iterations 1 --json b.json -q
same_value log_likelihood a.json b.json
refuses 2 "no column 'y'" mixture fit xz.csv --start m.safetensors
run 0 mixture variational yx.csv --start m.safetensors --max-iterations 2 --json b.json -q

# Parts whose columns have other names do not add up.
run 0 mixture fit unnamed.csv -k 2 -o plain.safetensors -q
run 0 mixture accumulate plain.safetensors xy.csv -o one.safetensors -q
run 0 mixture accumulate plain.safetensors yx.csv -o two.safetensors -q
refuses 2 'two.safetensors is of the columns y, x' mixture maximize one.safetensors two.safetensors

# Continuous latent variables.
run 0 latent fit xy.csv -L 1 -o l.safetensors -q
run 0 latent score l.safetensors xy.csv --json a.json -q
run 0 latent score l.safetensors more.csv --json b.json -q
same_value log_likelihood a.json b.json
run 0 latent posterior l.safetensors yx.csv -o posterior.csv -q
refuses 2 "no column 'y'" latent reconstruct l.safetensors xz.csv
refuses 2 "no column 'y'" latent fit xz.csv --start l.safetensors

# Autoencoders: the names are in the model and in its checkpoints, and head what is written.
vae=(--likelihood gaussian --latent 1 --encoder 3 --batch 8)
run 0 vae train xy.csv "${vae[@]}" --epochs 1 --checkpoint ck.safetensors --checkpoint-epochs 1 -o v.safetensors -q
for model in v.safetensors ck.safetensors; do
    run 0 vae evaluate $model xy.csv --json a.json -q
    run 0 vae evaluate $model yx.csv --json b.json -q
    same_value elbo a.json b.json
done
run 0 vae encode v.safetensors xy.csv -o a.csv -q
run 0 vae encode v.safetensors more.csv -o b.csv -q
same a.csv b.csv
refuses 2 "no column 'y'" vae encode v.safetensors xz.csv
run 0 vae decode v.safetensors a.csv -o decoded.csv -q # latents have names of their own
[ "$(head -n 1 decoded.csv)" = x,y ] || fail "decoded rows are headed $(head -n 1 decoded.csv)"
run 0 convert v.safetensors v.json -q
run 0 vae evaluate v.json yx.csv --json b.json -q
same_value elbo a.json b.json
run 0 vae train xy.csv "${vae[@]}" --epochs 1 --validation xy.csv --json a.json -q
run 0 vae train xy.csv "${vae[@]}" --epochs 1 --validation yx.csv --json b.json -q
same_value elbo a.json b.json
refuses 2 "no column 'y'" vae train xy.csv "${vae[@]}" --epochs 1 --validation xz.csv
run 0 vae train xy.csv "${vae[@]}" --epochs 2 --resume ck.safetensors -o one.safetensors -q
run 0 vae train yx.csv "${vae[@]}" --epochs 2 --resume ck.safetensors -o two.safetensors -q
same one.safetensors two.safetensors
run 0 vae train unnamed.csv "${vae[@]}" --epochs 1 --checkpoint plain.safetensors --checkpoint-epochs 1 -q # without names
run 0 vae train yx.csv "${vae[@]}" --epochs 2 --resume plain.safetensors -q
refuses 2 "no column 'y'" vae train xz.csv "${vae[@]}" --start v.safetensors
finish
