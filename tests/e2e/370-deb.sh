#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The Debian package, on a system of its own with systemd: built, installed, upgraded under load
# without a connect getting through, removed, purged.
# shellcheck disable=SC2016,SC2317 # eval expands its text later; check calls functions

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mta-root.sh
. "$(dirname "$0")/mta-root.sh"
# shellcheck source=tests/e2e/systemd-root.sh
. "$(dirname "$0")/systemd-root.sh"
own_network=1
need dpkg-buildpackage dh lintian
own_root systemd dbus iproute2 procps
start
need nsenter pgrep make
at_exit 'halt'

# ---- Building ----

rm -rf "$build/deb"
# As anybody builds it, but for what costs time: optimization, debugging symbols and their package.
run env DEB_CFLAGS_APPEND='-O1 -g0' DEB_BUILD_OPTIONS=noautodbgsym make --silent O="$build" deb
check "make deb" exits 0
deb=$(echo "$build"/deb/smtpwall_*_*.deb)
[[ -e $deb ]] || { sed 's/^/# /' "$tmp/err" | tail -n 20; bail_out "no package"; }
run lintian --allow-root --fail-on error,warning "$deb"
check "lintian: nothing to say" eval 'exits 0 && [[ -z $out ]]'
contents=$(dpkg-deb --contents "$deb" | awk '{ print $6 }')
for file in usr/sbin/smtpwall lib/systemd/system/smtpwall.service usr/lib/tmpfiles.d/smtpwall.conf \
	lib/systemd/system/smtpwall-monitor.service usr/lib/sysusers.d/smtpwall.conf \
	usr/share/bash-completion/completions/smtpwall usr/share/man/man8/smtpwall.8.gz \
	usr/share/smtpwall/prometheus/smtpwall.rules.yml etc/smtpwall/smtpwall.conf; do
	check "the package has $file" has "$contents" "./$file"
done
check "the configuration is a conffile" has "$(dpkg-deb --info "$deb" conffiles)" \
	/etc/smtpwall/smtpwall.conf
# The next version: the same, but for its number.
dpkg-deb --raw-extract "$deb" "$tmp/next"
sed -i 's/^Version: .*/&+next/' "$tmp/next/DEBIAN/control"
dpkg-deb -Znone --root-owner-group --build "$tmp/next" "$tmp/next.deb" >/dev/null

# ---- A system ----

quiet_system
boot
inside ip link add sw0 type veth peer name sw1
inside ip address add 203.0.113.1/24 dev sw0
inside ip link set sw0 up
inside ip link set sw1 up
unset SMTPWALL_CGROUP SMTPWALL_PIN_DIR SMTPWALL_STATE_DIR SMTPWALL_CONFIG
sw() { inside env SMTPWALL_CGROUP=/sys/fs/cgroup /usr/sbin/smtpwall "$@"; }
dpkg_inside() { run inside env SMTPWALL_CGROUP=/sys/fs/cgroup DEBIAN_FRONTEND=noninteractive dpkg "$@"; }
in_force() { sw status --format tsv 2>/dev/null | cut -f 3; }
no_pins() { ! inside test -e /sys/fs/bpf/smtpwall; }
for name in smtpwall smtpwall-monitor; do
	mkdir -p "/etc/systemd/system/$name.service.d"
	printf '[Service]\nEnvironment=SMTPWALL_CGROUP=/sys/fs/cgroup\n' \
		>"/etc/systemd/system/$name.service.d/test.conf"
done
inside systemctl daemon-reload

# ---- Installing denies nothing ----

dpkg_inside --force-depends --install "$deb"
check "install" exits 0
check "install: says what comes next" has "$out" 'systemctl enable --now smtpwall.service'
check "install: nothing is in force" no_pins
check "install: the service is not enabled" \
	is "$(inside systemctl is-enabled smtpwall.service smtpwall-monitor.service | xargs)" \
	'disabled disabled'
check "install: the monitor has its user" inside id smtpwall
check "install: and its directories" is "$(inside stat -c '%U %a' /var/lib/smtpwall/history)" \
	'smtpwall 750'
check "install: the configuration is not for everybody" \
	is "$(inside stat -c %a /etc/smtpwall/smtpwall.conf)" 640

cat >>/etc/smtpwall/smtpwall.conf <<-'END'
	[policy]
	refuse_with = permission
	[exempt]
	users = root
	mta = none
END
run inside systemctl enable --now smtpwall.service smtpwall-monitor.service
check "enable: in force" is "$(in_force)" 1
check "enable: the monitor runs" is "$(prop smtpwall-monitor.service ActiveState)" active

# ---- An upgrade under load ----

# A program of an account that never stops trying; what it got, a line each.
cat >"$tmp/hammer" <<-'END'
	while :; do
		(: >/dev/tcp/203.0.113.25/25) 2>&1 | head -n 1
		echo
	done
END
as 0 nsenter --target "$booted" --mount --pid --net -- setpriv --reuid 61009 --regid 61009 \
	--clear-groups bash <"$tmp/hammer" >"$tmp/hammered" &
hammer=$!
at_exit 'kill "$hammer" 2>/dev/null'
tries() { grep -c . "$tmp/hammered"; }
more_than() { (($(tries) > $1)); }
check "load: begins" within 60 more_than 5
old_monitor=$(prop smtpwall-monitor.service MainPID)
dpkg_inside --force-depends --install "$tmp/next.deb"
check "upgrade" exits 0
check "upgrade: says that it was done in place" has "$out" 'without a gap'
check "upgrade: the next generation" is "$(in_force)" 2
check "upgrade: of the new version" has "$(inside dpkg-query --show smtpwall)" +next
other_monitor() { [[ $(prop smtpwall-monitor.service MainPID) != @(0|"$old_monitor") ]]; }
check "upgrade: the monitor is the new one" within 60 other_monitor
check "upgrade: the configuration is as it was" \
	grep -q 'refuse_with = permission' /etc/smtpwall/smtpwall.conf
run inside systemctl restart smtpwall.service
check "load: goes on" within 60 more_than "$(tries)"
kill "$hammer"
wait "$hammer" 2>/dev/null
check "load: of $(tries) connects, none got through" \
	is "$(grep . "$tmp/hammered" | grep -vc 'Operation not permitted')" 0

# ---- Removing ends it, and says so ----

dpkg_inside --remove smtpwall
check "remove" exits 0
check "remove: says that enforcement has ended" has "$out" 'not enforced any more'
check "remove: it has" no_pins
check "remove: the monitor has ended" eval '! inside pgrep -x smtpwall'
check "remove: the configuration is kept" test -e /etc/smtpwall/smtpwall.conf
check "remove: and the history" test -e /var/lib/smtpwall/history/history.db
dpkg_inside --purge smtpwall
check "purge" exits 0
check "purge: no configuration" eval '[[ ! -e /etc/smtpwall ]]'
check "purge: no state" eval '[[ ! -e /var/lib/smtpwall ]]'
check "purge: units that were enabled are not" eval \
	'! find /etc/systemd/system -lname "*smtpwall*" | grep -q .'
done_testing
