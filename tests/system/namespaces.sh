# namespaces.sh: a systemd of one's own, in fresh namespaces, for tests that are shell scripts. Sourced, after `set -u`.
#
#     boot_systemd                       installs the build tree and boots; skips the test (77, with the reason) where that cannot be
#     inside COMMAND…                    runs it there, as root
#
# What is booted sees the host's /usr read-only, the installed files, the build tree read-only, and nothing else of the host's: all other
# directories are its own and in memory, as are its processes, mounts, network, and control groups (tests/system/boot). The host is left
# as it was: the namespaces end with their process 1, that ends with this script (however it ends), and a process that waits for the
# end of this script then removes directory and control group.
# shellcheck shell=bash

: "${top_srcdir:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
build=${EMS_BUILD_DIR:-$top_srcdir/build}
case $build in /*) ;; *) build=$top_srcdir/$build ;; esac
PATH=$PATH:/usr/sbin:/sbin
init=
failures=0

skip() {
	printf 'skipped: %s\n' "$*"
	exit 77
}

fail() {
	printf 'FAILED: %s\n' "$*"
	failures=$((failures + 1))
}

say() {
	printf -- '---- %s\n' "$*"
}

# eventually COMMAND…: waits until it succeeds; nothing tells when. Fails after a minute.
eventually() {
	local end=$((SECONDS + 60))
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || { fail "never: $*"; return 1; }
		sleep 0.02
	done
}

inside() {
	nsenter --target "$init" --mount --pid --ipc --uts --net --cgroup --root --wd -- \
		env -i PATH="$installed_path" HOME=/root EMS_AUTOSTART=0 EMS_BUILD_DIR="$build" top_srcdir="$top_srcdir" \
		top_builddir="$build" LD_LIBRARY_PATH="$build/.libs" CK_DEFAULT_TIMEOUT="${CK_DEFAULT_TIMEOUT-120}" \
		ASAN_OPTIONS="${ASAN_OPTIONS-}" "$@" 9>&-
}

# program NAME: the program itself of the build tree, not libtool's wrapper, which would write there.
program() {
	local directory=$build/${1%/*}
	[ "${1%/*}" != "$1" ] || directory=$build
	if [ -x "$directory/.libs/${1##*/}" ]; then echo "$directory/.libs/${1##*/}"; else echo "$build/$1"; fi
}

# attach COMMAND…: starts tests/system/attached, by the command; its process is $client, and tell talks to it. One at a time.
attach() {
	local word
	# shellcheck disable=SC2034 # a name that coproc wants
	coproc ATTACHED { if [ "$(type -t "$1")" = file ]; then exec "$@"; else "$@"; fi; }
	client=$ATTACHED_PID
	exec {to_client}>&"${ATTACHED[1]}" {from_client}<&"${ATTACHED[0]}"
	eval "exec ${ATTACHED[1]}>&- ${ATTACHED[0]}<&-"
	read -r -t 60 -u "$from_client" word && [ "$word" = attached ] || fail "$*: $word"
}

# tell WORD [EXPECTED]: what it answers is $answer, and must match the extended regular expression.
tell() {
	answer=
	echo "$1" >&"$to_client"
	hear "${2-}" "$1"
}

# hear EXPECTED [WORD]: its next line.
hear() {
	answer=
	read -r -t 60 -u "$from_client" answer || fail "${2-a client} has no answer"
	[[ $answer =~ ^(${1:-.*})$ ]] || fail "${2-a client}: the client said \"$answer\" instead of \"$1\""
}

detach() {
	exec {to_client}>&- {from_client}<&-
	wait "$client" 2>/dev/null
}

make_variable() {
	sed -n "s/^$1 = //p" "$build/Makefile"
}

# Waits for the end of its standard input, which is that of the script, and cleans up.
# shellcheck disable=SC2016 # not for this shell
cleaner='
	read -r _
	tries=0
	rmdir "$1/cgroup" "$1/root" 2>/dev/null
	while [ "$tries" -lt 200 ]; do
		unshare --mount sh -c '\''
			mkdir -p "$1/cgroup" && mount -t cgroup2 none "$1/cgroup" 2>/dev/null || exit 0
			find "$1/cgroup" -depth -type d -path "*/${1##*/}*" -exec rmdir {} + 2>/dev/null
			[ -z "$(find "$1/cgroup" -type d -name "${1##*/}" 2>/dev/null)" ]'\'' sh "$1" && break
		tries=$((tries + 1))
		sleep 0.05
	done
	rm -rf --one-file-system "$1"
'

end_systemd() {
	[ -z "$unshare" ] || kill -KILL "$unshare" 2>/dev/null
	[ -z "$unshare" ] || wait "$unshare" 2>/dev/null
	exec 9>&-
	wait "$guardian" 2>/dev/null
}

boot_systemd() {
	local tool system=
	unshare='' guardian=''
	[ "$(id -u)" -eq 0 ] || skip "booting a systemd takes root"
	for tool in unshare nsenter setpriv pivot_root setsid systemctl systemd-analyze systemd-sysusers journalctl; do
		command -v "$tool" >/dev/null || skip "$tool is not installed"
	done
	for tool in /usr/lib/systemd/systemd /lib/systemd/systemd; do
		[ ! -x "$tool" ] || system=$tool
	done
	[ -n "$system" ] || skip "systemd is not installed"
	# The unit's sandbox hides /tmp and /home, and the source is mounted where it is: as in distcheck, which installs below that.
	case $(make_variable prefix) in
	/usr | /usr/* | /opt/*) ;;
	*) skip "it is for $(make_variable prefix), where the unit's sandbox need not let it run; with a prefix in /usr it is tested" ;;
	esac
	unshare --mount --pid --ipc --uts --net --cgroup --fork true 2>/dev/null ||
		skip "namespaces are not allowed here: $(unshare --mount --pid --ipc --uts --net --cgroup --fork true 2>&1)"

	work=$(mktemp -d /tmp/ems-system.XXXXXX) || exit 1
	exec 9> >(exec setsid sh -c "$cleaner" sh "$work")
	guardian=$!
	trap end_systemd EXIT
	trap 'exit 1' INT TERM HUP
	mkdir "$work/root" "$work/installed" "$work/cgroup"
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C "$build" install DESTDIR="$work/installed" >"$work/install.log" 2>&1 ||
		{ cat "$work/install.log"; fail "make install"; exit 1; }

	installed_path=$(make_variable prefix)/sbin:$(make_variable prefix)/bin:/usr/sbin:/usr/bin:/sbin:/bin
	setpriv --pdeathsig KILL unshare --pid --fork --mount --ipc --uts --net --kill-child=SIGKILL bash "$top_srcdir/tests/system/boot" "$work" \
		"$(make_variable prefix)" "$system" "$build" "$(cd "$top_srcdir" && pwd)" "${EMS_SANITIZERS-}" \
		>"$work/boot.log" 2>&1 9>&- &
	unshare=$!
	eventually booted || { cat "$work/boot.log"; exit 1; }
}

# The first process is in place, and systemd says that it has come up. A place where it cannot is no failure of ours.
booted() {
	if ! kill -0 "$unshare" 2>/dev/null; then
		wait "$unshare"
		[ $? -ne 77 ] || skip "$(tail -n 1 "$work/boot.log")"
		cat "$work/boot.log"
		fail "systemd has ended"
		exit 1
	fi
	init=$(tr -d ' ' <"/proc/$unshare/task/$unshare/children" 2>/dev/null)
	[ -n "$init" ] && [ "$(cat "/proc/$init/comm" 2>/dev/null)" = systemd ] &&
		inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'
}
