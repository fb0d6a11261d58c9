#!/usr/bin/env bash
# bench/iwae_table.sh: a run in slices, stopped inside stages and evaluations, gives the bits of an undisturbed one.
script=$(realpath "$(dirname "$0")/../../bench/iwae_table.sh")
. "$(dirname "$0")/../cli/common.sh"

# 690 images of 28 x 28 bytes, the text of a file: 35 steps an epoch. Of the test set 35, in parts of 10, 10, 10 and 5.
images() { # <rows>
    printf '\0\0\10\3\0\0%b\0\0\0\34\0\0\0\34' "$(printf '\\0%o\\0%o' $(($1 / 256)) $(($1 % 256)))"
    cat "$data/optdigits.tes" "$data/optdigits.tes" "$data/optdigits.tes" 2> /dev/null | head -c $((784 * $1))
}
mkdir images
images 690 > images/train-images-idx3-ubyte
images 35 | gzip > images/t10k-images-idx3-ubyte.gz
settings=(--tool "$tool" --data images --threads 1 --draws 30 --part-rows 10)

# table STATUS ARGUMENTS...: output in ./said.
table() {
    local wanted=$1 status=0
    shift
    bash "$script" "$@" > said 2>&1 || status=$?
    [ $status -eq "$wanted" ] || fail "iwae_table.sh $*: exit status $status, expected $wanted: $(cat said)"
}

for row in dynamic-vae-1 dynamic-iwae-5; do
    [ $row = dynamic-vae-1 ] && stages=4 || stages=3
    table 0 "${settings[@]}" --rows $row --stages $stages --seconds 1000 whole
    contains said 'finished'
    # Once it is stopped before its first step, then wherever the clock says.
    table 0 "${settings[@]}" --rows $row --stages $stages --seconds 0.001 slices
    contains said 'time is up'
    calls=1
    seconds=0.2 # and more each time: a slow machine must get somewhere
    until grep -q -e finished -e error said || [ $calls -eq 30 ]; do
        table 0 "${settings[@]}" --rows $row --stages $stages --seconds $seconds --between 3 slices
        calls=$((calls + 1))
        seconds=$(awk -v s=$seconds 'BEGIN { print 1.25 * s }')
    done
    contains said 'finished'
    [ $calls -ge 3 ] || fail "$row was finished after $calls calls: nothing was stopped"
    for ((stage = 1; stage <= stages; ++stage)); do same whole/$row/stage-$stage.safetensors slices/$row/stage-$stage.safetensors; done
    # The points at the ends of stages, but for the time that it took; others only in the slices.
    ends() { grep '^[1-4],' "$1/$row/curve.csv" | cut -d , -f 1-3,5-; }
    ends whole > ends.whole
    ends slices > ends.slices
    same ends.whole ends.slices
    [ "$(cut -d , -f 1,2,3 ends.whole | tr '\n' ' ')" = "$(printf '%s\n' 1,1,35 2,4,140 3,13,455 4,40,1400 | head -n $stages | tr '\n' ' ')" ] || fail "stages of $row: $(cat ends.whole)"
    lacks whole/$row/curve.csv '^in '
done
contains whole/table.md '| dynamic-iwae-5 | 3 | 13 |'
contains whole/table.md '| 85.54 |'
contains slices/table.csv 'dynamic-vae-1,86.76,4,40,1400,'

# What is wrong is said, and what to do.
table 2 --tool "$tool" --data images
contains said 'the folder for checkpoints and results is missing'
table 2 "${settings[@]}" --rows dynamic-vae-2 new
contains said "--rows has 'dynamic-vae-2', expected some of: dynamic-vae-1"
table 2 "${settings[@]}" --stages 9 new
contains said '--stages = 9, expected a whole number from 1 to 8'
table 2 "${settings[@]}" --seconds -1 new
contains said '--seconds = -1, expected a positive number'
table 2 "${settings[@]}" --backend gpu new
contains said '--backend = gpu, expected cpu, cuda'
table 2 "${settings[@]}" --rows static-vae-1 new
contains said 'has no binarized-mnist-train-images-idx3-ubyte'
contains said 'http://www.cs.toronto.edu'
table 2 "${settings[@]}" --seed 2 whole
contains said "was begun with: seed 1"

# The text of the fixed binarisation.
awk 'BEGIN { for (i = 0; i < 30; ++i) for (j = 0; j < 784; ++j) printf "%d%s", (i * j + j) % 3 == 0, j < 783 ? " " : "\n" }' > text
for part in train valid test; do cp text images/binarized_mnist_$part.amat; done
table 0 "${settings[@]}" --rows static-vae-1 --stages 1 --seconds 1000 fixed
contains fixed/static-vae-1/curve.csv '1,1,3,'

finish
