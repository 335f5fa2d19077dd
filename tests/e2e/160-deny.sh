#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# deny and release: an account loses all SMTP for a time, whatever the configuration allows it, and
# gets it back; by hand, or after it exceeded a limit.
# shellcheck disable=SC2016,SC2034 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq
id daemon >/dev/null 2>&1 || skip_all "there is no account daemon"
lab
ruled=61003	# an allow rule lets it through
limited=61004	# so does another one, up to a limit
local_port=$((20000 + $$ % 10000))

# A mail server on this machine, which everybody may use.
mkfifo "$tmp/local"
"$build/smtpd" 127.0.0.1 "$local_port" >"$tmp/local" &
local_pid=$!
at_exit 'kill "$local_pid" 2>/dev/null; wait "$local_pid" 2>/dev/null'
exec {local_out}<"$tmp/local"
read -r -t 30 -u "$local_out" line || bail_out "no SMTP server on this machine"

# configure MODE [LINE...]: with rules for both, and these lines of [limit].
configure() {
	config "[policy]
mode = $1
count_ports = $local_port
[exempt]
groups = $(id -g daemon)
[allow]
rule = user $ruled to $server
rule = user $limited to $server
[limit]
${2-}"
}

try_local() {
	run as "$1" bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" && read -r -t 10 line <&3 &&
		echo "$line"' "$local_port"
}

# denied FILTER: of the list in status, as JSON; one value.
denied() { "$smtpwall" status --format json | jq -c "[.denied[] | $1]"; }

counted() { "$smtpwall" report --all --format json | jq ".rows[] | select(.uid == $1) | .$2"; }

# becomes_open UID: it gets through again, within some time.
# shellcheck disable=SC2317 # called by check
becomes_open() {
	local tries=0
	until try "$1" && greeted; do
		((++tries < 200)) || return 1
		sleep 0.05	# there is no event to wait for: the kernel only compares times
	done
}

run "$smtpwall" deny "$account"
fails "nothing in force: deny" 3 "smtpwall apply"
run "$smtpwall" release "$account"
fails "nothing in force: release" 3 "smtpwall apply"
configure enforce
run "$smtpwall" apply
try "$ruled"
check "allowed by a rule: it gets through" greeted
try_local "$ruled"
check "to this machine: it gets through" greeted
check "nobody is denied" is "$(denied .uid)" '[]'

# ---- Nothing is changed by mistakes ----

run "$smtpwall" deny
fails "deny without a user" 2 "needs a user"
run "$smtpwall" deny no-such-user
fails "an unknown user" 2 "'no-such-user'" "nothing was changed"
run "$smtpwall" deny "$ruled" no-such-user
fails "one known, one unknown" 2 "'no-such-user'" "nothing was changed"
run "$smtpwall" deny 61001
fails "an exempt account" 2 "61001" "exempt" "--force"
run "$smtpwall" deny daemon
fails "an account whose group is exempt" 2 "daemon" "exempt"
run "$smtpwall" deny "$ruled" root
fails "one exempt among them" 2 "root" "nothing was changed"
for time in 0s 10 2x -1h '' 400d; do
	run "$smtpwall" deny "$ruled" --for "$time"
	fails "--for '$time'" 2 "'$time'"
done
run "$smtpwall" release
fails "release without a user" 2 "needs a user"
run "$smtpwall" release no-such-user
fails "release of an unknown user" 2 "'no-such-user'"
check "still nobody is denied" is "$(denied .uid)" '[]'
try "$ruled"
check "and it still gets through" greeted

# ---- Until it is released ----

run "$smtpwall" deny "$ruled"
check "denied: exit status 0, one line" exits 0 1
check "denied: says for how long" has "$err" "$ruled) is denied until it is released"
try "$ruled"
check "denied: in spite of its rule" refused "Connection refused"
try_local "$ruled"
check "denied: to this machine too" refused "Connection refused"
try "$limited"
check "denied: nobody else" greeted
check "denied: in status" is "$(denied '[.uid, .left, .by]')" "[[$ruled,null,\"hand\"]]"
run "$smtpwall" status
check "denied: in status for people" has "$out" "($ruled) until released, by hand"
check "denied: status is healthy" exits 0
run "$smtpwall" explain --uid "$ruled" --dest "$server" --format tsv
check "denied: explain says so" has "$out" $'deny\tdeny\tdenied-now'
run "$smtpwall" explain --uid "$ruled" --dest 127.0.0.1 --port "$local_port" --format tsv
check "denied: explain says so of this machine" has "$out" $'deny\tdeny\tdenied-now'
check "denied: counted" is "$(counted "$ruled" denied)" 2

configure enforce $'default = 1000/day'
run "$smtpwall" apply
check "denied: apply" exits 0
try "$ruled"
check "denied: an apply does not end it" refused "Connection refused"
run "$smtpwall" deny "$ruled" --for 1h
check "denied: for a time instead" eval '(($(denied .left | tr -d "[]") > 3500))'

run "$smtpwall" release "$ruled"
check "released: exit status 0, one line" exits 0 1
check "released: says so" has "$err" "no longer denied"
check "released: not in status" is "$(denied .uid)" '[]'
try "$ruled"
check "released: it gets through" greeted
try_local "$ruled"
check "released: to this machine too" greeted
run "$smtpwall" release "$ruled"
check "released: a second time there is nothing to do" exits 0 1
check "released: and it says so" has "$err" "nothing to release"

# ---- For a time ----

run "$smtpwall" deny "$ruled" "$limited" --for 2s
check "for 2 s: exit status 0, a line for each" exits 0 2
try "$ruled"
check "for 2 s: the first is denied" refused "Connection refused"
try "$limited"
check "for 2 s: the second too" refused "Connection refused"
check "for 2 s: it ends by itself" becomes_open "$ruled"
check "for 2 s: for both" becomes_open "$limited"
check "for 2 s: nobody is left in status" is "$(denied .uid)" '[]'

# ---- An exempt account, on purpose ----

run "$smtpwall" deny 61001 --force
check "exempt, forced: exit status 0" exits 0
try 61001
check "exempt, forced: it is denied" refused "Connection refused"
try 0
check "exempt, forced: nobody else is" greeted
run "$smtpwall" release 61001
try 61001
check "exempt, released: it gets through" greeted

# ---- Mode observe ----

configure observe
run "$smtpwall" apply
run "$smtpwall" deny "$ruled"
check "observe: exit status 0" exits 0
check "observe: says that nothing is denied" has "$err" "the mode is observe"
before=$(counted "$ruled" would_deny)
try "$ruled"
check "observe: it gets through" greeted
check "observe: and is counted" is "$(counted "$ruled" would_deny)" "$((before + 1))"
configure enforce
run "$smtpwall" apply
try "$ruled"
check "observe no more: it is denied" refused "Connection refused"
run "$smtpwall" release "$ruled"

# ---- After a limit ----

configure enforce "user $limited = 2/day
deny_for = 1h"
run "$smtpwall" apply
"$smtpwall" release "$limited" --quiet
for n in 1 2; do
	try "$limited"
	check "limit: number $n gets through" greeted
done
try_local "$limited"
check "limit: local connects are free" greeted
try "$limited"
check "limit: number 3 does not" refused "Connection refused"
check "limit: it is limited, not denied" is "$(counted "$limited" limited)" 1
try_local "$limited"
check "limit: from then on it is denied" refused "Connection refused"
check "limit: in status" is "$(denied '[.uid, .by]')" "[[$limited,\"limit\"]]"
run "$smtpwall" release "$limited"
check "limit: released from both" has "$err" "no longer denied, the windows of its limit are empty"
for n in 1 2; do
	try "$limited"
	check "limit: after that number $n gets through" greeted
done
try "$limited"
check "limit: and again no more" refused "Connection refused"

run "$smtpwall" off
run "$smtpwall" apply
check "off forgets all of it" is "$(denied .uid)" '[]'
done_testing
