#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# events while the monitor reads the kernel's buffer: from its history, as often as one asks, with the
# same columns; and from the buffer again once the monitor is dead.
# shellcheck disable=SC2016,SC2034,SC2317 # eval and at_exit expand later; check calls

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq

mkdir -p "$tmp/root/etc" "$tmp/web/shop" "$tmp/web/bob"
cat >"$tmp/root/etc/passwd" <<-END
	root:x:0:0::/root:/bin/bash
	alice:x:61009:61009::$tmp/web:/bin/bash
	bob:x:61010:61010::/nonexistent:/bin/bash
END
printf '%s\n' 'shop.example: alice' 'bob.example: bob' >"$tmp/root/etc/trueuserdomains"
printf '%s\n' "shop.example: alice==root==main==x==$tmp/web/shop==" \
	"www.shop.example: alice==root==parked==x==$tmp/web/shop==" \
	"bob.example: bob==root==main==x==$tmp/web/bob==" >"$tmp/root/etc/userdatadomains"
evil=$'a\n\033[31m"\xe2\x80\xae\xff'
mkdir "$tmp/web/shop/$evil"
chmod -R a+rx "$tmp/web"

# attempt UID DIRECTORY ADDRESS PORT [TITLE]
attempt() {
	as "$1" bash -c 'cd "$0" && exec -a "${3:-worker}" bash -c "echo >/dev/tcp/$1/$2"' \
		"$2" "$3" "$4" "${5:-}" 2>/dev/null
}
monitor=
start_monitor() {
	"$smtpwall" monitor --user nobody >/dev/null 2>"$tmp/log" &
	monitor=$!
	within 60 log_has "watching generation"
}
kill_monitor() {
	local worker
	worker=$(pgrep -P "$monitor" -u nobody)
	# shellcheck disable=SC2086 # none, or one
	kill -KILL "$monitor" $worker
	wait "$monitor" 2>/dev/null
	monitor=
	[[ -z $worker ]] || timeout 30 tail --pid="$worker" -f /dev/null
}
at_exit '[[ -z $monitor ]] || { kill "$monitor"; wait "$monitor"; } 2>/dev/null'
events() { run "$smtpwall" events "$@"; }
# seen ARGUMENT...: the last part of the destinations.
seen() {
	"$smtpwall" events --quiet --format json "$@" | jq -r .destination | sed 's/.*[.:]//' | tr -d '\n'
}
seen_is() { [[ $(seen "${@:2}") == "$1" ]]; }

config "[policy]
mode = enforce
deny_ports = 25 2525
[domains]
root = $tmp/root"
run "$smtpwall" apply
check "apply" exits 0

# The same attempt as the kernel's buffer has it, to compare with.
attempt 61009 "$tmp/web/shop/$evil" 203.0.113.1 25 $'php-fpm: \033]0;x\a pool'
events --format json
live=$out
[[ -n $live ]] || "$smtpwall" status --format json | jq -c '"# no event: \(.events)"'
check "live: one" is "$(seen)$(jq -s length <<<"$live")" 1

check "the monitor starts" start_monitor
attempt 61009 "$tmp/web/shop/$evil" 203.0.113.1 25 $'php-fpm: \033]0;x\a pool'
check "with the monitor: what was denied" within 60 seen_is 1
events --format json
kept=$out
check "json: exit status 0" exits 0 1
check "json: says where it is from" has "$err" "ones that it has kept"
check "json: the same columns, in their order" is "$(jq -c keys_unsorted <<<"$kept")" \
	"$(jq -c keys_unsorted <<<"$live")"
others='del(.time, .pid, .ppid)'
check "json: the same, but time and process" is "$(jq -c "$others" <<<"$kept")" \
	"$(jq -c "$others" <<<"$live")"
check "json: process and parent" is "$(jq -c '[.pid > 1, .ppid > 1]' <<<"$kept")" '[true,true]'
check "json: no control character" eval '! grep -q "[[:cntrl:]]" <<<"$kept"'
events --format json
check "again: the same, nothing is consumed" is "$out" "$kept"

attempt 61010 "$tmp/web/bob" 2001:db8::2 2525
check "oldest first" within 60 seen_is 12
check "--once" is "$(seen --once)" 12
check "--uid" is "$(seen --uid 61010)" 2
check "--domain" is "$(seen --domain shop.example)" 1
check "--domain by an alias" is "$(seen --domain www.shop.example)" 1
check "--port" is "$(seen --port 2525)" 2
check "--verdict" is "$(seen --verdict deny,limited)" 12
check "--verdict of others" is "$(seen --verdict observe)" ''
check "--since" is "$(seen --since 1h),$(seen --since 2099-01-01)" 12,
events
check "text: exit status 0, two lines" eval 'exits 0 1 && is "$(wc -l <<<"$out")" 2'
check "text: the sentence" has "$out" "DENIED alice (61009) to 203.0.113.1:25 in $tmp/web/shop/a\\x0a"
check "text: no control character" eval '! grep -q "[[:cntrl:]]" <<<"$out"'
events --quiet --format tsv
check "tsv: 24 columns, no message" eval 'exits 0 0 && is "$(awk -F "\t" "{ print NF }" <<<"$out" | uniq)" 24'
events --format csv
check "csv: a head and two rows" eval 'has "$out" time,uid,user, && is "$(wc -l <<<"$out")" 3'

# Names of the time, not of now.
sed -i '/^alice/d' "$tmp/root/etc/passwd"
printf '%s\n' 'bob.example: bob' >"$tmp/root/etc/trueuserdomains"
events --format json
check "names of then" is "$(jq -r .domain <<<"$out" | paste -sd ,)" shop.example,bob.example

mkfifo "$tmp/feed" "$tmp/text"
"$smtpwall" events --follow --quiet --format json >"$tmp/feed" 2>"$tmp/follow.err" &
follow_pid=$!
"$smtpwall" events --follow --port 2525 >"$tmp/text" 2>/dev/null &
text_pid=$!	# at_exit ends it
at_exit 'kill "$follow_pid" "$text_pid" 2>/dev/null; wait "$follow_pid" "$text_pid"'
exec {feed}<"$tmp/feed" {text}<"$tmp/text"
# followed FD: the next line.
followed() { IFS= read -r -t 60 -u "$1" line || line=''; }
followed "$feed"
check "--follow: what is there" is "$(jq -r .destination <<<"$line")" 203.0.113.1
followed "$feed"
followed "$text"
check "--follow in text: filtered" has "$line" "[2001:db8::2]:2525"
attempt 61009 "$tmp/web/shop" 203.0.113.3 25
attempt 61009 "$tmp/web/shop" 203.0.113.4 2525
followed "$feed"
check "--follow: what comes" is "$(jq -r .destination <<<"$line")" 203.0.113.3
followed "$feed"
check "--follow: and then" is "$(jq -r .destination <<<"$line")" 203.0.113.4
followed "$text"
check "--follow in text: what comes, filtered" has "$line" "203.0.113.4:2525"
check "two of them, and a third" is "$(seen)" 1234

run "$smtpwall" off
check "off" exits 0
status=0
timeout 60 tail --pid="$follow_pid" -f /dev/null || status=$?
wait "$follow_pid" || status+=$?
check "--follow ends with what it followed, exit status 1" is "$status" 01
check "--follow: and says why" has "$(<"$tmp/follow.err")" "no more events"
check "--follow: each event once" eval '! IFS= read -r -t 5 -u "$feed" line'
events
fails "nothing in force" 3 "nothing is in force"

run "$smtpwall" apply
check "applied again: the monitor reads on" within 60 eval \
	'(($(grep -c "watching generation" "$tmp/log") > 1))'
check "applied again: what was kept" is "$(seen)" 1234
kill_monitor
attempt 61010 "$tmp/web/bob" 203.0.113.5 25
check "monitor dead: what waits in the buffer" is "$(seen)" 5
check "monitor dead: each is shown once" is "$(seen)" ''

"$smtpwall" events --follow >/dev/null 2>&1 &
other_pid=$!
at_exit 'kill "$other_pid" 2>/dev/null; wait "$other_pid"'
# Asked with `events` it might itself be found reading by the other one, which would give up.
check "another reader reads" within 60 grep -q "FLOCK .* $other_pid " /proc/locks
events
fails "another reader keeps nothing" 3 "process $other_pid reads the events"
kill "$other_pid"
wait "$other_pid" 2>/dev/null

config "[policy]
mode = enforce
[history]
days = 0"
run "$smtpwall" apply
check "a monitor without a history starts" start_monitor
events
fails "a monitor without a history" 3 "reads the events" "only once"
done_testing
