# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# For end-to-end tests of `smtpwall queue` on the spool of a real mail server. A test sources this
# after mta-root.sh. It sets $spool.
# shellcheck disable=SC2016,SC2034,SC2154 # eval expands text later; lib.sh and tests set the rest

other=61010	# a second account, "blog"
shared=33	# the web server's, of Debian: mod_php runs as it

# queue_accounts: "shop" and "blog", one site each, as a web server with a panel has them.
queue_accounts() {
	local name uid
	for name in shop blog; do
		uid=$account
		[[ $name == shop ]] || uid=$other
		echo "$name:x:$uid:$uid::/home/$name:/bin/bash" >>/etc/passwd
		echo "$name:x:$uid:" >>/etc/group
		install -d -o "$uid" -g "$uid" "/home/$name/public_html"
		echo "$name.example: $name" >>/etc/trueuserdomains
		echo "$name.example: $name==root==main==$name.example==/home/$name/public_html==" \
			>>/etc/userdatadomains
	done
	speak_program >"$tmp/speak"
	at_exit 'end_processes'
}

# php_mail UID NAME: a script of account NAME, run by UID, calls mail().
php_mail() {
	local script=/home/$2/public_html/contact.php
	cat >"$script" <<-END
	<?php
	exit(mail('someone@$domain', 'contact', "A contact form.\n", "From: www@$2.example") ? 0 : 1);
	END
	chown "$2:$2" "$script"
	run as "$1" php -n -d mail.add_x_header=1 -d "sendmail_path=/usr/sbin/sendmail -t -i" "$script"
	check "$2: PHP mail() by UID $1 is taken" exits 0
}

# hand_in: one of each. speak_auth and bounce are the test's own.
hand_in() {
	for ((i = 0; i < 3; i++)); do
		sendmail_as "$account" "second@$domain"
		check "sendmail: taken" exits 0
	done
	sendmail_as "$other" -f news@blog.example
	check "sendmail -f: taken" exits 0
	php_mail "$account" shop
	php_mail "$other" blog
	php_mail "$shared" blog
	speak 127.0.0.1
	check "SMTP to this machine: taken" exits 0
	speak_auth info@shop.example
	check "authenticated: taken" exits 0
	bounce
}

# rows BY FIELD...: the ranking with these fields of JSON, one line a row.
rows() {
	local by=$1 fields
	shift
	fields=$(printf ', .%s' "$@")
	"$smtpwall" queue --by "$by" --format json |
		jq -r ".rows[] | [${fields#, }] | map(. // \"-\" | tostring) | join(\" \")"
}

# row BY FIELDS LINE: this is one of them.
row() {
	local -a fields
	read -ra fields <<<"$2"
	out=$(rows "$1" "${fields[@]}")
	[[ $'\n'$out$'\n' == *$'\n'"$3"$'\n'* ]]
}

# total FIELD [OPTION...]: of all messages.
total() {
	local field=$1
	shift
	"$smtpwall" queue --format json "$@" | jq -r ".$field"
}

everything() { find "$spool" -printf '%p %i %s %m %U %C@\n' | sort; }

# ranked NAME: what hand_in handed in, the message of news@blog.example being frozen.
ranked() {
	local name=$1 before after columns='uid user domain messages recipients frozen via'
	before=$(everything)
	check "$name: shop" row uid "$columns" "$account shop shop.example 4 7 0 sendmail"
	check "$name: blog" row uid "$columns" "$other blog blog.example 2 2 1 sendmail"
	check "$name: a shared UID: the script says whose" row uid "uid source domain messages" \
		"$shared script blog.example 1"
	check "$name: SMTP to this machine" row uid "$columns" "- - shop.example 1 1 0 local"
	check "$name: authenticated" row uid "$columns source" "- - shop.example 1 1 0 auth auth"
	check "$name: by authenticated user" row auth "auth messages" "info@shop.example 1"
	check "$name: by script" row script "script uid messages" "$account:contact.php $account 1"
	check "$name: by sender" row sender "sender uid messages frozen" "news@blog.example $other 1 1"
	check "$name: by domain" row domain "domain messages recipients" "shop.example 6 9"
	check "$name: by domain" row domain "domain messages frozen" "blog.example 3 1"
	check "$name: the bounce" row uid "via messages bounces backscatter" "server 1 1 1"
	check "$name: --frozen" is "$(total messages --frozen)" 1
	check "$name: --bounces" is "$(total messages --bounces)" 1
	check "$name: as many as the mail server says" is "$(total messages)" "$(queued)"
	check "$name: all could be read" is \
		"$(total 'spools[0] | .vanished + .incomplete + .unreadable + .strange')" 0
	run "$smtpwall" queue
	check "$name: the table" exits 0 0
	check "$name: names the spool" has "$out" "in $spool: "
	check "$name: it fits" is "$(grep -E "^.{81}" <<<"$out")" ""
	after=$(everything)
	check "$name: nothing was changed" is "$before" "$after"
}
