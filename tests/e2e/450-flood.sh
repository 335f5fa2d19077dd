#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon while one account connects as fast as it can for half a minute: little of one core and
# of memory, a history that is exact, and others' alerts as soon as ever.
# shellcheck disable=SC2016,SC2317 # eval and at_exit expand later; check calls

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq perl setpriv
other=61010
seconds=30

cat >"$tmp/sink" <<END
#!/bin/sh
cat >>"$tmp/told"
END
chmod 755 "$tmp/sink"
: >"$tmp/told"
config "[alerts]
rule = denied 5/60s
cooldown = 1h
command = $tmp/sink"
run "$smtpwall" apply

told() { jq -se "map(.alerts[]) | any(.uid == $1)" "$tmp/told" >/dev/null 2>&1; }
"$smtpwall" monitor --user nobody 2>"$tmp/log" &
monitor=$!
at_exit 'kill "$monitor" 2>/dev/null; wait "$monitor" 2>/dev/null'
within 30 log_has "watching generation" || bail_out "the monitor does not start"
worker=$(pgrep -P "$monitor" -u nobody)

# Ticks of CPU time that the worker has used; its peak of memory in KiB.
ticks() { awk '{ print $14 + $15 }' "/proc/$worker/stat"; }
peak() { awk '$1 == "VmHWM:" { print $2 }' "/proc/$worker/status"; }

flood='use Socket; my $a = pack_sockaddr_in(25, inet_aton("203.0.113.9")); my $end = time + shift;
	while (time < $end) { for (1 .. 100) {
		socket(my $s, PF_INET, SOCK_STREAM, 0); connect($s, $a); close $s } }'
before=$(ticks)
as "$account" perl -e "$flood" "$seconds" &
flood_pid=$!
at_exit 'kill "$flood_pid" 2>/dev/null; wait "$flood_pid" 2>/dev/null'
check "the flood: told" within 20 told "$account"
as "$other" perl -e 'use Socket; my $a = pack_sockaddr_in(25, inet_aton("203.0.113.9"));
	for (1 .. 5) { socket(my $s, PF_INET, SOCK_STREAM, 0); connect($s, $a) }'
from=$(date +%s%N)
check "another account in the flood: told at once" within 5 told "$other"
echo "# told after $((($(date +%s%N) - from) / 1000000)) ms"
wait "$flood_pid"
used=$(($(ticks) - before))
echo "# the worker used $used ticks of $((seconds * $(getconf CLK_TCK))), its peak is $(peak) KiB"
check "at most 5 % of one core" test $((used * 20)) -le $((seconds * $(getconf CLK_TCK)))
check "at most 64 MiB" test "$(peak)" -le 65536

kill -TERM "$monitor"
wait "$monitor"
total() { "$smtpwall" report "$@" --uid "$account" --format json | jq '.rows[0].denied'; }
kernel=$(total) history=$(total --since 1h)
echo "# $kernel connects in $seconds s"
check "there was a flood" test "$kernel" -gt 100000
check "the history is exact" is "$history" "$kernel"
done_testing
