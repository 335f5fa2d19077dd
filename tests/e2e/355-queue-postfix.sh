#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The queue of a real Postfix: who put what into each of its directories; nothing changes.
# shellcheck disable=SC2016,SC2034,SC2317 # eval expands text later; queue-cases.sh calls functions

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mta-root.sh
. tests/e2e/mta-root.sh
# shellcheck source=tests/e2e/queue-cases.sh
. tests/e2e/queue-cases.sh

own_root postfix
start
need php jq
queue_accounts
spool=/var/spool/postfix
script=/etc/init.d/postfix
postconf -e 'defer_transports = smtp' 'smtpd_authorized_xclient_hosts = 127.0.0.1' \
	'inet_interfaces = loopback-only' 'inet_protocols = ipv4' 'myhostname = mail.example' \
	'mydestination = mail.example localhost' 'mynetworks = 127.0.0.0/8 203.0.113.0/24'

queued() { find "$spool"/{maildrop,incoming,active,deferred,hold} -type f | wc -l; }

# speak_auth LOGIN: as a client that the server has authenticated.
speak_auth() {
	new_mail
	sed "s/^say \"MAIL/say \"XCLIENT ADDR=203.0.113.9 LOGIN=$1\"\nexpect 220\nsay 'EHLO client.example'\nexpect 250\n&/" \
		"$tmp/speak" >"$tmp/speak-auth"
	run as "$account" bash "$tmp/speak-auth" 127.0.0.1 "someone@$domain" "$id"
}

# Mail from elsewhere for nobody here, whose sender gets a bounce.
bounce() {
	sed -e "s/^say \"MAIL.*/say 'XCLIENT ADDR=203.0.113.8'\nexpect 220\nsay 'EHLO client.example'\nexpect 250\nsay 'MAIL FROM:<forged@elsewhere.example>'/" \
		"$tmp/speak" >"$tmp/speak-forged"
	postconf -e 'local_recipient_maps ='
	run as 0 postfix reload
	new_mail
	run as "$account" bash "$tmp/speak-forged" 127.0.0.1 nobody-here@localhost "$id"
	check "mail for nobody is taken" exits 0
	check "a bounce is made" within 60 eval 'postqueue -j | grep -q MAILER-DAEMON'
}

start_server "$script"
hand_in
# The delivery agent has them all by now, or none waits there.
check "all are deferred" within 60 eval \
	'[[ -z $(find "$spool"/{maildrop,incoming,active} -type f) ]]'
run postsuper -h "$(postqueue -j | jq -r 'select(.sender == "news@blog.example") | .queue_id')"
check "a message is put on hold" exits 0
stop_server "$script"
ranked "deferred"

sendmail_as "$account"
check "no daemon: sendmail: taken" exits 0
php_mail "$other" blog
check "maildrop: shop" row uid "uid messages recipients via" "$account 5 8 sendmail"
check "maildrop: blog" row uid "uid messages recipients via" "$other 3 3 sendmail"
check "maildrop: a script" row script "script messages" "$other:contact.php 2"
run setpriv --reuid "$account" --regid "$account" --clear-groups "$smtpwall" queue --mta postfix
check "without privilege: nothing, and it says so" has "$err$out" "root"
done_testing
