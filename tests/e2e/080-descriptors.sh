#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Standard descriptors that are closed must not become a map that messages are written into, and
# output that cannot be written is an error.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start

commands=(apply status verify report "explain --uid 0" metrics "apply --check")

run "$smtpwall" apply
check "apply" exits 0
for closed in '<&-' '>&-' '2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
	for command in "${commands[@]}"; do
		# shellcheck disable=SC2086 # words on purpose
		run bash -c "exec $closed; \"\$0\" $command" "$smtpwall"
		check "$command with $closed: exit status 0" exits 0
	done
	run "$smtpwall" status
	check "healthy after all with $closed" exits 0
	run "$smtpwall" verify
	check "good after all with $closed" exits 0
done
check "nothing was counted but the canaries" is \
	"$("$smtpwall" report --all --format tsv | wc -l)" 0
for command in status report "explain --uid 0" metrics; do
	# shellcheck disable=SC2086 # words on purpose
	run bash -c "\"\$0\" $command --format json >/dev/full" "$smtpwall"
	check "$command to a full disk: an error" exits 3
done
done_testing
