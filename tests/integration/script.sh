# script.sh: what the integration tests that are shell scripts share. Sourced, after `set -u`.
#
# The script runs again under contrib/devenv, so with the programs of the build tree and a daemon of its own.
# shellcheck shell=bash

: "${top_srcdir:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
export top_srcdir
if [ -z "${EMS_DEVENV_DIR-}" ]; then
	# Read by the sourcing script as well: it is bash, whatever make runs it with.
	exec "$top_srcdir/contrib/devenv" bash "$0" "$@"
fi

work=$EMS_DEVENV_DIR/test
mkdir "$work"
failures=0

# EMS_TEST_SEED repeats a run.
seed=${EMS_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "seed $seed (EMS_TEST_SEED)"
export EMS_TEST_SEED=$seed

fail() {
	printf 'FAILED: %s\n' "$*"
	failures=$((failures + 1))
}

# run COMMAND…: leaves $status, $out (without the last new lines) and $err.
run() {
	"$@" >"$work/out" 2>"$work/err"
	status=$?
	# Bytes that a shell variable cannot hold are seen with cmp in $work/out.
	out=$(tr -d '\0' <"$work/out")
	err=$(tr -d '\0' <"$work/err")
}

# expect STATUS OUTPUT COMMAND…: exactly that output, and nothing on stderr when STATUS is 0.
expect() {
	local expected_status=$1 expected=$2
	shift 2
	run "$@"
	[ "$status" = "$expected_status" ] || fail "$* ended with $status, not $expected_status: $out $err"
	[ "$out" = "$expected" ] || fail "$* printed
$out
instead of
$expected"
	if [ "$expected_status" -eq 0 ] && [ -n "$err" ]; then fail "$* said: $err"; fi
}

# refuse STATUS PATTERN COMMAND…: fails so, prints nothing, and says something that the pattern (of grep -E) matches.
refuse() {
	local expected_status=$1 pattern=$2
	shift 2
	run "$@"
	[ "$status" = "$expected_status" ] || fail "$* ended with $status, not $expected_status: $out $err"
	[ -z "$out" ] || fail "$* failed, and printed: $out"
	grep -Eq -- "$pattern" "$work/err" || fail "$* said \"$err\", which lacks \"$pattern\""
}

finish_script() {
	[ "$failures" -eq 0 ] || echo "$failures failures; seed $seed"
	exit $((failures > 0))
}
