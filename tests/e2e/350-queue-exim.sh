#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The queue of a real Exim: who put what into it, in both layouts of the spool; nothing changes.
# shellcheck disable=SC2016,SC2034,SC2317 # eval expands text later; queue-cases.sh calls functions

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mta-root.sh
. tests/e2e/mta-root.sh
# shellcheck source=tests/e2e/queue-cases.sh
. tests/e2e/queue-cases.sh

own_root exim4-daemon-light
start
need php jq
queue_accounts
spool=/var/spool/exim4

# setting LINE: of Exim's main section.
setting() {
	sed -i "1i $1" /etc/exim4/exim4.conf.template && update-exim4.conf
}

queued() { exim4 -bpc; }

# with_sender ADDRESS: the id of the message in the queue.
with_sender() { exim4 -bp | awk -v sender="<$1>" '$4 == sender { print $3 }'; }

# As Exim's daemon does for a client that has authenticated.
speak_auth() {
	new_mail
	printf '%s\n' "Subject: $id" '' "This is $id." >"$tmp/message"
	run setpriv --reuid Debian-exim --regid Debian-exim --clear-groups bash -c \
		'message=$1 && shift && exec exim4 "$@" <"$message"' bash "$tmp/message" \
		-oMr esmtpsa -oMa 203.0.113.9 -oMaa login -oMai "$1" -f "$1" "someone@$domain"
}

# Mail from elsewhere for nobody here, whose sender gets a bounce.
bounce() {
	new_mail
	printf '%s\n' "Subject: $id" '' "This is $id." >"$tmp/message"
	exim4 -oMr esmtp -oMa 203.0.113.8 -f forged@elsewhere.example nobody-here@localhost \
		<"$tmp/message"
	exim4 -M "$(with_sender forged@elsewhere.example)"
	check "a bounce is made" within 60 eval '[[ -n $(with_sender "") ]]'
}

fill() {
	run as 0 exim4 -bd -oP "$tmp/exim.pid"
	check "the server starts" within 60 eval '[[ -n $(listening) ]]'
	hand_in
	run exim4 -Mf "$(with_sender news@blog.example)"
	check "a message is frozen" exits 0
	kill "$(<"$tmp/exim.pid")"
	check "the server stops" within 60 eval '[[ -z $(listening) ]]'
}

run "$smtpwall" queue --mta exim
check "empty: exit status 0" exits 0 0
check "empty: says where it looked" has "$out" "exim in $spool: 0 messages"
setting 'primary_hostname = mail.example'
setting 'queue_only = true'
fill
ranked "one directory"
find "$spool/input" -type f -delete
setting 'split_spool_directory = true'
fill
check "the spool is split" test -n "$(find "$spool/input" -mindepth 2 -name '*-H')"
ranked "split"
run setpriv --reuid "$account" --regid "$account" --clear-groups "$smtpwall" queue --mta exim
fails "without privilege" 3 "exim" "root"
done_testing
