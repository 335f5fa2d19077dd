#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Without privilege every command that needs the kernel ends with 3 and one line, and changes
# nothing; so does a second loader while the first one is at work.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start

drop=(setpriv --reuid "$nobody" --regid "$nobody" --clear-groups)

# without_privilege LABEL: every command, once with nothing and once with a policy in force.
without_privilege() {
	local command
	for command in apply off status report; do
		run timeout 30 "${drop[@]}" "$smtpwall" "$command"
		fails "$1: $command" 3
	done
	run "${drop[@]}" "$smtpwall" explain --uid 0
	fails "$1: explain" 3
	run timeout 30 "${drop[@]}" "$smtpwall" verify
	check "$1: verify is not satisfied" eval '((status == 1 || status == 3))'
	run "${drop[@]}" "$smtpwall" explain --uid 0 --config "$SMTPWALL_CONFIG"
	check "$1: explain --config needs none" exits 0
	run "${drop[@]}" "$smtpwall" apply --check
	check "$1: apply --check needs none" exits 0
}

without_privilege "nothing in force"
check "no pins were made" test ! -e "$SMTPWALL_PIN_DIR"

run "$smtpwall" apply
check "apply" exits 0
generation=$(generation)
without_privilege "in force"
for command in metrics report status; do
	run "${drop[@]}" "$smtpwall" "$command"
	fails "in force: $command" 3
done
check "the policy is as before" is "$(generation)" "$generation"
run "$smtpwall" verify
check "and good" exits 0

# A second loader.
exec {lock}<"$SMTPWALL_PIN_DIR"
flock --exclusive --nonblock "$lock" || echo "# cannot lock"
for command in apply off; do
	run "$smtpwall" "$command"
	fails "second loader: $command" 3 "another smtpwall" "$SMTPWALL_PIN_DIR"
done
check "the policy is as before" is "$(generation)" "$generation"
for command in status verify report metrics; do
	run "$smtpwall" "$command"
	check "readers do not wait: $command" exits 0
done
exec {lock}<&-
run "$smtpwall" apply
check "after the lock: apply" exits 0

# Ten at once: one at a time, the others say so, and all is well at the end.
pids=()
for i in {1..10}; do
	"$smtpwall" apply >"$tmp/at-once.$i" 2>&1 &
	pids+=($!)
done
bad=0 good=0
for i in "${!pids[@]}"; do
	wait "${pids[i]}"
	case $? in
	0) good=$((good + 1)) ;;
	3) grep -q 'another smtpwall' "$tmp/at-once.$((i + 1))" || bad=$((bad + 1)) ;;
	*) bad=$((bad + 1)) ;;
	esac
done
check "ten at once: one at least gets through" test "$good" -ge 1
check "ten at once: the others are told why" is "$bad" 0
check "ten at once: one generation for each that did" is "$(generation)" \
	$((generation + 1 + good))
run "$smtpwall" verify
check "ten at once: good at the end" exits 0
done_testing
