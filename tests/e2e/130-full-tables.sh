#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A full table changes no verdict, and status says what happened and what to do.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq
config $'[policy]\nmode = enforce\n[tables]\nuids = 16\norigins = 16'
run "$smtpwall" apply
check "apply" exits 0

connects=24
refusals=0
for ((i = 0; i < connects; i++)); do
	mkdir "$tmp/site$i"
	run as $((62000 + i)) bash -c "cd '$tmp/site$i' && echo > /dev/tcp/192.0.2.1/25"
	! refused "Connection refused" || ((++refusals))
done
check "every connect is refused, also when the tables are full" is "$refusals" "$connects"
run "$smtpwall" verify
check "verify still says so" exits 0

run "$smtpwall" status --format json
check "status: exit status 1" exits 1
check "status: not healthy" is "$(jq .healthy <<<"$out")" false
check "status: used and max" is "$(jq -c '[.uid_table.used, .uid_table.max]' <<<"$out")" '[15,16]'
# 24 accounts and three connects of verify: 15 have rows, the overflow row is the sixteenth.
check "status: attempts on the overflow row" is "$(jq .uid_table.overflow <<<"$out")" 12
check "status: the same of directories" is "$(jq .origin_table.overflow <<<"$out")" 12
check "status: says which table" has "$out" "account table is full"
check "status: says what to do" has "$out" "raise [tables] uids"
check "status: and of directories" has "$out" "directory table is full"
run "$smtpwall" report --all --format json
check "report: nothing is missing from the sum" \
	is "$(jq '[.rows[].denied] | add' <<<"$out")" $((connects + 3))
done_testing
