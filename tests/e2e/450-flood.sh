#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon while one account connects as fast as it can for half a minute: little of one core and
# of memory, a history that is exact, and others' alerts as soon as ever. Then it is killed again and again.
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

# ---- Killed at any moment ----

# A rule of an hour has it write the history as soon as it starts.
config "[alerts]
rule = denied 100000000/hour"
run "$smtpwall" apply
# What gets through is a line; each attempt another one at the end.
slow='use Socket; $| = 1; print "$$\n"; my $a = pack_sockaddr_in(25, inet_aton("203.0.113.9")); my $n = 0;
	$SIG{TERM} = sub { print "$n attempts\n"; exit };
	while (1) { socket(my $s, PF_INET, SOCK_STREAM, 0); $n++;
		print "through\n" if connect($s, $a) || !$!{ECONNREFUSED}; close $s;
		select(undef, undef, undef, 0.0005) }'
other_total() { "$smtpwall" report "$@" --uid "$other" --format json | jq '.rows[0].denied'; }
before=$(other_total --live)
as "$other" perl -MErrno -e "$slow" >"$tmp/slow" &
at_exit 'kill "$(head -n 1 "$tmp/slow")" 2>/dev/null'
within 30 eval '(($(other_total --live) > before))' || bail_out "no traffic"
kills=0 until=$((SECONDS + 20))
while ((kills < 200 && SECONDS < until)); do
	setsid "$smtpwall" monitor --user nobody 2>>"$tmp/killed" &
	monitor=$!
	sleep "0.$(printf %03d $((RANDOM % 200)))"
	kill -KILL -- "-$monitor"
	wait "$monitor" 2>/dev/null
	kills=$((kills + 1))
done
echo "# $kills kills, $(grep -c "watching generation" "$tmp/killed") of a worker that had begun"
check "killed: at least forty times" test "$kills" -ge 40
kill "$(head -n 1 "$tmp/slow")"
within 30 grep -q attempts "$tmp/slow"
attempts=$(sed -n 's/ attempts//p' "$tmp/slow")
check "killed: of $attempts connects, none got through" eval '! grep -q through "$tmp/slow"'
check "killed: the kernel has counted each" is "$(other_total --live)" "$((before + attempts))"
check "killed: history and what it lacks are that" is "$(other_total --since 2h)" \
	"$((before + attempts))"
"$smtpwall" monitor --user nobody 2>>"$tmp/killed" &
monitor=$!
written() { [[ $("$smtpwall" status --format json | jq -r .monitor.running) == true ]]; }
within 30 written
kill -TERM "$monitor"
wait "$monitor"
run "$smtpwall" off
check "killed: the history alone is that, too" is "$(other_total --since 2h)" \
	"$((before + attempts))"
done_testing
