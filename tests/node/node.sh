# Sourced by the tests of contrib/node: runs node's own test runner over files of this folder, with a private emsd.
# shellcheck shell=bash

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ ! -e "$EMS_BUILD_DIR/contrib/node/ems/ems.node" ]; then
	echo "the package for Node.js is not built here (see configure's summary)"
	exit 77
fi

node_tests() {
	local one
	for one; do set -- "$@" "$here/$one"; shift; done
	# For the trap as well. Arrays' files, if any, are relative to the working directory.
	work=$(mktemp -d "${TMPDIR-/tmp}/ems-node.XXXXXX") || exit 1
	trap 'rm -rf "$work"' EXIT
	cd "$work" || exit 1
	"$here/../../contrib/devenv" "${EMS_NODE:-node}" --test "$@"
}
