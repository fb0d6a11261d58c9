#!/usr/bin/env bash
# Trains the rows of the table of Burda, Grosse and Salakhutdinov (arXiv 1509.00519) that this library has, in slices:
#
#   bench/iwae_table.sh [--seconds S] [--rows NAME,...] [--data FOLDER] [--backend cpu|cuda|reference] [--threads T]
#                       [--stages N] [--draws D] [--between D] [--part-rows R] [--seed S] [--tool PATH] FOLDER
#
# The paper's schedule: stages i = 0 to 7 of 3^i epochs with the learning rate 0.001 * 10^(-i/7), 3280 epochs in all;
# batches of 20; Adam with epsilon 1e-4; 784 - tanh 200 - tanh 200 - z 50 and the mirrored decoder. A call takes about
# --seconds (default 600), keeps all that it needs in FOLDER and goes on from there at the next call, to the bits of a
# call that was never stopped. At the end of a stage the test set is evaluated with --draws (default 5000) importance
# samples, in parts of --part-rows rows (default 1000): a part is the one thing that a call finishes after its time, and
# what the next one does not repeat. Where the time ends inside a stage, --between draws (default 50; 0: none) give a
# point of the curve at once.
#
# Rows (--rows, default dynamic-vae-1), trained one after the other:
#   dynamic-vae-1 dynamic-vae-5 dynamic-vae-50 dynamic-iwae-5 dynamic-iwae-50    binarised anew at each use
#   static-vae-1 static-vae-5 static-vae-50 static-iwae-5 static-iwae-50         the fixed binarisation of Larochelle
# With one draw VAE and IWAE are the same. Networks with two stochastic layers are not in the library, and so not here.
#
# --data (default .) is the folder with the files, each also with .gz:
#   dynamic   train-images-idx3-ubyte, t10k-images-idx3-ubyte
#   static    binarized-mnist-{train,valid,test}-images-idx3-ubyte, or binarized_mnist_{train,valid,test}.amat;
#             training and validation rows are joined, so that an epoch has 3000 steps as with MNIST
#
# FOLDER/table.md and table.csv have the results; FOLDER/ROW has curve.csv, the checkpoint and the model of each stage.
set -euo pipefail

say() { printf '== %s\n' "$*"; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

all_rows=(dynamic-vae-{1,5,50} dynamic-iwae-{5,50} static-vae-{1,5,50} static-iwae-{5,50})
# Test negative log-likelihoods of the paper, one stochastic layer.
declare -A published=([dynamic-vae-1]=86.76 [dynamic-vae-5]=86.47 [dynamic-vae-50]=86.35 [dynamic-iwae-5]=85.54
    [dynamic-iwae-50]=84.78 [static-vae-1]=88.71 [static-iwae-5]=87.63 [static-iwae-50]=87.10)
columns=stage,epochs,steps,seconds,training_bound,test_elbo,draws,test_bound,standard_error
data=. backend=cpu threads=0 seconds=600 rows=dynamic-vae-1 stages=8 draws=5000 between=50 part_rows=1000 seed=1 folder=
tool=$(command -v elbo || true)

# --- Arguments --------------------------------------------------------------------------------------------------------

# whole NAME VALUE LOW HIGH
whole() {
    if ! [[ $2 =~ ^[0-9]{1,10}$ ]] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
        die "$1 = $2, expected a whole number from $3 to $4"
    fi
}

read_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --seconds | --rows | --data | --backend | --threads | --stages | --draws | --between | --part-rows | --seed | --tool)
            [ $# -ge 2 ] || die "$1 needs a value"
            local name=${1#--}
            printf -v "${name//-/_}" %s "$2"
            shift 2
            ;;
        -h | --help)
            sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
            exit 0
            ;;
        -*) die "there is no option $1; --help lists them" ;;
        *)
            [ -z "$folder" ] || die "one folder is expected, not '$folder' and '$1'"
            folder=$1
            shift
            ;;
        esac
    done
}

check_arguments() {
    local row
    [ -n "$folder" ] || die "the folder for checkpoints and results is missing; --help says more"
    [[ $seconds =~ ^[0-9]*\.?[0-9]+$ ]] || die "--seconds = $seconds, expected a positive number"
    [[ $backend =~ ^(cpu|cuda(:[0-9]+)?|reference)$ ]] || die "--backend = $backend, expected cpu, cuda, cuda:N or reference"
    whole --threads "$threads" 0 4096
    whole --stages "$stages" 1 8
    whole --draws "$draws" 1 100000000
    whole --between "$between" 0 100000000
    whole --part-rows "$part_rows" 1 100000000
    whole --seed "$seed" 0 4294967295
    IFS=, read -ra wanted <<<"$rows"
    [ ${#wanted[@]} -gt 0 ] || die "--rows is empty, expected some of: ${all_rows[*]}"
    for row in "${wanted[@]}"; do
        [[ " ${all_rows[*]} " == *" $row "* ]] || die "--rows has '$row', expected some of: ${all_rows[*]}"
    done
    [ -n "$tool" ] || die "the command line tool elbo is not in the PATH: build it (cmake --preset cpu) and give --tool build/cpu/bin/elbo"
    [ -x "$tool" ] || die "--tool = $tool is no program; expected the command line tool elbo"
    mkdir -p "$folder" || die "the folder '$folder' cannot be made"
    tool=$(readlink -f "$tool") data=$(readlink -f "$data") folder=$(readlink -f "$folder")
}

# Results under other settings do not mix.
check_settings() {
    local now="seed $seed, draws $draws, rows of a part $part_rows" before
    if [ -e "$folder/settings" ]; then
        before=$(cat "$folder/settings")
        [ "$now" = "$before" ] || die "'$folder' was begun with: $before; asked for now: $now. Give the same options, or another folder"
    else
        printf '%s\n' "$now" >"$folder/settings"
    fi
}

# --- Time -------------------------------------------------------------------------------------------------------------

microseconds() { printf '%s' "${EPOCHREALTIME//[!0-9]/}"; }
left() { awk -v end="$end" -v now="$(microseconds)" 'BEGIN { s = (end - now) / 1e6; if (s < 0.01) s = 0.01; printf "%.3f", s }'; }
time_is_up() { [ "$(microseconds)" -ge "$end" ]; }

# --- Data -------------------------------------------------------------------------------------------------------------

# find_file NAME: the file or its .gz in the folder of the data; nothing if there is none.
find_file() {
    local path
    for path in "$data/$1" "$data/$1.gz"; do
        [ ! -e "$path" ] || { printf '%s' "$path"; return; }
    done
}
content() { case $1 in *.gz) gzip -dc "$1" ;; *) cat "$1" ;; esac }
# Big endian, as the head of an idx file has it.
big_endian() { printf '%b' "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)))"; }
# idx_of FILE: of headless images of 28 x 28 bytes.
idx_of() {
    big_endian 2051 # 0x803: bytes in three dimensions
    big_endian $(($(stat -c %s "$1") / 784))
    big_endian 28
    big_endian 28
    cat "$1"
}

# pixels PLACE NAME...: the bytes of the images of the first of these files that is there.
pixels() {
    local place=$1 name path
    shift
    for name in "$@"; do
        path=$(find_file "$name")
        case $path in
        '') continue ;;
        *.amat*) content "$path" | tr -cd '01' | tr '01' '\000\001' ;;
        *) content "$path" | tail -c +17 ;;
        esac
        return
    done
    die "'$data' has no $1 (nor with .gz)${2:+ and no $2}; --data names the folder. $place"
}

dynamic_place='MNIST: the idx files of http://yann.lecun.com/exdb/mnist, also at https://ossci-datasets.s3.amazonaws.com/mnist'
static_place='The fixed binarisation: http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist, three files of text'

training_pixels() {
    if [ "$1" = dynamic ]; then
        pixels "$dynamic_place" train-images-idx3-ubyte
    else
        pixels "$static_place" binarized-mnist-train-images-idx3-ubyte binarized_mnist_train.amat &&
            pixels "$static_place" binarized-mnist-valid-images-idx3-ubyte binarized_mnist_valid.amat
    fi
}
test_pixels() {
    if [ "$1" = dynamic ]; then
        pixels "$dynamic_place" t10k-images-idx3-ubyte
    else
        pixels "$static_place" binarized-mnist-test-images-idx3-ubyte binarized_mnist_test.amat
    fi
}

# prepare KIND: one file to train on, and the test set in parts. Made once.
prepare() {
    local kind=$1 place=$folder/data/$1 part
    [ ! -e "$place/ready" ] || return 0
    rm -rf "$place"
    mkdir -p "$place"
    training_pixels "$kind" >"$place/train.bytes"
    test_pixels "$kind" >"$place/test.bytes"
    for part in train test; do
        if [ ! -s "$place/$part.bytes" ] || [ $(($(stat -c %s "$place/$part.bytes") % 784)) -ne 0 ]; then
            die "the $part files in '$data' are not images of 28 x 28 bytes. Load them again"
        fi
    done
    idx_of "$place/train.bytes" >"$place/train-idx3-ubyte"
    split -b $((784 * part_rows)) -d -a 4 "$place/test.bytes" "$place/part-"
    for part in "$place"/part-????; do idx_of "$part" >"$part-idx3-ubyte"; done
    rm "$place"/*.bytes "$place"/part-????
    : >"$place/ready"
}

# --- One row ----------------------------------------------------------------------------------------------------------

# number FILE KEY: of a summary, which has one key a line.
number() { sed -n "s/^  \"$2\": \([^,]*\),*$/\1/p" "$1"; }
# last_of FILE KEY: of the last epoch in the history of a summary.
last_of() { sed -n "s/^  \"history\": .*\"$2\":\([^,}]*\).*/\1/p" "$1"; }

# until_time_is_up ARGUMENTS...: the tool, which writes its checkpoint at SIGTERM; fails if it did not come to its end.
until_time_is_up() {
    local status=0
    timeout --foreground --preserve-status -s TERM "$(left)" "$tool" "$@" -q --device "$backend" --threads "$threads" || status=$?
    case $status in
    0) return 0 ;;
    143) return 1 ;;
    *) exit "$status" ;;
    esac
}

# train ROW STAGE: to the end of the stage; fails if the time was up before.
train() {
    local row=$1 stage=$2 kind algorithm k place=$folder/$1 how=()
    IFS=- read -r kind algorithm k <<<"$row"
    [ "$kind" = static ] && how+=(--scale 1) || how+=(--binarize)
    [ "$algorithm" = vae ] || how+=(--objective importance)
    [ ! -e "$place/checkpoint.safetensors" ] || how+=(--resume "$place/checkpoint.safetensors")
    ! time_is_up || return 1
    until_time_is_up vae train "$folder/data/$kind/train-idx3-ubyte" --encoder 200,200 --latent 50 --activation tanh \
        --batch 20 --epsilon 1e-4 --schedule burda --samples "$k" --seed "$seed" --epochs $(((3 ** stage - 1) / 2)) \
        "${how[@]}" --checkpoint "$place/checkpoint.safetensors" -o "$place/model.safetensors" --json "$place/train.json"
}

# evaluate ROW MODEL DRAWS PLACE: the parts of the test set that are not in PLACE yet; fails if the time was up before
# the last.
evaluate() {
    local kind=${1%%-*} model=$folder/$1/$2 samples=$3 place=$folder/$1/$4 how=() part summary index=0
    mkdir -p "$place"
    [ "$kind" = static ] && how+=(--scale 1) || how+=(--binarize)
    for part in "$folder/data/$kind"/part-*; do
        index=$((index + 1)) summary=$place/$(basename "$part").json
        [ ! -e "$summary" ] || continue
        ! time_is_up || [ "$4" = between ] || return 1
        "$tool" vae evaluate "$model" "$part" --importance-samples "$samples" --seed "$index" "${how[@]}" \
            --device "$backend" --threads "$threads" --json "$summary.new" -q || exit
        mv "$summary.new" "$summary"
    done
}

# add_point ROW STAGE DRAWS PLACE: a line of the curve from all parts.
add_point() {
    local place=$folder/$1 about file
    [ -e "$place/curve.csv" ] || echo "$columns" >"$place/curve.csv"
    about=$place/train.json
    for file in "$place/$4"/*.json; do
        printf '%s %s %s %s\n' "$(number "$file" samples)" "$(number "$file" elbo)" "$(number "$file" log_likelihood_bound)" \
            "$(number "$file" log_likelihood_standard_error)"
    done | awk -v head="$2,$(number "$about" epochs),$(number "$about" steps)" -v seconds="$(last_of "$about" seconds)" \
        -v bound="$(last_of "$about" train_objective)" -v draws="$3" '
        { n += $1; elbo += $1 * $2; test += $1 * $3; variance += ($1 * $4) ^ 2 }
        END { printf "%s,%.1f,%.4f,%.4f,%d,%.4f,%.4f\n", head, seconds, bound, elbo / n, draws, test / n, sqrt(variance) / n }' \
        >>"$place/curve.csv"
    rm -r "${place:?}/$4"
    tail -n 1 "$place/curve.csv"
}

# add_between ROW STAGE: a point at a place where the time ended, once there is an epoch with its bound.
add_between() {
    [ "$between" -gt 0 ] && [ -e "$folder/$1/model.safetensors" ] && [ -n "$(last_of "$folder/$1/train.json" train_objective)" ] || return 0
    rm -rf "${folder:?}/$1/between"
    evaluate "$1" model.safetensors "$between" between
    add_point "$1" "in $2" "$between" between
}

# run_row ROW: what is left of it; fails if the time was up before. A stage is over when its line is in the curve.
run_row() {
    local row=$1 place=$folder/$1 stage model
    mkdir -p "$place"
    for ((stage = 1; stage <= stages; ++stage)); do
        ! grep -q "^$stage," "$place/curve.csv" 2>/dev/null || continue
        model=stage-$stage.safetensors
        if [ ! -e "$place/$model" ]; then
            train "$row" "$stage" || { add_between "$row" "$stage"; return 1; }
            mv "$place/model.safetensors" "$place/$model"
        fi
        evaluate "$row" "$model" "$draws" "test-$stage" || return 1
        add_point "$row" "$stage" "$draws" "test-$stage"
    done
}

# --- The table --------------------------------------------------------------------------------------------------------

# The last stage of each row, or where it stands before the first is over; then every curve.
write_table() {
    local row line stage epochs _ took bound elbo samples test error
    {
        printf 'Test negative log-likelihood, nats a row; stages of the schedule of arXiv 1509.00519 that were trained, of 8.\n\n'
        printf '| row | stages | epochs | training seconds | training bound | test ELBO | draws | test NLL | published |\n%s\n' \
            '| --- | --- | --- | --- | --- | --- | --- | --- | --- |'
        for row in "${all_rows[@]}"; do
            [ -e "$folder/$row/curve.csv" ] || continue
            line=$({ grep '^[0-9]' "$folder/$row/curve.csv" || true; } | tail -n 1)
            [ -n "$line" ] || line=$(tail -n 1 "$folder/$row/curve.csv")
            IFS=, read -r stage epochs _ took bound elbo samples test error <<<"$line"
            printf '| %s | %s | %s | %.0f | %.3f | %.3f | %s | %.3f (%.2f) | %s |\n' "$row" "$stage" "$epochs" "$took" "$bound" \
                "$elbo" "$samples" "${test#-}" "$error" "${published[$row]:--}"
        done
        printf '\nIn brackets: standard error over the rows of the test set. Curves:\n'
        for row in "${all_rows[@]}"; do
            [ ! -e "$folder/$row/curve.csv" ] || { printf '\n%s\n\n' "$row" && sed 's/,/ | /g;s/^/| /;s/$/ |/;1{p;s/[^|]\{1,\}/ --- /g}' "$folder/$row/curve.csv"; }
        done
    } >"$folder/table.md"
    {
        echo "row,published,$columns"
        for row in "${all_rows[@]}"; do
            [ ! -e "$folder/$row/curve.csv" ] || sed "1d;s/^/$row,${published[$row]:-},/" "$folder/$row/curve.csv"
        done
    } >"$folder/table.csv"
}

read_arguments "$@"
check_arguments
exec 9>"$folder/lock"
flock -n 9 || die "'$folder' is in use by another call"
check_settings
end=$(awk -v now="$(microseconds)" -v seconds="$seconds" 'BEGIN { printf "%.0f", now + 1e6 * seconds }')
finished=true
for row in "${wanted[@]}"; do
    prepare "${row%%-*}"
    say "$row"
    run_row "$row" || { finished=false && break; }
done
write_table
if $finished; then
    say "finished: $folder/table.md"
else
    say "time is up, the same command goes on: $folder/table.md"
fi
