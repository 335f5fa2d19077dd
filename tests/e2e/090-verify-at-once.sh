#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# verify from several places at once (a monitoring check, an administrator): each is right.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start

run "$smtpwall" apply
check "apply" exits 0
for round in 1 2 3; do
	pids=() bad=0
	for i in {1..8}; do
		"$smtpwall" verify >"$tmp/verify.$i" 2>&1 &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || bad=$((bad + 1))
	done
	out=$(cat "$tmp"/verify.*)
	check "round $round: all eight are satisfied" is "$bad" 0
done
done_testing
