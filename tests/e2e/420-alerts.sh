#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Alerts of the daemon: the command and the log are told within seconds, and a sink that hangs or
# fails delays nothing.
# shellcheck disable=SC2016,SC2317 # eval and at_exit expand later; check calls

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq setpriv
other=61010	# another account, as little exempt

cat >"$tmp/sink" <<END
#!/bin/sh
cat >>"$tmp/told"
echo >>"$tmp/told"
END
cat >"$tmp/hangs" <<END
#!/bin/sh
echo started >>"$tmp/told"
exec sleep 600
END
chmod 755 "$tmp/sink" "$tmp/hangs"
: >"$tmp/told"

# try UID N: that many connects; bound to loopback, so that nothing leaves the machine.
try() {
	run as "$1" bash -c 'for ((i = 0; i < $1; i++)); do { : 3<>/dev/tcp/203.0.113.9/25; }; done' bash "$2"
}

told() { jq -se "map(.alerts[]) | $1" "$tmp/told" >/dev/null 2>&1; }
now() { "$smtpwall" status --format json | jq -r "$1"; }
later_than() { [[ $(now .monitor.updated) > $1 ]]; }
now_is() { [[ $(now "$1") == "$2" ]]; }
start_monitor() {
	"$smtpwall" monitor --user nobody 2>"$tmp/log" &
	monitor=$!
	within 30 log_has "watching generation" || bail_out "the monitor does not start"
}

config "[alerts]
rule = denied 5/60s
cooldown = 1h
command = $tmp/sink"
run "$smtpwall" apply
start_monitor
at_exit 'kill "$monitor" 2>/dev/null; wait "$monitor" 2>/dev/null'

try "$account" 4
try "$other" 5
check "five of an account: told within seconds" within 10 told 'any(.uid == '"$other"')'
check "four: nobody is told" told 'all(.uid != '"$account"')'
check "what is told: count, metric, rule" told \
	'.[0] | .metric == "denied" and .count == 5 and (.rule | contains("denied"))'
check "what is told: where" told ".[0].directory == \"$PWD\""
try "$account" 1
check "the fifth: told" within 10 told 'any(.uid == '"$account"')'
try "$other" 20
try "$account" 20
check "cool-down: status counts what was held back" within 30 now_is '.monitor.alerts_held > 0' true
check "cool-down: told once each" told 'length == 2'
check "status: how many were sent" within 30 now_is .monitor.alerts_sent 2

# A refresh makes another generation of the same configuration: the engine must not begin anew.
try 61011 4
run "$smtpwall" apply
try 61011 1
check "an apply between four and five: told all the same" within 10 told 'any(.uid == 61011)'

: >"$tmp/told"
config "[alerts]
rule = denied 5/60s
cooldown = 1h
command = $tmp/hangs"
run "$smtpwall" apply
check "another configuration: read anew" within 30 log_has "watching generation 3"
# The rule is the same, and has told whom it is about: others from here on.
check "the same configuration: was not" lacks "$(<"$tmp/log")" "watching generation 2"
try 61015 5
check "a command that hangs: was started" within 10 grep -q started "$tmp/told"
try 61016 5
at=$(now .monitor.updated)
check "a command that hangs: the monitor goes on" within 40 later_than "$at"

: >"$tmp/told"
printf '#!/bin/sh\nexit 7\n' >"$tmp/fails"
chmod 755 "$tmp/fails"
config "[alerts]
rule = denied 5/60s
cooldown = 1h
command = $tmp/fails"
run "$smtpwall" apply
within 30 log_has "watching generation 4"
try 61017 5
check "a command that fails: status counts it" within 60 now_is '.monitor.alerts_failed > 0' true
check "a command that fails: status says so" within 60 now_is '.monitor.error | contains("command failed")' true
check "enforcement is healthy all the same" now_is .healthy true
kill -TERM "$monitor"
wait "$monitor"
check "SIGTERM: exit status 0" is $? 0

# ---- Over a restart ----

# An hour may end in between: then more of them count in the next one, or there are two alerts.
hour() { date +%H; }
kill_monitor() {
	kill -KILL "$monitor" "$(pgrep -P "$monitor" -u nobody)"
	wait "$monitor" 2>/dev/null
}
: >"$tmp/told"
config "[alerts]
rule = denied 500/hour
cooldown = 1h
command = $tmp/sink"
run "$smtpwall" apply
start_monitor
began=$(hour)
try 61012 260
try 61013 200
kill_monitor
try 61012 235
start_monitor
# 495 of this hour, if it is still the same.
sleep 2
check "restart: nobody is told too early" told 'length == 0'
try 61012 5
if [[ $(hour) == "$began" ]]; then
	check "half before a kill, half after it: told" within 10 told 'any(.uid == 61012)'
	check "restart: the count is that of the hour" told '.[0].count == 500'
else
	try 61012 495
	check "half before a kill, half after it: told" within 10 told 'any(.uid == 61012)'
fi
check "restart: nobody else" told 'all(.uid == 61012)'
began=$(hour)
within 10 grep -q 61012 "$SMTPWALL_STATE_DIR/history/alerts.json"
check "told: is written down" grep -q 61012 "$SMTPWALL_STATE_DIR/history/alerts.json"
kill_monitor
start_monitor
try 61012 500
try 61014 500
check "another kill: others are told" within 10 told 'any(.uid == 61014)'
[[ $(hour) != "$began" ]] ||
	check "another kill: not the same again" told '[.[] | select(.uid == 61012)] | length == 1'
kill -TERM "$monitor"
wait "$monitor"
done_testing
