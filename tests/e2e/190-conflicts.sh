#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Owner rules of packet filters for SMTP ports are named by status, whoever made them, as long as
# they are there. In a network namespace of the test's own: rules are each namespace's.
# shellcheck disable=SC2016,SC2034 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need ip nsenter jq
ip netns add "swcon$$" || exit 99
at_exit 'ip netns delete "swcon$$"'

inside() { nsenter --net="/run/netns/swcon$$" "$@"; }

# conflicts: those with packet filters, one a line. Other tools may be installed here.
conflicts() {
	inside "$smtpwall" status --format json | jq -r '.conflicts[] |
		select(test("decides by owner|SMTPOUTPUT"))'
}

# named NAME WORD...: one conflict, with these words.
named() {
	local name=$1 word
	shift
	out=$(conflicts)
	check "$name: one conflict" is "$(grep -c . <<<"$out")" 1
	for word; do
		check "$name: names $word" has "$out" "$word"
	done
}

# can COMMAND...: works in the namespace; else what needs it is left out.
can() { command -v "$1" >/dev/null && inside "$@" 2>/dev/null; }

run "$smtpwall" apply
check "apply" exits 0
check "no rules: no conflicts" is "$(conflicts)" ""

for tool in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
	if ! can "$tool" -A OUTPUT -p tcp --dport 25 -m owner --uid-owner 0 -j ACCEPT; then
		echo "# $tool cannot be used here"
		continue
	fi
	named "$tool" "${tool%-nft} decides by owner" "1 rule in chain OUTPUT of table filter" \
		"--uid-owner 0 -j ACCEPT"
	run inside "$smtpwall" status
	check "$tool: healthy all the same" exits 0
	check "$tool: and shown" has "$out" "conflict    ${tool%-nft} decides by owner"
	inside "$tool" -F OUTPUT
	check "$tool: gone with the rule" is "$(conflicts)" ""

	# As CSF does it.
	inside "$tool" -N SMTPOUTPUT
	inside "$tool" -A OUTPUT -p tcp -j SMTPOUTPUT
	inside "$tool" -A SMTPOUTPUT -p tcp -m multiport --dports 25,465,587 -m owner \
		--gid-owner 8 -j ACCEPT
	inside "$tool" -A SMTPOUTPUT -p tcp -m multiport --dports 25,465,587 -j REJECT
	named "$tool, CSF" "${tool%-nft} still has CSF's chain SMTPOUTPUT with 2 rules"
	inside "$tool" -F OUTPUT
	inside "$tool" -F SMTPOUTPUT
	inside "$tool" -X SMTPOUTPUT
	check "$tool, CSF: gone with the chain" is "$(conflicts)" ""
done

if can nft add table inet other; then
	inside nft add chain inet other out '{ type filter hook output priority 0; }'
	inside nft add rule inet other out meta skuid != 0 tcp dport '{ 25, 465 }' drop
	named nft "nft decides by owner" "1 rule in chain out of table inet other" "skuid != 0"
	inside nft flush chain inet other out
	check "nft: gone with the rule" is "$(conflicts)" ""
	inside nft add rule inet other out meta skuid 33 tcp dport 2525 drop
	check "nft: another port is no conflict" is "$(conflicts)" ""
	config $'[policy]\ndeny_ports = 25 2525'
	run "$smtpwall" apply
	named "nft, a port of the policy" "tcp dport 2525"
	inside nft flush chain inet other out
	inside nft add rule inet other out meta skuid 33 tcp dport 587 drop
	run "$smtpwall" off
	named "nft, nothing in force" "tcp dport 587"
	inside nft delete table inet other
else
	echo "# nft cannot be used here"
fi
check "at the end: no conflicts" is "$(conflicts)" ""
done_testing
