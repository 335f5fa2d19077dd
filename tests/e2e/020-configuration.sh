#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A configuration that is wrong: every error at once with file and line, exit status 2, and the
# policy in force stays.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start

conf=$tmp/smtpwall.conf

# wrong NAME LINE WORD: the configuration has one error, in LINE, whose text has WORD in it.
wrong() {
	run "$smtpwall" apply --check
	fails "$1" 2 "$conf:$2:" "$3"
}

printf '[exempt]\nusers = root no-such-account\n' >"$conf"
wrong "unknown user" 2 "no-such-account"
printf '[exempt]\n\ngroups = no-such-group\n' >"$conf"
wrong "unknown group" 3 "no-such-group"
printf '[exempt]\ncgroups = /no/../cgroup\n' >"$conf"
wrong "impossible cgroup" 2 "/no/../cgroup"
printf '[exempt]\n\ncgroups = /no/such/cgroup\n' >"$conf"
run "$smtpwall" apply --check
check "cgroup that is not there yet: no error" exits 0
check "cgroup that is not there yet: a warning" has "$err" "$conf:3: there is no cgroup /no/such/cgroup"
printf '[policy]\ndeny_ports = 70000\n' >"$conf"
wrong "port 70000" 2 "70000"
printf '[policy]\ndeny_ports = 0\n' >"$conf"
wrong "port 0" 2 "0"
printf '[policy]\ndeny_ports =\n' >"$conf"
wrong "no port at all" 2 "deny_ports"
printf '[policy]\nmode = blok\n' >"$conf"
wrong "unknown mode" 2 "blok"
printf '[policy]\nmoed = enforce\n' >"$conf"
wrong "unknown key" 2 "moed"
printf '[polizy]\n' >"$conf"
wrong "unknown section" 1 "polizy"
printf 'mode = enforce\n' >"$conf"
wrong "key before any section" 1 "mode"
printf '[policy\nmode = enforce\n' >"$conf"
wrong "unfinished section" 1 "bracket"
printf '[policy]\nmode enforce\n' >"$conf"
wrong "line without a value" 2 "mode enforce"
printf '[allow]\nrule = any to 192.0.2.25 port 26\n' >"$conf"
wrong "rule for a port that is open anyway" 2 "neither deny_ports"
printf '[limit]\ndefault = 10\n' >"$conf"
wrong "limit without a period" 2 "N/day"
printf '[alerts]\nrule = denied 100\n' >"$conf"
wrong "alert without a period" 2 "N/hour"

cat >"$conf" <<'END'
[policy]
mode = blok
deny_ports = 25 70000
strict = perhaps
[exempt]
users = root no-such-account
groups = no-such-group
[polizy]
END
run "$smtpwall" apply --check
check "many errors: exit status 2" exits 2
for line in 2 3 4 6 7 8; do
	check "many errors: line $line is named" has "$err" "$conf:$line: "
done
check "many errors: how many" has "$err" "6 errors; nothing was changed"
check "many errors: nothing else is said" exits 2 7

run "$smtpwall" apply --check --config "$tmp/missing.conf"
fails "missing file" 2 "$tmp/missing.conf" "No such file"
run "$smtpwall" apply --check --config "$tmp"
fails "directory as file" 2 "$tmp" "is a directory"
run "$smtpwall" apply --check --config /dev/null
fails "device as file" 2 "/dev/null" "not a regular file"
mkfifo "$tmp/fifo"
run timeout 10 "$smtpwall" apply --check --config "$tmp/fifo"
fails "FIFO as file" 2 "$tmp/fifo"
head -c 3000 /dev/urandom >"$tmp/noise"
run "$smtpwall" apply --check --config "$tmp/noise"
check "noise as file: exit status 2" exits 2
check "noise as file: nothing that a terminal would act on" eval \
	'! LC_ALL=C grep -qaP "[\\x00-\\x09\\x0b-\\x1f\\x7f]|\\xc2[\\x80-\\x9f]" "$tmp/err"'
check "noise as file: and only UTF-8" iconv -f UTF-8 -t UTF-8 -o /dev/null "$tmp/err"
config ''
chmod 600 "$conf"
run setpriv --reuid "$nobody" --regid "$nobody" --clear-groups "$smtpwall" apply --check
fails "unreadable file" 2 "$conf" "Permission denied"

# What is right is only said; nothing is put into force.
config '[policy]
mode = observe'
run "$smtpwall" apply --check
check "--check of a good file: exit status 0" exits 0
check "--check of a good file: says what it is" has "$err" "mode observe"
check "--check makes no pins" test ! -e "$SMTPWALL_PIN_DIR"

# A policy is in force, and stays it.
config ''
run "$smtpwall" apply
check "apply" exits 0
generation=$(generation)
check "a generation is in force" test "${generation:-0}" -gt 0
printf '[policy]\nmode = blok\n' >"$conf"
run "$smtpwall" apply
fails "apply of a bad file" 2 "$conf:2:"
run "$smtpwall" apply --config "$tmp/missing.conf"
fails "apply of a missing file" 2 "missing.conf"
config '[policy]
mode = observe'
run "$smtpwall" apply --check
check "apply --check" exits 0
check "the generation is the same" is "$(generation)" "$generation"
check "and the mode" is "$("$smtpwall" status --format tsv | cut -f 1,2)" $'good\tenforce'
SMTPWALL_DISABLE=ring_buffer run "$smtpwall" apply
fails "apply without a required feature" 3 "ring_buffer"
SMTPWALL_DISABLE=warp_drive run "$smtpwall" apply
fails "apply with an unknown feature" 2 "warp_drive"
check "still the same generation" is "$(generation)" "$generation"
config '[allow]
rule = any to localhost port 25'
run "$smtpwall" apply --check
check "apply --check with a host name" exits 0
run "$smtpwall" explain --config "$conf" --uid 61009 --dest 127.0.0.2 --port 25
check "explain with a host name" exits 0
check "neither remembers its addresses" eval '[[ ! -e $SMTPWALL_STATE_DIR ]]'
run "$smtpwall" apply
check "the good file is applied" exits 0
check "its addresses are remembered" eval '[[ -s $SMTPWALL_STATE_DIR/names ]]'
check "the next generation" is "$(generation)" $((generation + 1))
printf '%s\n' '[exempt]' "users = 61001$mta_users" "groups =$mta_groups" 'mta = none' \
	>"$tmp/no-root"
run "$smtpwall" apply --check --config "$tmp/no-root"
check "root left out: accepted" exits 0
check "root left out: said" has "$err" "root is not exempt"
done_testing
