#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Command lines that are wrong: exit status 2, one line that names the bad word, nothing changed.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start

commands=(run apply off status verify report top events queue monitor explain suggest domains import metrics)

run "$smtpwall"
check "without a command: exit status 2" exits 2
check "without a command: help on standard error" has "$err" "Usage: smtpwall COMMAND"
check "without a command: nothing on standard output" is "$out" ""
run "$smtpwall" frobnicate
fails "unknown command" 2 "'frobnicate'"
for option in --help -h help; do
	run "$smtpwall" "$option"
	check "$option: exit status 0, no error" exits 0 0
	for command in "${commands[@]}"; do
		check "$option: lists $command" has "$out" "  $command "
	done
done
run "$smtpwall" --version
check "--version: exit status 0" exits 0 0
check "--version: name and number" eval '[[ $out =~ ^smtpwall\ [0-9]+(\.[0-9]+)+$ ]]'

for command in "${commands[@]}"; do
	run "$smtpwall" "$command" --help
	check "$command --help: exit status 0, no error" exits 0 0
	check "$command --help: says how" has "$out" "Usage: smtpwall $command"
	check "$command --help: common options" has "$out" "--pin-dir"
	run "$smtpwall" "$command" --bogus
	fails "$command --bogus" 2 "'--bogus'"
	run "$smtpwall" "$command" -z
	fails "$command -z" 2 "'-z'"
	run "$smtpwall" "$command" --config
	fails "$command --config without a file" 2 "'--config'"
	run "$smtpwall" "$command" --format yaml
	fails "$command --format yaml" 2 "'yaml'"
	run "$smtpwall" "$command" --pin-dir relative/dir
	fails "$command with a relative pin directory" 2 "'relative/dir'" "absolute"
	extra=()
	[[ $command != explain ]] || extra=(--uid 0)
	[[ $command != domains ]] || extra=(root)
	run "$smtpwall" "$command" "${extra[@]}" surplus
	fails "$command with an argument too many" 2 "'surplus'"
done

run "$smtpwall" explain
fails "explain without --uid" 2 "--uid"
for uid in no-such-account 4294967295 -1 1e3 ''; do
	run "$smtpwall" explain --uid "$uid"
	fails "explain --uid '$uid'" 2 "'$uid'"
done
for port in 0 65536 70000 smtp -25 25x ''; do
	run "$smtpwall" explain --uid 0 --port "$port"
	fails "explain --port '$port'" 2 "'$port'"
done
for dest in localhost 192.0.2 192.0.2.256 192.0.2.1:25 :::1 '' 1.2.3.4/8; do
	run "$smtpwall" explain --uid 0 --dest "$dest"
	fails "explain --dest '$dest'" 2 "'$dest'"
done
run "$smtpwall" explain --uid 0 --gid no-such-group
fails "explain --gid" 2 "'no-such-group'"
run "$smtpwall" explain --uid 0 --cgroup-of /no/such/cgroup
fails "explain --cgroup-of" 2 "/no"

run "$smtpwall" apply --cgroup /nonexistent
fails "apply to a cgroup that is not there" 3 "/nonexistent"
run "$smtpwall" apply --cgroup /tmp
fails "apply to a directory that is no cgroup" 2 "/tmp" "cgroup2"
run "$smtpwall" apply --pin-dir "$tmp/pins"
fails "apply with pins on an ordinary file system" 3 "$tmp/pins" "BPF file system"
check "and nothing was made there" test ! -e "$tmp/pins"
run "$smtpwall" apply --pin-dir "/sys/fs/bpf/swe2e.$$"
fails "apply with a dot in the pin directory" 3 "dot"
run "$smtpwall" status --format tsv
check "nothing was put into force by any of these" has "$out" $'bad\toff\t'
check "nor were pins made" test ! -e "$SMTPWALL_PIN_DIR"
done_testing
