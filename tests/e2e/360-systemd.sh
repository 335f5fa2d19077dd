#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The units, with systemd as process 1: the policy is in force before anything can use the network,
# no operation on a unit ends it, and a broken configuration holds up no boot.
# shellcheck disable=SC2016,SC2317 # eval expands its text later; check calls functions

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mta-root.sh
. "$(dirname "$0")/mta-root.sh"
# shellcheck source=tests/e2e/systemd-root.sh
. "$(dirname "$0")/systemd-root.sh"
own_network=1
own_root systemd dbus iproute2 procps
start
need nsenter pgrep make
at_exit 'halt'

# ---- What can be said without starting it ----

quiet_system
make --silent O="$build" prefix=/usr install >"$tmp/install" 2>&1 ||
	{ sed 's/^/# /' "$tmp/install"; bail_out "make install"; }
unit=/usr/lib/systemd/system
systemd-sysusers
systemd-tmpfiles --create /usr/lib/tmpfiles.d/smtpwall.conf
check "sysusers: a user without a shell" has "$(getent passwd smtpwall)" /nologin
check "tmpfiles: the state directory is root's, the history in it the monitor's" \
	is "$(stat -c '%U %G %a' /var/lib/smtpwall{,/history} | xargs)" \
	'root smtpwall 750 smtpwall smtpwall 750'
for name in smtpwall smtpwall-monitor; do
	run systemd-analyze verify --man=no "$unit/$name.service"
	check "$name.service: systemd finds nothing wrong" eval 'exits 0 && [[ -z $err ]]'
done
run systemd-analyze security --offline=yes --no-pager "$unit/smtpwall-monitor.service"
score=$(sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p' <<<"$out")
check "smtpwall-monitor.service: exposure $score, at most 2.5" \
	awk -v "score=$score" 'BEGIN { exit !(score != "" && score <= 2.5) }'
check "no unit has a way to end enforcement" eval '! grep -h "^[^#]" "$unit"/smtpwall* | grep -q "ExecStop\| off"'

# ---- A boot ----

cat >/etc/smtpwall/smtpwall.conf <<-END
	[policy]
	mode = enforce
	refuse_with = permission
	[exempt]
	users = root
	mta = none
END
# The tree of this systemd is not that of the machine, and has to be named.
for name in smtpwall smtpwall-monitor; do
	mkdir -p "/etc/systemd/system/$name.service.d"
	printf '[Service]\nEnvironment=SMTPWALL_CGROUP=/sys/fs/cgroup\n' \
		>"/etc/systemd/system/$name.service.d/test.conf"
done
unset SMTPWALL_CGROUP SMTPWALL_PIN_DIR SMTPWALL_STATE_DIR SMTPWALL_CONFIG
sw() { inside env SMTPWALL_CGROUP=/sys/fs/cgroup /usr/sbin/smtpwall "$@"; }

# The first network service of this system: an interface, and at once a program of an account.
cat >/etc/systemd/system/net.service <<-'END'
	[Unit]
	DefaultDependencies=no
	After=network-pre.target
	Before=network.target
	Wants=network-pre.target
	[Service]
	Type=oneshot
	RemainAfterExit=yes
	ExecStart=/bin/ip link add sw0 type veth peer name sw1
	ExecStart=/bin/ip address add 203.0.113.1/24 dev sw0
	ExecStart=/bin/ip link set sw0 up
	ExecStart=/bin/ip link set sw1 up
	ExecStart=-/bin/setpriv --reuid 61009 --regid 61009 --clear-groups /bin/bash -c 'echo >/dev/tcp/203.0.113.25/25'
	StandardError=file:/early
	[Install]
	WantedBy=sysinit.target
END
systemctl --quiet enable smtpwall.service net.service
boot
check "boot: smtpwall.service is active" is "$(prop smtpwall.service ActiveState)" active
check "boot: the first program on the network was denied" has "$(</early)" 'Operation not permitted'
applied=$(prop smtpwall.service ActiveEnterTimestampMonotonic)
pre=$(prop network-pre.target ActiveEnterTimestampMonotonic)
check "boot: in force ($applied us) before network-pre.target ($pre us)" \
	eval '((applied > 0 && pre > 0 && applied <= pre))'
run sw report --all --format tsv
check "boot: and counted" eval '[[ $(cut -f 1,10 <<<"$out") == $'\''61009\t1'\'' ]]'

# denied: a new program of an account is.
denied() {
	run as 0 nsenter --target "$booted" --mount --pid --net -- setpriv --reuid 61009 \
		--regid 61009 --clear-groups timeout 5 bash -c 'echo >/dev/tcp/203.0.113.25/25'
	has "$err" 'Operation not permitted'
}
in_force() { sw status --format tsv 2>/dev/null | cut -f 3; }
first=$(in_force)
inside systemctl stop smtpwall.service
check "stop: the unit is inactive" is "$(prop smtpwall.service ActiveState)" inactive
check "stop: still denied" denied
check "stop: the same generation" is "$(in_force)" "$first"
inside systemctl start smtpwall.service
check "start: the next generation" is "$(in_force)" "$((first + 1))"
inside systemctl reload smtpwall.service
check "reload: the next generation" is "$(in_force)" "$((first + 2))"
inside systemctl restart smtpwall.service
check "restart: the next generation" is "$(in_force)" "$((first + 3))"
check "restart: denied" denied

cp /etc/smtpwall/smtpwall.conf "$tmp/good.conf"
echo 'users = nobody-at-all' >>/etc/smtpwall/smtpwall.conf
run inside systemctl reload smtpwall.service
check "a broken configuration: reload fails" eval '((status != 0))'
check "a broken configuration: still denied" denied
check "a broken configuration: the same generation" is "$(in_force)" "$((first + 3))"

cp "$tmp/good.conf" /etc/smtpwall/smtpwall.conf

# ---- The monitor, in its sandbox ----

log() { inside journalctl --quiet --no-pager -o cat -u smtpwall-monitor.service; }
log_has() { [[ $(log) == *"$1"* ]]; }
worker() { inside pgrep -u smtpwall -x smtpwall; }
main_pid() { prop smtpwall-monitor.service MainPID; }
run inside systemctl start smtpwall-monitor.service
check "monitor: starts, and says that it is ready" exits 0
check "monitor: watches" within 60 log_has "watching generation $((first + 3))"
check "monitor: as its own user" within 60 worker
check "monitor: no error" eval '[[ $(log) != *"cannot"* ]]'
check "monitor: keeps a history" within 60 test -e /var/lib/smtpwall/history/history.db
check "monitor: of its user" is "$(stat -c %U /var/lib/smtpwall/history/history.db)" smtpwall
run sw status
check "monitor: status knows it" has "$out" onitor
pid=$(main_pid)
run inside systemctl reload smtpwall-monitor.service
check "monitor, reload: applies" within 60 eval '[[ $(in_force) == "$((first + 4))" ]]'
check "monitor, reload: the same process" is "$(main_pid)" "$pid"
check "monitor, reload: watches the new one" within 60 log_has "watching generation $((first + 4))"
status_text_is() { [[ $(prop smtpwall-monitor.service StatusText) == "$1" ]]; }
check "monitor, reload: and says so" within 60 status_text_is "watching generation $((first + 4))"
check "monitor, reload: is active again" is "$(prop smtpwall-monitor.service ActiveState)" active
inside systemctl kill --signal=KILL --kill-whom=all smtpwall-monitor.service
other_pid() { [[ $(main_pid) != @(0|"$pid") && $(prop smtpwall-monitor.service ActiveState) == active ]]; }
check "monitor, killed: still denied" denied
check "monitor, killed: comes again" within 60 other_pid
inside systemctl stop smtpwall-monitor.service
check "monitor, stopped: still denied" denied
check "monitor, stopped: the same generation" is "$(in_force)" "$((first + 4))"
echo 'users = nobody-at-all' >>/etc/smtpwall/smtpwall.conf

# ---- A boot with that configuration ----

halt
echo >/early
boot
check "boot with it: the system comes up" is "$(prop multi-user.target ActiveState)" active
check "boot with it: the unit is not active, and tries again" \
	eval '[[ $(prop smtpwall.service ActiveState) == @(failed|activating) ]]'
cp "$tmp/good.conf" /etc/smtpwall/smtpwall.conf
check "repaired: in force without a hand" within 60 denied
done_testing
