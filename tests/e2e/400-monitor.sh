#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon: waits for a policy, gives up its rights, keeps the policy up to date, and may die.
# shellcheck disable=SC2016,SC2034,SC2317 # eval, at_exit and inner shells expand later; check calls

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq ip nsenter unshare perl

ip netns add "swe2e$$" || skip_all "no network namespaces"
at_exit 'ip netns del "swe2e$$"'
nsenter --net="/run/netns/swe2e$$" ip link set lo up

# The monitor lives in a network and with an /etc of its own, so that both can be changed.
mkdir "$tmp/etc" "$tmp/work"
hosts() { printf '%s mail.swtest.example\n' "$1" >"$tmp/hosts.new" && inside cp "$tmp/hosts.new" /etc/hosts; }
inside() { nsenter --target "$world" --mount --net "$@"; }
mkfifo "$tmp/ready"
nsenter --net="/run/netns/swe2e$$" unshare -m bash -c '
	mount -t overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" overlay /etc &&
	echo ready >"$1/ready" && exec sleep infinity' bash "$tmp" &
world=$!
at_exit 'kill "$world"; wait "$world" 2>/dev/null'
read -r -t 30 line <"$tmp/ready" || bail_out "no world of our own"
[[ $line == ready ]] || bail_out "no /etc of our own"

# What systemd would be told, a message a line, in $tmp/told.
perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_DGRAM, 0); bind($s, pack_sockaddr_un($ARGV[0])) or die;
	chmod 0777, $ARGV[0]; $| = 1; while (defined recv($s, my $m, 4096, 0)) { $m =~ s/\n/ /g; print "$m\n" }' \
	"$tmp/notify" >"$tmp/told" &
notified=$!
at_exit 'kill "$notified"; wait "$notified" 2>/dev/null'
status_text() { sed -n 's/.*STATUS=//p' "$tmp/told" | tail -n 1; }
says() { [[ $(status_text) == "$1" ]]; }

# $monitor is the daemon itself.
start_monitor() {
	NOTIFY_SOCKET=$tmp/notify nsenter --target "$world" --mount --net "$smtpwall" monitor --user nobody 2>"$tmp/log" &
	monitor=$!
}

now() { "$smtpwall" status --format json | jq -r "$1"; }
now_is() { [[ $(now "$1") == "$2" ]]; }
worker() { pgrep -P "$monitor" -u nobody; }
has_worker() { worker >/dev/null; }
other_worker() { has_worker && [[ $(worker) != "$1" ]]; }
verdict() {
	"$smtpwall" explain --uid "$account" --dest "$1" --port 25 --format json | jq -r "$2"
}
verdict_is() { [[ $(verdict "$1" "$2") == "$3" ]]; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }
field() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$(worker)/status"; }

config "[allow]
rule = user $account to mail.swtest.example port 25"
hosts 203.0.113.9
start_monitor
at_exit 'kill "$monitor" 2>/dev/null; wait "$monitor" 2>/dev/null'
check "nothing in force: waits" within 30 log_has "waiting for 'smtpwall apply'"

run inside "$smtpwall" apply
check "apply: it begins to watch" within 30 log_has "watching generation 1"
check "worker: runs as its own user" within 30 has_worker
check "worker: effective rights: reading files" is "$(field CapEff)" 0000000000000004
check "worker: permitted rights: the same" is "$(field CapPrm)" 0000000000000004
check "worker: rights it can get: none" is "$(field CapBnd)" 0000000000000000
check "worker: no new privileges" is "$(field NoNewPrivs)" 1
check "worker: no supplementary groups" is "$(awk '/^Groups:/ { print NF }' "/proc/$(worker)/status")" 1

check "address: another machine's at first" verdict_is 198.51.100.77 .verdict deny
inside ip addr add 198.51.100.77/32 dev lo
check "address: ours once we have it" within 30 verdict_is 198.51.100.77 .verdict allow
inside ip addr del 198.51.100.77/32 dev lo
check "address: and no longer" within 30 verdict_is 198.51.100.77 .verdict deny

check "host name: its address is allowed" verdict_is 203.0.113.9 .verdict allow
hosts 203.0.113.10
check "host name: its new one, too" within 60 verdict_is 203.0.113.10 .verdict allow
check "host name: the old one is denied" verdict_is 203.0.113.9 .verdict deny

config "[policy]
mode = observe"
kill -HUP "$monitor"
check "SIGHUP: the configuration is applied" within 30 now_is .mode observe
check "SIGHUP: it goes on watching" within 30 log_has "mode observe, as user nobody"
check "SIGHUP: systemd is told which one" within 30 says "watching generation $(now .generation)"
printf 'bad\n' >>"$tmp/smtpwall.conf"
kill -HUP "$monitor"
check "SIGHUP with an error: says where" within 30 log_has "smtpwall.conf:[0-9]*: "
check "SIGHUP with an error: the policy stays" within 30 log_has "the policy that was in force stays"
check "SIGHUP with an error: it still is" now_is .mode observe
check "SIGHUP with an error: systemd is told the same as before" within 30 says \
	"watching generation $(now .generation)"
mkdir -m 700 "$tmp/text"
config "[metrics]
listen = 127.0.0.1:9825
textfile = $tmp/text/smtpwall.prom"
run "$smtpwall" apply
scrape() {
	nsenter --net="/run/netns/swe2e$$" timeout 10 bash -c 'exec 3<>/dev/tcp/127.0.0.1/9825 &&
		printf "GET /metrics HTTP/1.0\r\n\r\n" >&3 && cat <&3'
}
scraped() { [[ $(scrape) == *"$1"* ]]; }
check "metrics: served" within 30 scraped "smtpwall_in_force 1"
check "metrics: of the monitor, too" scraped "smtpwall_monitor_"
check "metrics: a file in a directory of root's" within 30 grep -qs "smtpwall_in_force 1" \
	"$tmp/text/smtpwall.prom"
check "metrics: readable for all" is "$(stat -c %a "$tmp/text/smtpwall.prom")" 644

# Clients that mean no good. Each waits for its end, which the monitor decides; prints what was said.
clients() {
	nsenter --net="/run/netns/swe2e$$" bash -c 'ulimit -n 4096; exec perl "$@"' bash -MIO::Socket::INET -e '
		my ($n, @say) = @ARGV; my @c;
		s/\\r\\n/\r\n/g, s/\\0/\0/g, s/LONG/"x" x 100000/e for @say;
		$| = 1; $SIG{ALRM} = sub { exit }; alarm 60; print "pid $$\n";
		push @c, IO::Socket::INET->new(PeerAddr => "127.0.0.1:9825", Blocking => 0) // () for 1 .. $n;
		sleep 1;	# not all of them need get through
		syswrite $c[$_], $say[$_ % @say] for 0 .. $#c;
		$_->blocking(1) for @c;
		print scalar(@c), " connected\n";
		local $/; print map { s/\r?\n.*//sr . "\n" } <$_> // "" for @c;
		print "all ended\n"' "$@"
}
files() { find "/proc/$(worker)/fd" -mindepth 1 | wc -l; }
peak() { awk '$1 == "VmHWM:" { print $2 }' "/proc/$(worker)/status"; }
before=$(peak) had=$(files) old=$(worker)
check "metrics: malformed requests" eval 'clients 12 "\0\0\0\0\r\n\r\n" "GET\r\n\r\n" "GET /LONG HTTP/1.1\r\n\r\n" \
	"GET /metrics HTTP/9.9\r\n\r\n" "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000000\r\n\r\n" \
	"GET /../../etc/shadow HTTP/1.1\r\nHost: x\r\n\r\n" >"$tmp/answers" 2>&1'
check "metrics, malformed: all came to an end" grep -q "all ended" "$tmp/answers"
check "metrics, malformed: none had what it asked for" eval '! grep -q " 200 " "$tmp/answers"'
check "metrics, malformed: and it goes on" within 10 scraped "smtpwall_in_force 1"
# Half a request, for as long as it may take; then a thousand of them at once.
for n in 40 1000; do
	clients "$n" "GET /metrics HTTP/1.1\r\nHost: x\r\nX: " >"$tmp/answers" 2>&1 &
	crowd=$!
	within 30 grep -q connected "$tmp/answers"
	inside ip addr add 198.51.100.78/32 dev lo
	check "metrics, $n slow clients: addresses are followed meanwhile" within 10 \
		verdict_is 198.51.100.78 .verdict allow
	inside ip addr del 198.51.100.78/32 dev lo
	check "metrics, $n slow clients: $(files) descriptors, $had before" test "$(files)" -le $((had + 34))
	kill "$(sed -n 's/^pid //p' "$tmp/answers")"
	wait "$crowd" 2>/dev/null
	check "metrics, $n slow clients: and then it answers" within 30 scraped "smtpwall_in_force 1"
done
check "metrics: it is the same process" is "$(worker)" "$old"
check "metrics: all of that took $(($(peak) - before)) KiB" test $(($(peak) - before)) -le 4096

check "status: says that it runs" within 30 now_is .monitor.running true
check "status: up to when the history goes" within 30 now_is '.monitor.recorded == null' false
check "status: nothing is wrong" now_is .monitor.error null

within 30 has_worker
old=$(worker)
kill -KILL "$old"
check "worker killed: another one starts" within 30 other_worker "$old"
check "worker killed: enforcement goes on" now_is '[.hooks[] | select(.name | startswith("connect")).attached] | all' true

old=$(worker)
runner=$(pgrep -P "$old")
kill -KILL "$monitor"
wait "$monitor" 2>/dev/null
check "supervisor killed: the worker ends" within 30 is_gone "$old"
check "supervisor killed: so does what still is root" within 30 is_gone "$runner"
check "supervisor killed: enforcement goes on" now_is .mode enforce

start_monitor
check "started again: watches" within 30 log_has "watching generation"
run "$smtpwall" off
check "off: waits again" within 30 log_has "waiting for 'smtpwall apply'"
check "off: tells systemd" within 30 says "nothing is in force: waiting for smtpwall apply"
check "off: metrics go on, and say so" within 30 scraped "smtpwall_in_force 0"
check "off: of the monitor, too" scraped "smtpwall_monitor_"
check "off: and of nothing else" eval '! scraped smtpwall_generation'
check "off: the file says so" within 30 grep -q "smtpwall_in_force 0" "$tmp/text/smtpwall.prom"
check "off: the worker has no right but reading files" is "$(field CapPrm)" 0000000000000004
check "off: status says that the monitor runs" within 30 now_is .monitor.running true
kill -HUP "$monitor"
check "off, SIGHUP: applies" within 30 now_is .mode enforce
check "off, SIGHUP: tells systemd" within 30 says "watching generation 1"
run "$smtpwall" off
check "off again: waits" within 30 says "nothing is in force: waiting for smtpwall apply"
run "$smtpwall" apply
check "apply: watches again" within 30 has_worker
kill -TERM "$monitor"
wait "$monitor"
check "SIGTERM: exit status 0" is $? 0
check "SIGTERM: enforcement goes on" now_is .mode enforce

run "$smtpwall" monitor --user swnosuchuser
check "unknown user: exit status 2, one line" exits 2 1
done_testing
