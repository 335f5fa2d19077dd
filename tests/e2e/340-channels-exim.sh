#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Exim and PHP: the three ways out of one script, each counted once. See channels-cases.sh. First on
# the command line, then under php-fpm and mod_php, where the directory tells the sites apart.
# shellcheck disable=SC2016,SC2034,SC2317 # at_exit expands later; channels-cases.sh; check calls

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mta-root.sh
. tests/e2e/mta-root.sh
# shellcheck source=tests/e2e/web-root.sh
. tests/e2e/web-root.sh
need jq curl

packages=(exim4-daemon-light apache2 libapache2-mod-php php-fpm)
command -v php >/dev/null || packages+=(php-cli)
own_root "${packages[@]}"
start
web_places
mail_lab
# shellcheck source=tests/e2e/channels-cases.sh
. tests/e2e/channels-cases.sh

mta=exim owner=Debian-exim script=/etc/init.d/exim4
three_ways

# ---- The same under a web server ----

customer alice 61021
three_ways_php | put alice /home/alice/public_html/contact/send.php
three_ways_php | put alice /home/alice/blog/wp-content/send.php
three_ways_php | put root /srv/forum/lib/send.php
three_ways_php | put root /srv/wiki/send.php

pools=/etc/php/$php/fpm/pool.d
rm "$pools"/*
printf '%s\n' '[alice]' 'user = alice' 'group = alice' 'listen = /run/php/alice.sock' \
	'listen.owner = www-data' 'listen.group = www-data' 'pm = static' 'pm.max_children = 2' \
	>"$pools/alice.conf"

# vhost NAME ROOT [LINE...]
vhost() {
	local name=$1 root=$2
	shift 2
	printf '%s\n' "<VirtualHost *:$port>" "	ServerName $name" "	DocumentRoot $root" \
		"	<Directory $root>" "		Require all granted" "	</Directory>" \
		"${@/#/	}" '</VirtualHost>' >"/etc/apache2/sites-enabled/$name.conf"
}
to_pool=('<FilesMatch "\.php$">' '	SetHandler "proxy:unix:/run/php/alice.sock|fcgi://localhost"'
	'</FilesMatch>')
rm /etc/apache2/sites-enabled/*
echo "Listen 127.0.0.1:$port" >/etc/apache2/ports.conf
vhost alice.example /home/alice/public_html "${to_pool[@]}"
vhost blog.example /home/alice/blog "${to_pool[@]}"
vhost forum.example /srv/forum
vhost wiki.example /srv/wiki
run a2enmod -q proxy_fcgi setenvif
check "a2enmod" exits 0
daemon php-fpm "/etc/init.d/php$php-fpm" start
daemon Apache /etc/init.d/apache2 start
answers_http
root_ran=$(sendmails root)

# All at once, so that what one site does could go to another one's account.
declare -A wanted=([alice.example/contact/]=50 [forum.example/lib/]=50
	[blog.example/wp-content/]=7 [wiki.example/]=5)
for place in "${!wanted[@]}"; do
	curl -sS --fail --max-time 100 -H "Host: ${place%%/*}" \
		"http://127.0.0.1:$port/${place#*/}send.php?n=${wanted[$place]}&server=$server" \
		>"$tmp/${place//\//_}" 2>&1 &
	curls+=($!)
done
wait "${curls[@]}"
for place in "${!wanted[@]}"; do
	k=${wanted[$place]} out=$(<"$tmp/${place//\//_}")
	check "$place: $k handed over, $k local, $k refused" is "$out" "$k $k $k"
	((mails += 2 * k))
done

# ways BY LINE...: the rows of the report by that are exactly these, each "DENIED LOCAL SENDMAIL
# ATTEMPTS DOMAIN SOURCE USER DIRECTORY". Left out are the server itself, and root, who ran its
# program to start it; that row is looked at below.
ways() {
	local by=$1
	shift
	run "$smtpwall" report --by "$by" --format json --all
	jq -r --arg owner "$owner" '.rows[] |
		select(.user != $owner and (.user != "root" or .attempts != .sendmail)) |
		[.denied, .local, .sendmail, .attempts, .domain, .source, .user, .directory] |
		map(. // "-" | tostring) | join(" ")' <<<"$out" | sort >"$tmp/rows"
	printf '%s\n' "$@" | sort | diff "$tmp/rows" - >"$tmp/diff" && exits 0 0 && return
	out=$(<"$tmp/diff")
	return 1
}
sites=(
	"50 50 50 150 alice.example docroot alice /home/alice/public_html/contact"
	"7 7 7 21 blog.example docroot alice /home/alice/blog/wp-content"
	"50 50 50 150 forum.example docroot www-data /srv/forum/lib"
	"5 5 5 15 wiki.example docroot www-data /srv/wiki"
)
shop="$n $n $n $((3 * n)) - home shop $site"
check "by domain: each site has its own" ways domain "${sites[@]}" "$shop"
check "by directory: the same" ways directory "${sites[@]}" "$shop"
delivered "web"
check "root: what starts the server, not what it delivers" is "$(sendmails root)" "$root_ran"

# ---- Alerts of the ways out ----

printf '%s\n' '[alerts]' 'rule = sendmail 5/60s per domain' 'rule = local 5/60s per account' \
	"command = $tmp/sink" >>"$tmp/smtpwall.conf"
printf '#!/bin/sh\ncat >>"%s"\n' "$tmp/told" >"$tmp/sink"
chmod 755 "$tmp/sink"
: >"$tmp/told"
run "$smtpwall" apply
check "alerts: apply" exits 0
"$smtpwall" monitor --user nobody 2>"$tmp/log" &
monitor=$!
at_exit 'kill "$monitor" 2>/dev/null; wait "$monitor" 2>/dev/null'
check "alerts: the monitor runs" within 30 grep -q 'watching generation' "$tmp/log"
get wiki.example "/send.php?n=5&server=$server"
check "alerts: five more by each way" is "$out" '5 5 5'
told() { jq -se "map(.alerts[]) | $1" "$tmp/told" >/dev/null 2>&1; }
check "alerts: sendmail, of the domain" within 20 told \
	'any(.metric == "sendmail" and .domain == "wiki.example" and .count == 5)'
check "alerts: local, of the account" within 20 told \
	'any(.metric == "local" and .user == "www-data" and .count == 5)'
stop_server "$script"
done_testing
