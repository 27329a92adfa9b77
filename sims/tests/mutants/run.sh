#!/usr/bin/env bash
# Plants bugs into a copy of the product, one after the other, and sees whether the oracles find them.
#
#   sims/tests/mutants/run.sh            all of them: half an hour on two cores
#   sims/tests/mutants/run.sh NAME …     some of them
#
# A bug is a patch file beside this script. Its first lines say what it is about, which oracles are
# expected to find it (one of them must), in which scenario, and how many seeds are tried; and, where
# it breaks a rule of the protocol, which test of the product must fail with it, too. The first rows
# are of the product as it is: there no oracle may find anything.
#
# MUTANTS_TARGET is where the copy is built; what was built there before is used again.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
export CARGO_TARGET_DIR=${MUTANTS_TARGET:-$root/target/mutants}
# Always the same place: cargo builds everything again for another.
tree=$CARGO_TARGET_DIR/tree

field() { sed -n "s/^$2: //p" "$here/$1.patch"; }

row() { printf '%-28s %-24s %-10s %s\n' "$1" "$2" "$3" "$4"; }

copy() {
    rm -rf "$tree" && mkdir -p "$tree"
    (cd "$root" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf -) |
        tar -xmf - -C "$tree"
    # For `git apply`, which would look for the files in the repository that is around.
    git init -q "$tree"
}

# The oracles that find something in so many seeds of a scenario.
find_in() {
    cargo run --quiet --manifest-path "$tree/sims/Cargo.toml" --bin sim -- \
        explore --scenario "$1" --seeds "$2" --json >"$tree/found.json" 2>"$tree/found.log" || true
    if ! grep -q '"failed"' "$tree/found.json"; then
        echo "no-answer:$(tail -n 1 "$tree/found.log" | tr ' ' '_')"
        return
    fi
    { grep -o '"oracle": "[^"]*"' "$tree/found.json" || true; } | cut -d'"' -f4 | sort -u | xargs
}

unchanged() {
    local scenario found
    for scenario in $(for name in "$@"; do field "$name" Scenario; done | sort -u); do
        found=$(find_in "$scenario" 5)
        row "(unchanged)" "$scenario" "$([ -z "$found" ] && echo well || echo WRONG)" "$found"
        [ -z "$found" ] || failures=$((failures + 1))
    done
}

# Whether a test of the product, run with the bug, fails as it should.
fails() {
    local log=$tree/tests.log
    cargo test --quiet --manifest-path "$tree/Cargo.toml" --lib -- "$1" >"$log" 2>&1 && return 1
    grep -q '^test result: FAILED' "$log"
}

mutant() {
    local name=$1 found expected tests verdict=MISSED
    expected=$(field "$name" Caught-by)
    tests=$(field "$name" Tests)
    if git -C "$tree" apply "$here/$name.patch"; then
        found=$(find_in "$(field "$name" Scenario)" "$(field "$name" Seeds)")
        if [ -n "$tests" ] && fails "$tests"; then found="$found ($tests)" tests=; fi
        git -C "$tree" apply -R "$here/$name.patch"
    else
        found=no-answer:it_does_not_apply
    fi
    for oracle in $expected; do
        [[ " $found " == *" $oracle "* ]] && verdict=found
    done
    [ -z "$tests" ] || verdict=MISSED
    [ "$verdict" = found ] || failures=$((failures + 1))
    row "$name" "$expected" "$verdict" "$found"
}

failures=0
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    names=()
    for patch in "$here"/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi
copy
row BUG "EXPECTED (ONE OF)" RESULT "FOUND BY"
unchanged "${names[@]}"
for name in "${names[@]}"; do mutant "$name"; done
exit $((failures > 0))
