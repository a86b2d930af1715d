# python.sh: how the tests of contrib/python are run. Sourced by scripts that then call run_tests NAME…
# shellcheck shell=bash

if [ -z "${EMS_PYTHON-}" ]; then
	echo "skipped: configure found no Python with headers, or --with-python=no was given"
	exit 77
fi
: "${top_srcdir:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
export top_srcdir

# A sanitizer has to be in the process before the module is. Python itself leaves memory to the end of the process.
preload=
case ${EMS_SANITIZERS-no} in
*thread*)
	echo "skipped: the thread sanitizer knows nothing of Python's lock"
	exit 77
	;;
*address*)
	preload=$(${CC:-cc} -print-file-name=libasan.so)
	export ASAN_OPTIONS=detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
	;;
esac
case ${EMS_SANITIZERS-no} in
*undefined*) preload=${preload:+$preload:}$(${CC:-cc} -print-file-name=libubsan.so) ;;
esac

# run_tests PATTERN…: of the modules beside this file.
run_tests() {
	local pattern failed=0
	for pattern in "$@"; do
		"$top_srcdir/contrib/devenv" env ${preload:+LD_PRELOAD="$preload"} PYTHONDONTWRITEBYTECODE=1 \
			"$EMS_PYTHON" -X dev -X faulthandler -m unittest discover -v -s "$top_srcdir/tests/python" -p "$pattern" || failed=1
	done
	exit "$failed"
}
