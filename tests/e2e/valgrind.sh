#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every command under valgrind: no invalid access, nothing leaked, no descriptor left open.
# As root also those that talk to the kernel, on an instance of their own.
set -uo pipefail

smtpwall=$(realpath "${1:?usage: valgrind.sh SMTPWALL}")
tmp=$(mktemp -d /tmp/swvalgrind.XXXXXX)
options=()
number=0
failed=0

# shellcheck disable=SC2317 # called by the trap
clean_up() {
	if [[ -d ${SMTPWALL_PIN_DIR:-/nonexistent} ]]; then
		"$smtpwall" off --quiet
	fi
	[[ ! -d ${SMTPWALL_CGROUP:-/nonexistent} ]] || rmdir "$SMTPWALL_CGROUP"
	rm -rf "$tmp"
}
trap clean_up EXIT

# check STATUS ARGUMENT...: runs smtpwall under valgrind and expects that exit status.
check() {
	local want=$1 status=0
	shift
	number=$((number + 1))
	valgrind "${options[@]}" --quiet --leak-check=full --errors-for-leak-kinds=definite,indirect,possible \
		--child-silent-after-fork=yes \
		--suppressions=tests/e2e/valgrind.supp --error-exitcode=99 --log-file="$tmp/log" "$smtpwall" "$@" \
		>"$tmp/out" 2>&1 </dev/null || status=$?
	if ((status == want)); then
		echo "ok $number - valgrind: smtpwall $*"
		return
	fi
	echo "not ok $number - valgrind: smtpwall $*: exit status $status instead of $want"
	sed 's/^/# /' "$tmp/out" "$tmp/log" | head -n 60
	failed=1
}

cat >"$tmp/good.conf" <<'END'
[policy]
mode = enforce
deny_ports = 25
[exempt]
users = root mail 1234
groups = mail
END
printf '[policy]\nmode = maybe\nports = 70000\n[nothing]\n' >"$tmp/bad.conf"

check 0 --help
check 0 --version
check 2 nonsense
check 2 apply --nonsense
check 0 report --help
check 2 apply --check --config "$tmp/bad.conf"
check 2 apply --check --config "$tmp/missing.conf"
check 0 apply --check --force --config "$tmp/good.conf"
check 0 explain --config "$tmp/good.conf" --uid 1000
check 0 explain --config "$tmp/good.conf" --uid root --format json
check 2 explain --config "$tmp/bad.conf" --uid root
check 0 domains --root tests/fixtures/panels/cpanel --format json alice
check 0 domains --root tests/fixtures/panels/ispconfig /var/www/clients/client1/web5/web
check 1 domains --root tests/fixtures/panels/nginx 4242

if ((EUID == 0)); then
	root=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
	export SMTPWALL_CGROUP=$root/swvalgrind$$ SMTPWALL_PIN_DIR=/sys/fs/bpf/swvalgrind$$
	mkdir "$SMTPWALL_CGROUP"
	options=(--undef-value-errors=no)
	check 3 report
	check 1 status
	check 0 apply --force --config "$tmp/good.conf"
	check 0 apply --force --config "$tmp/good.conf"
	check 0 status
	check 0 status --format json
	check 0 verify
	check 0 report --all
	check 0 report --all --by directory --format json
	check 0 report --all --format csv
	check 0 report --all --format html --by domain
	check 0 top --once --interval 0.25
	check 0 events --format json
	check 0 metrics
	check 0 explain --uid 1234
	check 2 apply --config "$tmp/bad.conf"
	check 0 off
	check 0 off
else
	echo "ok $((number + 1)) - valgrind: commands that need root # SKIP not root"
fi
echo "1..$number"
exit "$failed"
