#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Apache with mod_php: every site runs as www-data. Which of them it was is in the directory.
# shellcheck disable=SC2016 # PHP has variables of its own

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mta-root.sh
. tests/e2e/mta-root.sh
# shellcheck source=tests/e2e/web-root.sh
. tests/e2e/web-root.sh
need jq curl

own_root apache2 libapache2-mod-php
start
web_lab

# ---- A server with three sites ----

customer alice 61021
site alice /home/alice/public_html/contact/send.php
site root /var/www/blog/wp-content/plugins/x/send.php
site root /srv/forum/releases/42/send.php
ln -s releases/42 /srv/forum/current
site root /home/alice/public_html/shared/index.php 'include "/var/www/blog/lib/mailer.php";'
put root /var/www/blog/lib/mailer.php <<<'<?php send($n);'
site www-data /var/www/blog/cache/index.php \
	'mkdir("gone") && chdir("gone") && rmdir("../gone"); send($n);'
site root /var/www/blog/tmp/index.php 'chdir("/tmp"); send($n);'
site root /home/alice/public_html/at-once/index.php 'while ($n--) stream_socket_client(' \
	'"tcp://$hosts[0]:25", $code, $text, 1, STREAM_CLIENT_CONNECT | STREAM_CLIENT_ASYNC_CONNECT);' \
	'exit;'
site root /srv/forum/releases/42/child/index.php 'passthru("php -q ./child.php $n");'
site root /srv/forum/releases/42/child/child.php
# Programs that say they were a worker of PHP for somebody else's site; a title has as much room as
# the command line had.
lie='passthru("php -q lie.php $n " . str_repeat("x", 80));'
site root /srv/forum/releases/42/lie/index.php "$lie"
site root /srv/forum/releases/42/lie/lie.php \
	'cli_set_process_title("lsphp:/home/alice/public_html/contact/send.php");' 'send($n);'
site root /srv/forum/releases/42/lie-in-var/index.php "$lie"
site root /srv/forum/releases/42/lie-in-var/lie.php \
	'cli_set_process_title("lsphp:/home/alice/public_html/contact/send.php");' \
	'chdir("/var"); send($n);'
site root /srv/forum/releases/42/late/index.php 'register_shutdown_function("send", $n);'

# vhost NAME ROOT [LINE...]
vhost() {
	local name=$1 root=$2
	shift 2
	printf '%s\n' "<VirtualHost *:$port>" "	ServerName $name" "	DocumentRoot $root" \
		"	<Directory $root>" "		Require all granted" "	</Directory>" \
		"${@/#/	}" '</VirtualHost>' >"/etc/apache2/sites-available/$name.conf"
	ln -s "../sites-available/$name.conf" /etc/apache2/sites-enabled/
}
rm /etc/apache2/sites-enabled/*
echo "Listen 127.0.0.1:$port" >/etc/apache2/ports.conf
vhost shop.example /home/alice/public_html
vhost blog.example /var/www/blog 'ServerAlias www.blog.example'
vhost forum.example /srv/forum/current

daemon Apache /etc/init.d/apache2 start
answers_http
reaches shop shop.example /contact/send.php
reaches blog www.blog.example /wp-content/plugins/x/send.php
reaches forum forum.example /send.php

run "$smtpwall" apply
check "apply" exits 0

# ---- A flood from one of them ----

flood_from blog.example /wp-content/plugins/x/send.php
refused_times shop shop.example /contact/send.php 10
refused_times forum forum.example /send.php 10
flood_ends

title=/usr/sbin/apache2\ -k\ start
rows=(
	"$flood blog.example docroot www-data /var/www/blog/wp-content/plugins/x $title"
	"10 shop.example docroot www-data /home/alice/public_html/contact $title"
	"10 forum.example docroot www-data /srv/forum/releases/42 $title"
)
check "by domain: each site has its own" reported domain "${rows[@]}"
check "by directory: the same" reported directory "${rows[@]}"
check "by account: the sum" reported uid \
	"$((flood + 20)) blog.example docroot www-data /var/www/blog/wp-content/plugins/x $title"

# ---- Scripts that are not where they seem to be ----

refused_times "included from another site" shop.example /shared/index.php 3
refused_times "in a directory that is gone" blog.example /cache/index.php 3
refused_times "in /tmp" blog.example /tmp/index.php 3
refused_times "a program that the script starts" forum.example /child/index.php 3
refused_times "when the script is over" forum.example /late/index.php 3
refused_times "a program that lies about its script" forum.example /lie/index.php 3
refused_times "and in a directory of no site" forum.example /lie-in-var/index.php 3
get shop.example '/at-once/index.php?n=3'
check "a script that ends at once: is served" exits 0
lied=lsphp:/home/alice/public_html/contact/send.php
rows+=(
	"3 shop.example docroot www-data /home/alice/public_html/shared $title"
	"3 blog.example docroot www-data /var/www/blog/cache/gone $title"
	"3 - none www-data /tmp $title"
	"3 forum.example docroot www-data /srv/forum/releases/42/child ./child.php"
	"3 - none www-data / $title"
	"3 forum.example docroot www-data /srv/forum/releases/42/lie $lied"
	"3 - none www-data /var $lied"
	"3 shop.example docroot www-data /home/alice/public_html/at-once $title"
)
check "by directory: as far as the directory tells" reported directory "${rows[@]}"
done_testing
