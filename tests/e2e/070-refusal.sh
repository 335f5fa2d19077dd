#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a refused program is told, and whom a set-uid program counts as: with a real server.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
lab

# attempts UID FIELD: a number of the report's TSV.
attempts() {
	"$smtpwall" report --all --format tsv | awk -F '\t' -v uid="$1" -v field="$2" \
		'$1 == uid { n = $field } END { print n + 0 }'
}
readonly allowed=9 denied=10

for choice in refused permission unreachable; do
	case $choice in
	refused) text="Connection refused" ;;
	permission) text="Operation not permitted" ;;
	unreachable) text="No route to host" ;;
	esac
	config "[policy]
refuse_with = $choice"
	run "$smtpwall" apply
	check "$choice: apply" exits 0
	try "$account"
	check "$choice: the program is told" refused "$text"
	run "$smtpwall" verify
	check "$choice: verify is good" exits 0
	export SMTPWALL_DISABLE=custom_errno
	run "$smtpwall" apply
	check "$choice on a kernel that cannot choose: apply" exits 0
	try "$account"
	check "$choice on a kernel that cannot choose: the program is told" \
		refused "Operation not permitted"
	run "$smtpwall" verify
	check "$choice on a kernel that cannot choose: verify is good" exits 0
	run "$smtpwall" status
	check "$choice on a kernel that cannot choose: healthy" exits 0
	check "$choice on a kernel that cannot choose: status says so" \
		has "$out" "refuse_with has no effect"
	unset SMTPWALL_DISABLE
done
check "every refusal of the account is counted" is "$(attempts "$account" "$denied")" 6

# A set-uid root mail program that an ordinary account starts: bash -p keeps its effective UID.
install -m 4755 "$(command -v bash)" "$tmp/mailer"
# shellcheck disable=SC2016 # the inner shell expands it
if [[ $(as "$account" "$tmp/mailer" -p -c 'echo $EUID') != 0 ]]; then
	echo "# set-uid programs do not work in $tmp: not tested"
	done_testing
fi
config ''
run "$smtpwall" apply
try "$account" "$tmp/mailer" -p
check "set-uid root: gets through" greeted
check "set-uid root: charged to the account, not to root" is "$(attempts "$account" "$allowed")" 1
check "set-uid root: root has nothing" is "$(attempts 0 "$allowed")" 0
try "$account" "$tmp/mailer"
check "which gave its privilege up: is refused" refused "Connection refused"
config '[policy]
identity = strict'
run "$smtpwall" apply
try "$account" "$tmp/mailer" -p
check "set-uid root, identity = strict: refused" refused "Connection refused"
check "set-uid root, identity = strict: charged to the account" \
	is "$(attempts "$account" "$denied")" 8
try 0
check "root itself, identity = strict: gets through" greeted
done_testing
