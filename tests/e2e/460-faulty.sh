#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every command when a call to a library fails: no memory, no descriptor, a disk or a map that
# cannot be read. It ends with a documented status, says why when that is an error, and neither
# crashes nor hangs; what is in force stays. SMTPWALL_TEST_LONG=1: every place where a call may
# fail, else about TRIES of each command.
# shellcheck disable=SC2016 # the inner shell expands them

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
[[ -r $build/faulty.so ]] || bail_out "$build/faulty.so is not there: make tests"

tries=6
[[ -z ${SMTPWALL_TEST_LONG-} ]] || tries=100000

mkdir -p "$tmp/web/site"
chmod -R a+rx "$tmp/web"
config "[policy]
mode = enforce
[domains]
root = $PWD/tests/fixtures/panels/cpanel
[allow]
rule = user 61010 to 203.0.113.7 port 25
[limit]
default = 1000/hour"
run "$smtpwall" apply
check "apply" exits 0
as "$account" bash -c 'cd "$0" && for i in 1 2 3 4 5; do echo >/dev/tcp/203.0.113.$i/25; done' \
	"$tmp/web/site" 2>/dev/null
as 61011 bash -c 'echo >/dev/tcp/203.0.113.9/25' 2>/dev/null
before=$(generation)

# faulty PLACE COMMAND...: its status is that of smtpwall.
faulty() {
	local place=$1
	shift
	run env FAULT_PLACE="$place" FAULT_COUNT="$tmp/places" LD_PRELOAD="$build/faulty.so" \
		timeout --kill-after=1 20 "$smtpwall" "$@"
}

# A status that smtpwall(8) lists, and an error has a text.
ended_well() {
	case $status in
	0 | 1) ;;
	2 | 3) [[ $err == *smtpwall:* || $err == *"$tmp"* ]] ;;
	*) false ;;
	esac
}

# every COMMAND...: its places, or TRIES of them.
every() {
	local n place step wrong=''

	faulty 0 "$@"
	n=$(<"$tmp/places")
	step=$(((n + tries - 1) / tries))
	for ((place = 1; place <= n; place += step)); do
		faulty "$place" "$@"
		ended_well || wrong+=" $place:$status:${err:0:100}"
	done
	check "$*: $n places" is "$wrong" ''
}

every report
every report --all --by directory --format json
every report --by domain --format html
every report --all --uid "$account" --format csv
every events --format json
every status
every status --format json
every metrics
every suggest
every explain --uid "$account" --dest 203.0.113.7
every top --once --interval 0.25
every domains --format json
every domains "$tmp/web/site"
every deny 61012 --for 10m
every release 61012
every verify
every queue --mta exim --spool tests/fixtures/queue/exim --format json
every queue --mta exim --spool tests/fixtures/queue/exim-split --by script
every queue --mta postfix --spool tests/fixtures/queue/postfix --by sender --format csv
every import csf tests/fixtures/csf/cpanel
every apply --check
check "it is the same policy" is "$(generation)" "$before"
every apply
run "$smtpwall" apply
check "apply, with nothing wrong" exits 0
run "$smtpwall" verify
check "and it enforces" exits 0
done_testing
