# shellcheck shell=bash
# Shows that a build lives. Sourced by scripts/build.sh.

# show_progress <what>: reads the lines of ninja or make. On a terminal one line moves; elsewhere there is one every ten
# seconds, also while a long step runs.
show_progress() {
    local what=$1 begin=$SECONDS next=$((SECONDS + 10)) counts="" file="" line status
    while true; do
        line=""
        IFS= read -r -t 1 line && status=0 || status=$?
        # [12/284] Building CXX object CMakeFiles/elbo.dir/host/check.cpp.o, or of make [ 37%] Building ...
        if [[ $line =~ ^\[([0-9]+)/([0-9]+)\]\ (.*) ]]; then
            counts="${BASH_REMATCH[1]} of ${BASH_REMATCH[2]}" file=${BASH_REMATCH[3]##* }
        elif [[ $line =~ ^\[\ *([0-9]+%)\]\ (.*) ]]; then
            counts=${BASH_REMATCH[1]} file=${BASH_REMATCH[2]##* }
        fi
        if [ $status -gt 0 ] && [ $status -le 128 ]; then break; fi # the end; above 128 a second without a line
        [ -n "$counts" ] || continue
        line="$what: $counts, $((SECONDS - begin)) s"
        if [ -t 1 ]; then
            line="$line, ${file#*.dir/}"
            printf '\r%s\033[K' "${line:0:$((${COLUMNS:-80} - 1))}"
        elif [ $SECONDS -ge $next ]; then
            printf '%s\n' "$line"
            next=$((SECONDS + 10))
        fi
    done
    [ -n "$counts" ] || return 0
    if [ -t 1 ]; then printf '\r\033[K'; fi
    printf '%s: %s, %d s\n' "$what" "$counts" $((SECONDS - begin))
}
