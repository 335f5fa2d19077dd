# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# For end-to-end tests: TAP, and a smtpwall of the test's own whose cgroup, pins and files go away
# with it. A test sources this, calls start, makes its checks and ends with done_testing.
# shellcheck disable=SC2016,SC2034 # text for at_exit is expanded later; tests use what is set here
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 99

build=$(realpath "${O:-build}")
smtpwall=$build/smtpwall
nobody=65534
account=61009	# an ordinary UID, exempt nowhere
cleaners=()
tests=0 failures=0
out='' err='' status=0	# of the last run

# ---- TAP ----

skip_all() {
	echo "1..0 # SKIP $*"
	exit 77
}

bail_out() {
	echo "Bail out! $*"
	exit 99
}

# check NAME COMMAND...: passes when the command succeeds.
check() {
	local name=$1
	shift
	tests=$((tests + 1))
	if "$@"; then
		echo "ok $tests - $name"
		return
	fi
	echo "not ok $tests - $name"
	failures=$((failures + 1))
	printf '#   failed: %s\n' "$*" "status: $status" "output: ${out:0:2000}" \
		"errors: ${err:0:2000}" | sed '2,$s/^#   failed: /#   /; s/^[^#]/#     &/'
}

done_testing() {
	echo "1..$tests"
	((failures == 0))
	exit
}

# run COMMAND...: keeps its exit status, standard output and standard error.
run() {
	status=0
	"$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
	out=$(<"$tmp/out") err=$(<"$tmp/err")
}

is() { [[ $1 == "$2" ]]; }
has() { [[ $1 == *"$2"* ]]; }
lacks() { [[ $1 != *"$2"* ]]; }

# exits STATUS [LINES]: of the last run, and how many lines it wrote to standard error.
exits() {
	[[ $status == "$1" ]] && { (($# < 2)) || (($(wc -l <"$tmp/err") == $2)); }
}

# fails NAME STATUS WORD...: the last run ended with STATUS and one line of error, with these words.
fails() {
	local name=$1 want=$2 word
	shift 2
	check "$name: exit status $want, one line" exits "$want" 1
	for word; do
		check "$name: names $word" has "$err" "$word"
	done
}

# within SECONDS COMMAND...: it succeeds before they have passed. Where there is no event to wait for.
within() {
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < until)) || return 1
		sleep 0.1
	done
}

# What a daemon has written to its log.
log_has() { grep -q -- "$1" "$tmp/log"; }

# ---- A smtpwall of our own ----

need() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null || skip_all "$tool is not installed"
	done
}

# Undone in reverse order at exit, whatever happens.
at_exit() {
	cleaners=("$*" "${cleaners[@]}")
}

clean_up() {
	local cleaner
	trap '' INT TERM HUP
	for cleaner in "${cleaners[@]}"; do
		eval "$cleaner"
	done
}

cgroup_root() {
	local fields
	while read -r -a fields; do
		if [[ " ${fields[*]} " == *' - cgroup2 '* && ${fields[3]} == / ]]; then
			echo "${fields[4]}"
			return
		fi
	done </proc/self/mountinfo
	return 1
}

remove_cgroup() {
	local tries=0
	[[ -d $1 ]] || return 0
	# A process that just ended may still be listed.
	until rmdir "$1" 2>/dev/null || ((++tries > 200)); do
		sleep 0.01
	done
}

# start: root, a directory, a cgroup. Nothing is in force yet.
start() {
	((EUID == 0)) || skip_all "needs root"
	[[ -x $smtpwall ]] || bail_out "$smtpwall is not there: make tests"
	need setpriv flock
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	tmp=$(mktemp -d /tmp/swe2e-XXXXXX) || exit 99
	chmod 755 "$tmp"
	at_exit 'rm -rf --one-file-system "$tmp"'
	root_cgroup=$(cgroup_root) || skip_all "no cgroup v2 root is mounted"
	cgroup=$root_cgroup/swe2e$$
	mkdir "$cgroup" || exit 99
	at_exit 'remove_cgroup "$cgroup"'
	export SMTPWALL_CGROUP=$cgroup SMTPWALL_PIN_DIR=/sys/fs/bpf/swe2e$$
	export SMTPWALL_STATE_DIR=$tmp/state SMTPWALL_CONFIG=$tmp/smtpwall.conf
	unset SMTPWALL_DISABLE
	at_exit 'SMTPWALL_DISABLE="" "$smtpwall" off --quiet || echo "# off failed"'
	config ''
}

# config TEXT: becomes the configuration. Mail servers of this machine are exempt by name, so that
# it does not matter which ones are installed or run.
config() {
	[[ -v mta_users ]] || find_mail_servers
	printf '%s\n' "$1" '[exempt]' "users = root 61001$mta_users" 'mta = none' \
		${mta_groups:+"groups =$mta_groups"} >"$tmp/smtpwall.conf"
}

# Whom smtpwall would not cut off here: it names one at a time.
find_mail_servers() {
	local said tries=0
	mta_users='' mta_groups=''
	until config '' && said=$("$smtpwall" apply --check 2>&1); do
		((++tries < 20)) || bail_out "no configuration is good here: $said"
		if [[ $said =~ "user '"([^\']+)"', which is not exempt" ]]; then
			mta_users+=" ${BASH_REMATCH[1]}"
		elif [[ $said =~ "group '"([^\']+)"', which is not exempt" ]]; then
			mta_groups+=" ${BASH_REMATCH[1]}"
		elif [[ $said =~ "as UID "([0-9]+)", which is not exempt" ]]; then
			mta_users+=" ${BASH_REMATCH[1]}"
		else
			bail_out "a mail server of this machine is in the way: $said"
		fi
	done
}

# as UID COMMAND...: in our cgroup, as this account and its group.
as() {
	# shellcheck disable=SC2016 # the inner shell expands them
	bash -c 'echo $$ >"$1/cgroup.procs" && uid=$2 && shift 2 &&
		exec setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"' bash "$cgroup" "$@"
}

# generation: of the policy in force; empty when there is none.
generation() {
	"$smtpwall" status --format tsv 2>/dev/null | cut -f 3
}

# ---- A mail server in a network of its own ----

# A namespace behind a veth pair with a listener on port 25 of $server, which keeps messages in
# $mailbox where that is set.
lab() {
	local net=198.51.100 host=$((($$ % 64) * 4)) line
	need ip
	[[ -x $build/smtpd ]] || bail_out "$build/smtpd is not there: make tests"
	server=$net.$((host + 2))
	[[ -z $(ip -o address show to "$net.$host/30") ]] || skip_all "$net.$host/30 is in use here"
	ip netns add "swe2e$$" || exit 99
	at_exit 'ip netns delete "swe2e$$"'
	ip link add "sw$$" type veth peer name eth0 netns "swe2e$$" || exit 99
	at_exit 'ip link delete "sw$$" 2>/dev/null'
	ip address add "$net.$((host + 1))/30" dev "sw$$"
	ip link set "sw$$" up
	ip -n "swe2e$$" link set lo up
	ip -n "swe2e$$" address add "$server/30" dev eth0
	ip -n "swe2e$$" link set eth0 up
	mkfifo "$tmp/smtpd"
	ip netns exec "swe2e$$" "$build/smtpd" "$server" 25 ${mailbox:+"$mailbox"} \
		>"$tmp/smtpd" &
	smtpd_pid=$!
	at_exit 'kill "$smtpd_pid" 2>/dev/null; wait "$smtpd_pid" 2>/dev/null'
	exec {smtpd_out}<"$tmp/smtpd"
	read -r -t 30 -u "$smtpd_out" line || bail_out "no SMTP server"
}

# try UID [SHELL...]: a program of that account opens a connection to the lab and reads the
# greeting, which is its output. SHELL is the program, bash unless given.
try() {
	local uid=$1
	shift
	(($#)) || set -- bash
	# shellcheck disable=SC2016 # the inner shell expands them
	run as "$uid" "$@" -c 'exec 3<>"/dev/tcp/$0/25" && read -r -t 10 line <&3 && echo "$line"' \
		"$server"
}

greeted() { exits 0 && has "$out" '220 '; }
refused() { exits 1 && has "$err" "$1"; }
