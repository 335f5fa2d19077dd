#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The order of an apply, from its system calls: new rows are written and read back before any
# program is swapped, and old rows go only after a grace period that follows the last swap. The
# moment in which a wrong order shows is too short to be hit by connects alone.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need strace

run "$smtpwall" apply
check "a first apply" exits 0

# Line numbers of the first and the last call that matches, 0 when there is none.
first() { grep -nE -m 1 "$1" "$tmp/calls" | cut -d : -f 1 || echo 0; }
last() { grep -nE "$1" "$tmp/calls" | tail -n 1 | cut -d : -f 1; }
# shellcheck disable=SC2317 # called by check
before() { [[ -n $1 && -n $2 ]] && ((0 < $1 && $1 < $2)); }

run strace -f -qq -e trace=bpf -o "$tmp/calls" "$smtpwall" apply
check "an apply over it" exits 0
written=$(last 'BPF_MAP_UPDATE_BATCH')
read_back=$(grep -nE 'BPF_MAP_LOOKUP_BATCH' "$tmp/calls" | cut -d : -f 1 |
	awk -v from="$written" '$1 > from { print; exit }')
swapped_first=$(first 'BPF_LINK_UPDATE')
swapped_last=$(last 'BPF_LINK_UPDATE')
grace=$(last 'map_name="sw_grace"')
waited=$(grep -nE 'BPF_MAP_UPDATE_ELEM' "$tmp/calls" | cut -d : -f 1 |
	awk -v from="$grace" '$1 > from { print; exit }')
deleted=$(first 'BPF_MAP_DELETE')

check "the rows are read back after they were written" before "$written" "$read_back"
check "and before the first program is swapped" before "$read_back" "$swapped_first"
check "both programs, and that of outcomes, are swapped in place" is \
	"$(grep -c BPF_LINK_UPDATE "$tmp/calls")" 3
check "no link is made or detached" is "$(grep -cE 'BPF_LINK_(CREATE|DETACH)' "$tmp/calls")" 1
check "and that one is the probe, which attaches nowhere" \
	grep -qE 'BPF_LINK_CREATE.*target_fd=-1.*EBADF' "$tmp/calls"
check "the grace period begins after the last swap" before "$swapped_last" "$grace"
check "old rows are deleted after the grace period, and none before" before "$waited" "$deleted"
done_testing
