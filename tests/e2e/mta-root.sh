# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# For end-to-end tests with real mail servers. A test sources this after lib.sh and calls
# own_root with the packages it wants, then start and mail_lab.
#
# own_root runs the test again in a file system of its own: that of this machine, except that
# whatever is written stays in memory. There apt-get installs the packages, maintainer scripts
# and all, so accounts, configuration and queue are as on a server, while the machine itself does
# not change, whichever mail server it has. Nothing else is separate: network, processes, users
# as the kernel knows them, cgroups and the BPF file system are those of the machine, so policy
# and exemptions hold as they do there. The mounts are in a mount namespace of the test's own
# and go away with its last process.
# shellcheck disable=SC2016,SC2034,SC2154 # text for at_exit is expanded later; lib.sh, the tests

domain=remote.example	# its mail goes to the lab

# ---- A file system of our own ----

# own_root PACKAGE...: returns only in the new root, with the packages installed.
own_root() {
	case ${SWE2E_ROOT:-} in
	'')
		((EUID == 0)) || skip_all "needs root"
		need apt-get dpkg unshare pivot_root ss
		cgroup_root >/dev/null || skip_all "no cgroup v2 root is mounted"
		[[ -n ${own_network:-} || -z $(listening) ]] ||
			skip_all "something listens on port 25 here"
		grep -qw overlay /proc/filesystems || modprobe -q overlay ||
			skip_all "the kernel has no overlay file system"
		mkdir -p "$build/own-root" "$build/debs/partial" || exit 99
		SWE2E_ROOT=new exec unshare --mount bash "$PWD/tests/e2e/${0##*/}"
		;;
	new)
		enter_root || bail_out "cannot make a root file system"
		install_packages "$@"
		SWE2E_ROOT=ready exec bash "$PWD/tests/e2e/${0##*/}"
		;;
	esac
	unset SWE2E_ROOT
}

# overlay DIRECTORY: of the machine, writable, at the same place below the new root.
overlay() {
	local layer=$build/own-root/layers/${1//\//_}
	mkdir -p "$layer/upper" "$layer/work" &&
		mount -t overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" \
			overlay "$root$1"
}

# In a mount namespace of our own; what is mounted below $build/own-root is seen by nobody else.
enter_root() {
	local root=$build/own-root/new place resolver repository=$PWD
	resolver=$(cat /etc/resolv.conf 2>/dev/null)
	mount -t tmpfs -o mode=755 tmpfs "$build/own-root" && mkdir "$root" && overlay / || return
	for place in /usr /var; do
		! mountpoint -q "$place" || overlay "$place" || return
	done
	for place in /proc /sys /dev; do
		mount --rbind "$place" "$root$place" || return
	done
	# A fresh /run: the packages' scripts must not talk to this machine's systemd.
	mount -t tmpfs -o mode=755 tmpfs "$root/run" && mkdir -m 1777 "$root/run/lock" || return
	for place in "$repository" "$build"; do
		mkdir -p "$root$place" && mount --bind "$place" "$root$place" || return
	done
	# Nor may a mail server write to this machine's log.
	[[ ! -S $root/dev/log ]] || mount --bind "$root/dev/null" "$root/dev/log" || return

	mkdir "$root/run/old" && cd "$root" && pivot_root . run/old && cd "$repository" &&
		umount -l /run/old && rmdir /run/old || return
	rm -f /etc/resolv.conf && echo "$resolver" >/etc/resolv.conf
	chmod 1777 /tmp
}

# What an administrator is asked when a package is installed, and answers. Exim delivers on this
# machine only until somebody says otherwise; Postfix is an Internet site by itself.
answers() {
	local exim=exim4-config\ exim4/dc_
	echo "${exim}eximconfig_configtype select" \
		'internet site; mail is sent and received directly using SMTP'
	echo "${exim}local_interfaces string 127.0.0.1 ; ::1"
	echo 'man-db man-db/auto-update boolean false'
}

# The packages' scripts may start nothing: the test starts it, in its cgroup.
install_packages() {
	local log=$build/own-root.log
	local apt=(apt-get -y -q --no-install-recommends -o APT::Keep-Downloaded-Packages=1
		-o "Dir::Cache::Archives=$build/debs" -o Dpkg::Use-Pty=0
		-o Dpkg::Options::=--force-unsafe-io)
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
	export DEBIAN_FRONTEND=noninteractive
	answers | debconf-set-selections
	# Where man-db is installed already, this is how it knows.
	rm -f /var/lib/man-db/auto-update
	"${apt[@]}" install "$@" >"$log" 2>&1 </dev/null && return
	# The package lists are missing or older than the mirror, or this machine was in the middle
	# of an installation.
	{ apt-get -q update && dpkg --configure -a; } >>"$log" 2>&1 </dev/null
	"${apt[@]}" install "$@" >>"$log" 2>&1 </dev/null && return
	sed 's/^/# /' "$log"
	bail_out "cannot install $*"
}

# ---- The world outside, and an account inside ----

# mail_lab: a lab that keeps mail, a name server there, and an account, "shop", without privilege.
mail_lab() {
	local line
	[[ -x $build/dns ]] || bail_out "$build/dns is not there: make tests"
	mkdir "$tmp/mail"
	mailbox=$tmp/mail
	lab
	mkfifo "$tmp/dns"
	ip netns exec "swe2e$$" "$build/dns" "$server" 53 "$server" >"$tmp/dns" &
	dns_pid=$!
	at_exit 'kill "$dns_pid" 2>/dev/null; wait "$dns_pid" 2>/dev/null'
	read -r -t 30 line <"$tmp/dns" || bail_out "no name server"
	echo "nameserver $server" >/etc/resolv.conf

	echo "shop:x:$account:$account::/home/shop:/bin/bash" >>/etc/passwd
	echo "shop:x:$account:" >>/etc/group
	install -d -o "$account" -g "$account" /home/shop
	speak_program >"$tmp/speak"
	# What a mail server left running.
	at_exit 'end_processes'
}

# Until none is left: what is killed last may have started others meanwhile.
end_processes() {
	local pid tries=0
	while [[ -n $(<"$cgroup/cgroup.procs") ]] && ((++tries < 600)); do
		while read -r pid; do
			((pid < 2)) || kill -KILL "$pid" 2>/dev/null
		done <"$cgroup/cgroup.procs"
		sleep 0.05
	done
}

listening() { ss -Hltn 'sport = :25'; }

# start_server SCRIPT: its init script, in our cgroup.
start_server() {
	run as 0 "$1" start
	check "the server starts" exits 0
	check "and listens" within 60 eval '[[ -n $(listening) ]]'
}

stop_server() {
	run as 0 "$1" stop
	check "the server stops" within 60 eval '[[ -z $(listening) ]]'
}

# ---- Mail ----

# An SMTP client: speak ADDRESS RECIPIENT ID.
speak_program() {
	cat <<-'END'
	expect() {
		while read -r -t 30 line <&3 && [[ $line == ???-* ]]; do :; done
		[[ $line == $1* ]] || { echo "instead of $1: $line"; exit 2; }
	}
	say() { printf '%s\r\n' "$@" >&3; }
	exec 3<>"/dev/tcp/$1/25" || exit 1
	expect 220
	say "EHLO client.example"
	expect 250
	say "MAIL FROM:<shop@shop.example>"
	expect 250
	say "RCPT TO:<$2>"
	expect 250
	say DATA
	expect 354
	say "From: shop@shop.example" "To: $2" "Subject: $3" "" "This is $3." .
	expect 250
	say QUIT
	END
}

# new_mail: $id becomes a word that no other message has.
new_mail() { id=sw$$-$((mails += 1))-$RANDOM$RANDOM; }
mails=0

# speak ADDRESS [RECIPIENT]: the account hands in a new message by SMTP.
speak() {
	new_mail
	run as "$account" bash "$tmp/speak" "$1" "${2:-someone@$domain}" "$id"
}

# sendmail_as UID [OPTION...]: that account hands one to the sendmail program.
sendmail_as() {
	local uid=$1
	shift
	new_mail
	printf '%s\n' "To: someone@$domain" "Subject: $id" '' "This is $id." >"$tmp/message"
	run as "$uid" bash -c 'message=$1 && shift && exec /usr/sbin/sendmail -i "$@" <"$message"' \
		bash "$tmp/message" "$@" "someone@$domain"
}

# arrives [ID]: the next message that the lab gets is that one.
arrives() {
	local word name
	while read -r -t 30 -u "$smtpd_out" word name; do
		[[ $word == stored ]] || continue
		mail=$(<"$tmp/mail/$name")
		has "$mail" "This is ${1:-$id}."
		return
	done
	return 1
}

# arrived: how many messages the lab has got.
arrived() { find "$tmp/mail" -type f | wc -l; }

# counted: a line for each account of the report that connected: UID allowed denied would_deny
# limited redirected local.
counted() {
	"$smtpwall" report --all --sort uid --format tsv |
		awk -F '\t' '$8 > $15 { print $1, $9, $10, $11, $12, $13, $14 }'
}

# sendmails UID: how many mails that account handed to the sendmail program.
sendmails() {
	"$smtpwall" report --all --format tsv --uid "$1" | awk -F '\t' '{ n += $15 } END { print n + 0 }'
}

# has_counted LINE...: these are the lines, and there are no others.
has_counted() {
	out=$(counted)
	[[ $out == "$(printf '%s\n' "$@")" ]]
}
