#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run: shows denied connects as they happen, follows this machine's addresses, and takes everything
# down when it is interrupted or when nobody reads its output any more.
# shellcheck disable=SC2016 # at_exit expands its text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need ip nsenter
config $'[policy]\nmode = enforce'

# A network of its own, whose addresses may come and go.
ip netns add "swrun$$" || exit 99
at_exit 'ip netns delete "swrun$$"'
ip -n "swrun$$" link set lo up

# start_run [ARGUMENT...]: in the background; its output is read from descriptor $feed.
start_run() {
	mkfifo "$tmp/feed"
	nsenter --net="/run/netns/swrun$$" "$smtpwall" run "$@" >"$tmp/feed" 2>"$tmp/run.err" &
	run_pid=$!
	exec {feed}<"$tmp/feed"
	rm "$tmp/feed"
	IFS= read -r -t 60 -u "$feed" line || line=''
}
at_exit '[[ -z ${run_pid:-} ]] || kill -TERM "$run_pid" 2>/dev/null; wait'

end_run() {
	kill "-$1" "$run_pid"
	status=0
	wait "$run_pid" || status=$?
	run_pid=''
}

verdict_for() { "$smtpwall" explain --uid "$account" --dest "$1" --format tsv | cut -f 1; }

# becomes ADDRESS VERDICT: the live policy comes to say so, within ten seconds.
# shellcheck disable=SC2317 # called by check
becomes() {
	local tries=0
	until [[ $(verdict_for "$1") == "$2" ]]; do
		((++tries < 200)) || return 1
		sleep 0.05	# there is no event to wait for: the program is asked again
	done
}

start_run
check "run says that the policy is in force" has "$line" "in force: mode enforce"
run "$smtpwall" status
check "and status agrees" exits 0

run as "$account" bash -c 'cd / && echo > /dev/tcp/192.0.2.1/25'
check "a connect of an ordinary account is refused" refused "Connection refused"
IFS= read -r -t 30 -u "$feed" line || line=''
check "and shown: what happened" has "$line" "DENIED uid $account to 192.0.2.1:25"
check "and shown: where" has "$line" "in / by"

for address in 203.0.113.201/32 2001:db8:99::1/128; do
	bare=${address%/*}
	check "$bare is another machine" is "$(verdict_for "$bare")" deny
	ip -n "swrun$$" address add "$address" dev lo nodad 2>/dev/null ||
		ip -n "swrun$$" address add "$address" dev lo
	check "$bare was added: it is this machine" becomes "$bare" allow
	ip -n "swrun$$" address delete "$address" dev lo
	check "$bare was removed: it is another machine again" becomes "$bare" deny
done

# Without any address left, none may stay behind as local: that would let connects through.
ip -n "swrun$$" address add 203.0.113.202/32 dev lo
check "203.0.113.202 was added" becomes 203.0.113.202 allow
ip -n "swrun$$" address flush dev lo
check "all addresses were removed: it is another machine again" becomes 203.0.113.202 deny

run "$smtpwall" run
check "a second run refuses to start" exits 1 1
check "and says why" has "$err" "in force already"

end_run INT
check "interrupted: exit status 0" is "$status" 0
check "interrupted: nothing is left" eval '[[ ! -e $SMTPWALL_PIN_DIR ]]'
run as "$account" bash -c 'exec 3<>/dev/tcp/127.0.0.1/1'
check "interrupted: other connects are as they were" refused "Connection refused"

start_run --observe
check "run --observe says so" has "$line" "in force: mode observe"
exec {feed}<&-
run nsenter --net="/run/netns/swrun$$" bash -c 'echo $$ >"$1/cgroup.procs" &&
	exec setpriv --reuid "$2" --regid "$2" --clear-groups bash -c "echo > /dev/tcp/192.0.2.1/25"' \
	bash "$cgroup" "$account"
check "observe: the connect goes past the hooks" has "$err" "Network is unreachable"
status=0
timeout 30 tail --pid="$run_pid" -f /dev/null || status=$?
check "nobody reads the feed: run ends" is "$status" 0
run_pid=''
check "nobody reads the feed: nothing is left" eval '[[ ! -e $SMTPWALL_PIN_DIR ]]'
done_testing
