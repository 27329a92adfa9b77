#!/bin/sh
# Asks a node whatever schemathesis makes of /openapi.json, and fails on any 5xx and on any answer that the
# document does not know. Opt-in: it needs schemathesis 4 (`pip install schemathesis`).
#
#   tests/schemathesis.sh [SECONDS]      for so long, five minutes unless told
#
# Variables: TIDINGS, the program (target/debug/tidings); SCHEMATHESIS, the command (schemathesis).
set -eu
seconds=${1:-300}
tidings=${TIDINGS:-target/debug/tidings}
schemathesis=${SCHEMATHESIS:-schemathesis}
command -v "$schemathesis" >/dev/null || {
    echo "there is no $schemathesis: pip install schemathesis, or set SCHEMATHESIS" >&2
    exit 2
}
work=$(mktemp -d)
node=
stop() {
    test -z "$node" || kill "$node" 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM
"$tidings" node --data-dir "$work/data" --listen /ip4/127.0.0.1/tcp/0 --http 127.0.0.1:0 --open --no-discovery \
    --no-peer-exchange --mesh "schemathesis-$$" --durability buffer 2>"$work/log" &
node=$!
url=
for _ in $(seq 100); do
    url=$(sed -n 's/^.*http on \(http:[^ ]*\).*$/\1/p' "$work/log" | head -n 1)
    test -z "$url" || break
    kill -0 "$node" || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done
test -n "$url" || { cat "$work/log" >&2; exit 1; }
# An answer that follows changes does not end, and it cannot make a bundle: these are left to other tests.
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
status=0
# It keeps files where it runs.
(cd "$work" && "$schemathesis" run "$url/openapi.json" --url "$url" --checks "$checks" --max-time "$seconds" \
    --phases examples,coverage,fuzzing --max-examples 100000 --request-timeout 40 --max-failures 20 \
    --exclude-path-regex '^/v1/(watch|import)' --suppress-health-check all --generation-database none) || status=$?
kill -0 "$node" || { echo "the node is gone:" >&2; tail -n 20 "$work/log" >&2; exit 1; }
exit "$status"
