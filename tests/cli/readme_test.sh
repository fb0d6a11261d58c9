#!/usr/bin/env bash
# The documentation is right: its C++ is that of examples/ and docs/guide/, its commands run, and every option is described.
root=$(realpath "$(dirname "$0")/../..")
. "$(dirname "$0")/common.sh"

# The lines between "// [NAME]" and "// [NAME end]" of a file, without their common indentation.
region() {
    awk -v start="// [$2]" -v end="// [$2 end]" '
        { text = $0; sub(/^ +/, "", text) }
        text == end { inside = 0 }
        inside { if (indent < 0) { match($0, /^ */); indent = RLENGTH }; print substr($0, indent + 1) }
        text == start { inside = 1; indent = -1 }' "$1"
}

# The code block that follows line number $2 of a file.
block() { tail -n +"$(($2 + 1))" "$1" | awk '/^```/ { if (++fences == 2) exit; next } fences == 1'; }

snippets=0
for document in "$root/README.md" "$root"/docs/*.md; do
    name=${document#"$root"/}
    while IFS=: read -r line marker; do
        read -r _ example regions <<< "${marker% -->}"
        : > expected
        for region in $regions; do
            [ ! -s expected ] || echo >> expected
            region "$root/$example" "$region" > part
            [ -s part ] || fail "$name: $example has no part [$region]"
            cat part >> expected
        done
        block "$document" "$line" > shown
        same shown expected || diff shown expected >&2
        snippets=$((snippets + 1))
    done < <(grep -nE '^<!-- (examples|docs)/' "$document")
    marked=$(grep -cE '^<!-- (examples|docs)/' "$document" || true)
    [ "$marked" -eq "$(grep -c '^```cpp' "$document" || true)" ] || fail "$name: C++ that is not from an example"
done
[ "$snippets" -ge 14 ] || fail "only $snippets snippets were compared"

# The commands of the README, as they stand there.
cp "$data/faithful.csv" "$data/optdigits.tes" .
commands=0
while read -r line; do
    block "$root/README.md" "$line" > commands
    while read -r program arguments; do
        [ "$program" = elbo ] || fail "README: not a command of elbo: $program"
        # shellcheck disable=SC2086
        run 0 $arguments
        commands=$((commands + 1))
    done < commands
done < <(grep -n '^<!-- run -->' "$root/README.md" | cut -d: -f1)
[ "$commands" -ge 8 ] || fail "only $commands commands of the README were run"
[ -s fit.html ] && [ -s drawn.csv ] && [ -s vae.html ] && [ -s digits.png ] && [ -s latents.csv ] || fail 'the commands of the README did not write their files'

# Every option of every command is in docs/command-line.md.
for command in 'mixture fit' 'mixture select' 'mixture variational' 'mixture accumulate' 'mixture maximize' \
    'mixture update' 'mixture score' 'mixture evidence' 'mixture assign' 'mixture sample' 'mixture info' 'mixture marginal' \
    'mixture condition' 'mixture divergence' 'vae train' 'vae evaluate' 'vae encode' \
    'vae decode' 'vae reconstruct' 'vae sample' 'vae interpolate' 'vae info' 'latent fit' \
    'latent score' 'latent posterior' 'latent reconstruct' 'latent sample' 'latent info' devices convert; do
    # shellcheck disable=SC2086
    run 0 $command --help
    for option in $(grep -oE '^ +(-[a-z],)?--[a-z0-9-]+' stdout | grep -oE -e '--[a-z0-9-]+'); do
        grep -qF -e "$option" "$root/docs/command-line.md" || fail "docs/command-line.md does not describe $option of $command"
    done
done

finish
