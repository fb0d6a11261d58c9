#!/usr/bin/env bash
# elbo mixture marginal, condition, divergence.
. "$(dirname "$0")/common.sh"

run 0 mixture fit "$data/faithful.csv" --columns eruptions,waiting -k 2 -o model.safetensors -q
run 0 mixture fit "$data/faithful.csv" --columns waiting -k 1 -o waiting.json -q
run 0 mixture fit "$data/faithful.csv" --columns eruptions,waiting -k 1 -o one.json -q

# marginal: by name or number, in any order; the mean of a fit's marginal is that of the column.
run 0 mixture marginal model.safetensors --columns waiting -o marginal.safetensors --json marginal.json
keys marginal.json command version model columns dimensions components family column_names weights means covariances
is marginal.json columns '[1]'
is marginal.json column_names '[waiting]'
contains stdout 'waiting'
run 0 mixture marginal model.safetensors --columns 1 --json numbered.json -q
is numbered.json means "$(value marginal.json means)"
run 0 mixture info marginal.safetensors --json info.json
is info.json covariances "$(value marginal.json covariances)"
run 0 mixture marginal model.safetensors --columns waiting,eruptions --json both.json
is both.json column_names '[waiting,eruptions]'

# condition: a single Gaussian by hand (regression line of its covariance), and the result as a model.
run 0 mixture condition one.json --given eruptions=3 --json given.json -o given.safetensors
keys given.json command version model given_columns given_values columns mean dimensions components family \
    column_names weights means covariances
run 0 mixture info one.json --json whole.json
numbers() { value whole.json "$1" | tr -d '[]' | tr ',' ' '; }
read -r m0 m1 <<< "$(numbers means)"
read -r c00 c01 _ c11 <<< "$(numbers covariances)"
mean=$(awk "BEGIN { printf \"%.12f\", $m1 + $c01 / $c00 * (3 - $m0) }")
variance=$(awk "BEGIN { printf \"%.12f\", $c11 - $c01 * $c01 / $c00 }")
value given.json mean | tr -d '[]' | awk -v want="$mean" '{ d = $1 - want; exit !(d < 1e-9 && d > -1e-9) }' ||
    fail "conditional mean $(value given.json mean), expected $mean"
value given.json covariances | tr -d '[]' |
    awk -v want="$variance" '{ d = $1 - want; exit !(d < 1e-9 && d > -1e-9) }' ||
    fail "conditional variance $(value given.json covariances), expected $variance"
run 0 mixture sample given.safetensors -n 3
[ "$(head -1 stdout)" = waiting ] || fail 'the conditional lost the name of its column'
run 0 mixture condition model.safetensors --given waiting=1e300 --json far.json
lacks far.json 'null|nan'

# condition over rows: each is what condition says of it alone; columns by name in any order, or by position.
printf 'eruptions\n3\n1.75\n4.5\n' > known.csv
run 0 mixture condition model.safetensors known.csv --json rows.json -o rows.csv --log-density density.csv \
    --responsibilities responsibilities.csv
keys rows.json command version device model samples dimensions components family given_columns columns column_names
is rows.json given_columns '[0]'
is rows.json column_names '[waiting]'
[ "$(head -1 rows.csv)" = waiting,waiting_variance ] || fail "rows.csv begins with $(head -1 rows.csv)"
[ "$(wc -l < rows.csv) $(wc -l < density.csv) $(wc -l < responsibilities.csv)" = '4 4 4' ] || fail 'not a row for each'
run 0 mixture condition one.json known.csv
run 0 mixture condition one.json known.csv --given 0 -o one.csv
awk -F, -v m="$mean" -v v="$variance" 'NR == 2 { d = $1 - m; e = $2 - v; exit !(d * d < 1e-18 && e * e < 1e-18) }' \
    one.csv || fail "$(sed -n 2p one.csv) for eruptions=3, expected $mean,$variance"
printf 'waiting,other,eruptions\n1,2,3\n4,5,1.75\n7,8,4.5\n' > shuffled.csv
run 0 mixture condition model.safetensors shuffled.csv --given eruptions -o shuffled_rows.csv
cmp rows.csv shuffled_rows.csv || fail 'columns were not taken by name'
run 0 mixture condition model.safetensors known.csv --threads 1
cmp stdout rows.csv || fail 'printed rows differ from those of a file'
sed 1d known.csv > bare.csv
run 0 mixture condition model.safetensors bare.csv --given 0 -o bare_rows.csv
cmp rows.csv bare_rows.csv || fail 'columns were not taken by position'
printf '3,9\n1.75,9\n4.5,9\n' > all.csv
run 0 mixture condition model.safetensors all.csv --given eruptions -o all_rows.csv
cmp rows.csv all_rows.csv || fail 'the known column of all was not taken'
run 0 mixture condition model.safetensors known.csv --variances none -o - -q
[ "$(head -1 stdout)" = waiting ] || fail '--variances none has variances'
run 0 mixture fit "$data/iris.csv" --columns Sepal.Length,Sepal.Width,Petal.Length,Petal.Width -k 3 -o iris.json -q
run 0 mixture condition iris.json "$data/iris.csv" --given Petal.Length,0 --variances full -o full.npy --json full.json
is full.json columns '[1,3]'
is full.json given_columns '[2,0]'
run 0 mixture condition iris.json "$data/iris.csv" --given 2,0 --variances full -q
names=Sepal.Width,Petal.Width
for pair in Sepal.Width_Sepal.Width Sepal.Width_Petal.Width Petal.Width_Sepal.Width Petal.Width_Petal.Width; do
    names+=,${pair}_covariance
done
[ "$(head -1 stdout)" = "$names" ] || fail "columns $(head -1 stdout), expected $names"
[ "$(wc -l < stdout)" = 151 ] || fail 'not a row for each of iris'

# Positions are those in the data, whatever else the file has before.
printf 'waiting\n70\n80\n' > waiting.csv
printf 'kind,a,b\nu,1,70\nv,2,80\n' > kinds.csv
run 0 mixture condition model.safetensors waiting.csv -o by_name.csv -q
run 0 mixture condition model.safetensors kinds.csv --given 1 --by-position -o by_position.csv -q
same by_name.csv by_position.csv
run 0 mixture condition model.safetensors kinds.csv --given 1 --by-position --columns b,a -o turned.csv -q
cmp -s turned.csv by_position.csv && fail '--columns played no part'

# divergence: zero from itself, the closed form for one component each, the same for the same seed.
run 0 mixture divergence model.safetensors model.safetensors --json zero.json -n 1000
keys zero.json command version device from to samples seed divergence standard_error variational_approximation \
    variational_upper_bound
near zero.json divergence 0 0
near zero.json variational_approximation 0 0
run 0 mixture marginal one.json --columns waiting -o one_waiting.json
run 0 mixture divergence one_waiting.json marginal.safetensors --json d.json --seed 4 -n 20000
run 0 mixture divergence one_waiting.json marginal.safetensors --json again.json --seed 4 -n 20000
is again.json divergence "$(value d.json divergence)"
awk -v d="$(value d.json divergence)" -v e="$(value d.json standard_error)" \
    -v bound="$(value d.json variational_upper_bound)" 'BEGIN { exit !(d > 0 && bound >= d - 5 * e) }' ||
    fail "divergence $(value d.json divergence) above its bound $(value d.json variational_upper_bound)"
# A fit of one component to one column is the marginal of the fit to both.
run 0 mixture divergence waiting.json one_waiting.json --json same.json -n 1000
near same.json variational_upper_bound 0 1e-9

# Bad input: exit status 2, nothing written.
refuses() {
    local text=$1
    shift
    run 2 mixture "$@" -q --json never.json
    contains stderr "$text"
    [ ! -e never.json ] || fail "elbo mixture $*: wrote a summary"
}
refuses '--columns' marginal model.safetensors
refuses 'nonsense' marginal model.safetensors --columns nonsense
refuses 'listed twice' marginal model.safetensors --columns waiting,1
refuses 'never.csv' marginal model.safetensors --columns waiting -o never.csv
refuses 'COLUMN=VALUE' condition model.safetensors --given waiting
refuses 'expected a number' condition model.safetensors --given waiting=high
refuses 'values[0] = nan' condition model.safetensors --given waiting=nan
refuses 'all 2 dimensions' condition model.safetensors --given waiting=70,eruptions=3
printf 'eruptions\n1e308\n' > far.csv
printf 'eruptions\n3\nnan\n' > nan.csv
printf 'eruptions,waiting\n3,4\n' > both.csv
printf 'other,another\n3,4\n' > other.csv
printf '1,2,3\n4,5,6\n' > three.csv
refuses '--given' condition model.safetensors
refuses '--given A,B,... is missing' condition model.safetensors both.csv
refuses '--given A,B,... is missing' condition model.safetensors other.csv
refuses 'expected a column alone' condition model.safetensors known.csv --given eruptions=3
refuses 'nonsense' condition model.safetensors known.csv --given nonsense
refuses 'eruptions' condition model.safetensors other.csv --given eruptions
refuses 'all 2 dimensions' condition model.safetensors both.csv --given waiting,eruptions
refuses '3 columns' condition model.safetensors three.csv --given 0
refuses 'row 1' condition model.safetensors nan.csv -o never.csv
refuses 'row 1' condition model.safetensors nan.csv # where rows are printed, no head of a table without rows
[ ! -s stdout ] || fail "condition printed before it failed: $(head -1 stdout)"
refuses 'row 0 (the first number is 1e+308)' condition model.safetensors far.csv -o never.csv
refuses '--variances some' condition model.safetensors known.csv --variances some
refuses '--type float16' condition model.safetensors known.csv --type float16
refuses 'never.txt.gz' condition model.safetensors known.csv -o never.txt.gz
refuses 'expected DATA' condition model.safetensors --given waiting=70 --log-density never.csv
[ ! -e never.csv ] || fail 'rows of bad data were written'
refuses 'missing.json' divergence model.safetensors missing.json
refuses '1 dimensions' divergence model.safetensors marginal.safetensors
refuses 'samples = 1' divergence model.safetensors model.safetensors -n 1

finish
