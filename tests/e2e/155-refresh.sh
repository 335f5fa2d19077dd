#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# apply --refresh: what names resolve to today, never a file that was edited meanwhile.

# shellcheck disable=SC2016,SC2317 # inner shells expand later; check calls
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq unshare

# with_hosts COMMAND...: names are looked up in our own hosts file.
with_hosts() {
	unshare -m bash -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' bash "$tmp/hosts" "$@"
}

resolves_to() { printf '%s mail.swtest.example\n' "$@" >"$tmp/hosts"; }
generation() { "$smtpwall" status --format json | jq -r .generation; }

# verdict ADDRESS: of the account that has a rule.
verdict() {
	"$smtpwall" explain --uid "$account" --dest "$1" --port 25 --format json | jq -r .verdict
}

policy="[allow]
rule = user $account to mail.swtest.example port 25"
config "$policy"
resolves_to 203.0.113.9

run with_hosts "$smtpwall" apply --refresh
check "nothing in force: an error" exits 3
check "nothing in force: and still nothing" is "$(generation)" 0

run with_hosts "$smtpwall" apply
check "apply: exit status 0" exits 0
check "apply: the first address" is "$(verdict 203.0.113.9)" allow
first=$(generation)

run with_hosts "$smtpwall" apply --refresh
check "nothing changed: exit status 0, no word" exits 0 0
check "nothing changed: the same generation" is "$(generation)" "$first"

resolves_to 203.0.113.10 203.0.113.11
run with_hosts "$smtpwall" apply --refresh
check "another address: exit status 0" exits 0
check "another address: says so" has "$err" "refreshed: "
check "another address: allowed" is "$(verdict 203.0.113.11)" allow
check "another address: the old one is denied" is "$(verdict 203.0.113.9)" deny
second=$(generation)
check "another address: a new generation" is "$second" $((first + 1))

config "$policy
[policy]
mode = observe"
resolves_to 203.0.113.12
run with_hosts "$smtpwall" apply --refresh
check "edited file: exit status 1" exits 1
check "edited file: says what to do" has "$err" "'smtpwall apply' makes it the policy"
check "edited file: not in force" is "$(generation)" "$second"

config "$policy"
run with_hosts "$smtpwall" apply --for 1h
trial=$(generation)
resolves_to 203.0.113.13
run with_hosts "$smtpwall" apply --refresh
check "on trial: exit status 0" exits 0
check "on trial: not replaced" is "$(generation)" "$trial"
run "$smtpwall" apply --confirm
run with_hosts "$smtpwall" apply --refresh
check "confirmed: refreshed" is "$(verdict 203.0.113.13)" allow

done_testing
