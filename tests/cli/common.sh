# What the tests of the command line share. Sourced with the path of the tool and of tests/data as arguments.
set -uo pipefail

tool=$(realpath "$1")
data=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failures=0

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    failures=$((failures + 1))
}

# Ends the test; the last line of every test.
finish() {
    [ "$failures" -eq 0 ] || exit 1
    printf 'passed\n'
}

# run STATUS ARGUMENTS...: the tool must end with this status. Output goes to ./stdout and ./stderr.
run() {
    local wanted=$1 status=0
    shift
    "$tool" "$@" > stdout 2> stderr || status=$?
    [ "$status" -eq "$wanted" ] || fail "elbo $*: exit status $status, expected $wanted: $(cat stderr)"
}

# contains FILE TEXT: a line of the file has this text in it.
contains() { grep -qF -e "$2" "$1" || fail "$1 does not contain '$2': $(head -c 600 "$1")"; }
lacks() { ! grep -qE -e "$2" "$1" || fail "$1 contains '$2'"; }

# value FILE KEY: a number or text of a JSON summary, which has one key a line.
value() { sed -n "s/^  \"$2\": \(.*[^,]\),*$/\1/p" "$1" | tr -d '"'; }

# is FILE KEY VALUE
is() {
    local got
    got=$(value "$1" "$2")
    [ "$got" = "$3" ] || fail "$1: $2 is '$got', expected '$3'"
}

# await TEXT: until a job in the background has written it to the file stderr, at most 20 seconds.
await() {
    local i
    for ((i = 0; i < 200; ++i)); do
        grep -q "$1" stderr && return
        sleep 0.1
    done
    fail "not '$1' in 20 s: $(head -n 3 stderr)"
}

# near FILE KEY VALUE TOLERANCE
near() {
    awk -v got="$(value "$1" "$2")" -v want="$3" -v tolerance="$4" \
        'BEGIN { d = got - want; exit !(got != "" && d <= tolerance && -d <= tolerance) }' ||
        fail "$1: $2 is '$(value "$1" "$2")', expected $3 within $4"
}

# keys FILE KEY...: exactly these keys, in this order.
keys() {
    local file=$1 got
    shift
    got=$(sed -n 's/^  "\([^"]*\)": .*/\1/p' "$file" | tr '\n' ' ')
    [ "$got" = "$* " ] || fail "$file has the keys $got, expected $*"
    if command -v python3 > python3_path; then
        python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$file" || fail "$file is not JSON"
    fi
}

same() { cmp -s "$1" "$2" || fail "$1 and $2 differ"; }

# refuses STATUS TEXT ARGUMENTS...: one line "elbo: error: ... TEXT ...", and no new file.
refuses() {
    local wanted=$1 text=$2 before after
    shift 2
    : > stdout && : > stderr
    before=$(find . -type f | sort)
    run "$wanted" "$@"
    after=$(find . -type f | sort)
    [ "$before" = "$after" ] || fail "elbo $*: left files: $after"
    [ "$(grep -c '^elbo: error: ' stderr)" -eq 1 ] || fail "elbo $*: not one error line: $(cat stderr)"
    grep '^elbo: error: ' stderr | grep -qF -e "$text" || fail "elbo $*: '$(cat stderr)' does not say '$text'"
    [ "$(grep -c '' stderr)" -ge 2 ] || fail "elbo $*: no word on what to do next"
    [ ! -s stdout ] || fail "elbo $*: printed results"
}
