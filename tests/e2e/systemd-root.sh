# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# For end-to-end tests with systemd as process 1. A test sources this after lib.sh and mta-root.sh
# and calls own_root, start and then boot.
#
# systemd runs in PID, mount, cgroup, network, UTS and IPC namespaces of its own, on the test's own
# file system; the root of its cgroup tree is the test's cgroup, so a policy that is attached there
# judges everything in it and nothing else on the machine. In it nobody is exempt: it is a
# container as far as smtpwall is concerned.
# shellcheck disable=SC2016,SC2034,SC2154 # text for at_exit is expanded later; lib.sh, the tests

booted=

# What needs hardware, a terminal or the machine's own network, and what would only take time.
quiet_system() {
	local unit
	mkdir -p /etc/systemd/system
	rm -rf /etc/systemd/system/*.wants
	for unit in systemd-{timesyncd,logind,resolved,networkd,udevd,update-utmp,random-seed,machine-id-commit}.service \
		systemd-{update-done,hwdb-update,journal-flush,modules-load,firstboot}.service getty.target \
		systemd-udev-trigger.service ldconfig.service dev-hugepages.mount dev-mqueue.mount \
		sys-kernel-{debug,tracing,config}.mount sys-fs-fuse-connections.mount \
		systemd-binfmt.service proc-sys-fs-binfmt_misc.automount apt-daily.timer \
		apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer \
		networking.service; do
		ln -sfn /dev/null "/etc/systemd/system/$unit"
	done
	mkdir -p /etc/tmpfiles.d
	ln -sfn /dev/null /etc/tmpfiles.d/tmp.conf	# it would empty /tmp
	rm -f /usr/sbin/policy-rc.d	# of own_root; from here on services may be started
	echo >/etc/fstab
	: >/etc/machine-id
}

# In the new namespaces: mounts that belong to them, then systemd.
init_script() {
	cat <<-'END'
	set -e
	mount --make-rprivate /
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t bpf bpf /sys/fs/bpf
	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir -m 755 /run/dev && mount -t tmpfs -o mode=755 tmpfs /run/dev
	for device in null zero full random urandom tty; do
		touch "/run/dev/$device"
		mount --bind "/dev/$device" "/run/dev/$device"
	done
	mkdir /run/dev/pts /run/dev/shm
	mount -t devpts -o newinstance,ptmxmode=0666 devpts /run/dev/pts
	mount -t tmpfs tmpfs /run/dev/shm
	ln -s pts/ptmx /run/dev/ptmx
	ln -s /proc/self/fd /run/dev/fd
	for n in 0 1 2; do
		ln -s "/proc/self/fd/$n" "/run/dev/$(cut -d ' ' -f "$((n + 1))" <<<'stdin stdout stderr')"
	done
	touch /run/dev/console
	mount --bind "$1" /run/dev/console
	mount --move /run/dev /dev
	ip link set lo up
	exec env -i container=smtpwall-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		/lib/systemd/systemd --system --unit=multi-user.target --log-target=console \
		--log-level=info --log-color=no --show-status=no
	END
}

# boot: systemd, until it says that it is done or that something failed. Its messages go to
# $tmp/console.
boot() {
	local tries=0
	: >"$tmp/console"
	init_script >"$tmp/init"
	# shellcheck disable=SC2016 # the inner shell expands them
	bash -c 'echo $$ >"$1/cgroup.procs" && exec unshare --mount --pid --cgroup --uts --ipc \
		--net --fork --kill-child bash "$2/init" "$2/console"' \
		bash "$cgroup" "$tmp" >>"$tmp/console" 2>&1 </dev/null &
	unshare_pid=$!
	until booted=$(pgrep -P "$unshare_pid") && [[ -n $booted ]]; do
		((++tries < 600)) || bail_out "no process 1"
		sleep 0.05
	done
	within 60 eval '[[ $(inside systemctl is-system-running 2>/dev/null) == @(running|degraded) ]]' ||
		{ tail -n 40 "$tmp/console" | sed 's/^/# /'; bail_out "systemd does not start"; }
}

# inside COMMAND...: as process of the new system.
inside() {
	nsenter --target "$booted" --mount --pid --cgroup --uts --ipc --net -- \
		env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# The end of process 1 ends all of its namespace.
halt() {
	[[ -n $booted ]] || return 0
	kill -KILL "$booted" 2>/dev/null
	wait "$unshare_pid" 2>/dev/null
	booted=
	find "$cgroup" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null
}

# prop UNIT NAME: a property of a unit.
prop() { inside systemctl show --property "$2" --value "$1"; }
