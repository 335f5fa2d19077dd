#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# php-fpm as on hosting servers: a pool for each account behind Apache, one of them for a domain and
# one in a chroot; and a pool that sites share behind nginx.
# shellcheck disable=SC2016 # PHP, Apache and nginx have variables of their own

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mta-root.sh
. tests/e2e/mta-root.sh
# shellcheck source=tests/e2e/web-root.sh
. tests/e2e/web-root.sh
need jq curl

own_root apache2 nginx php-fpm
start
web_lab

# ---- Accounts and their pools ----

pools=/etc/php/$php/fpm/pool.d

# pool NAME LOGIN [LINE...]
pool() {
	local name=$1 login=$2
	shift 2
	printf '%s\n' "[$name]" "user = $login" "group = $login" \
		"listen = /run/php/$login.sock" 'listen.owner = www-data' 'listen.group = www-data' \
		'pm = static' 'pm.max_children = 2' "$@" >"$pools/$login.conf"
}
customer alice 61021
customer bob 61022
customer carol 61023
pool alice alice
pool bob bob 'chroot = /home/$pool' 'chdir = /public_html'
pool carol.example carol

site alice /home/alice/public_html/send.php
site alice /home/alice/public_html/tmp/send.php 'chdir("/tmp"); send($n);'
site alice /home/alice/blog/wp-content/send.php
site bob /home/bob/public_html/inbox/send.php
site carol /home/carol/www/2026/send.php
site carol /home/carol/www/2026/tmp/send.php 'chdir("/tmp"); send($n);'
ln -s www/2026 /home/carol/public_html
site root /srv/forum/send.php
site root /srv/wiki/lib/send.php
site root /srv/wiki/tmp/send.php 'chdir("/tmp"); send($n);'

# ---- Apache hands on to pools ----

rm /etc/apache2/sites-enabled/*
apache_port=$port
echo "Listen 127.0.0.1:$port" >/etc/apache2/ports.conf

# vhost NAME LOGIN ROOT
vhost() {
	cat >"/etc/apache2/sites-enabled/$1.conf" <<-END
	<VirtualHost *:$port>
		ServerName $1
		DocumentRoot "$3"
		<Directory "$3">
			Options +FollowSymLinks
			Require all granted
		</Directory>
		<FilesMatch "\\.php\$">
			SetHandler "proxy:unix:/run/php/$2.sock|fcgi://localhost"
		</FilesMatch>
	</VirtualHost>
	END
}
vhost alice.example alice /home/alice/public_html
vhost blog.example alice /home/alice/blog
vhost carol.example carol /home/carol/public_html
# As seen from within the chroot.
cat >/etc/apache2/sites-enabled/bob.example.conf <<END
<VirtualHost *:$port>
	ServerName bob.example
	DocumentRoot /home/bob/public_html
	ProxyPassMatch "^/(.*\\.php)\$" "unix:/run/php/bob.sock|fcgi://localhost/public_html/\$1"
</VirtualHost>
END
run a2enmod -q proxy_fcgi setenvif
check "a2enmod" exits 0
daemon php-fpm "/etc/init.d/php$php-fpm" start
daemon Apache /etc/init.d/apache2 start
answers_http
reaches "the pool of an account" alice.example /send.php
reaches "its other site" blog.example /wp-content/send.php
reaches "a chroot" bob.example /inbox/send.php
reaches "the pool of a domain" carol.example /send.php

# ---- nginx hands on to the shared pool ----

rm /etc/nginx/sites-enabled/*
until ((++port)) && [[ -z $(ss -Hltn "sport = :$port") ]]; do :; done
for name in forum wiki; do
	cat >/etc/nginx/sites-enabled/$name <<-END
	server {
		listen 127.0.0.1:$port;
		server_name $name.example www.$name.example;
		root /srv/$name;
		index index.php;
		location ~ \\.php\$ {
			include snippets/fastcgi-php.conf;
			fastcgi_pass unix:/run/php/php$php-fpm.sock;
			fastcgi_read_timeout 300;
		}
	}
	END
done
daemon nginx /etc/init.d/nginx start
answers_http
reaches "the shared pool" forum.example /send.php
reaches "its other site" www.wiki.example /lib/send.php

run "$smtpwall" apply
check "apply" exits 0

# ---- A flood from one of them ----

flood_from forum.example /send.php
refused_times "its neighbour in the shared pool" wiki.example /lib/send.php 10
port=$apache_port
refused_times "the pool of an account" alice.example /send.php 10
refused_times "its other site" blog.example /wp-content/send.php 10
refused_times "a chroot" bob.example /inbox/send.php 10
refused_times "the pool of a domain" carol.example /send.php 10
flood_ends

title='php-fpm: pool'
rows=(
	"$flood forum.example docroot www-data /srv/forum $title www"
	"10 wiki.example docroot www-data /srv/wiki/lib $title www"
	"10 alice.example docroot alice /home/alice/public_html $title alice"
	"10 blog.example docroot alice /home/alice/blog/wp-content $title alice"
	"10 bob.example docroot bob /home/bob/public_html/inbox $title bob"
	"10 carol.example docroot carol /home/carol/www/2026 $title carol.example"
)
check "by domain: each site has its own" reported domain "${rows[@]}"
check "by directory: the same" reported directory "${rows[@]}"

# ---- chdir("/tmp") ----

refused_times "/tmp, of an account" alice.example /tmp/send.php 3
refused_times "/tmp, of a domain" carol.example /tmp/send.php 3
((port++))
refused_times "/tmp, of the shared pool" wiki.example /tmp/send.php 3
rows+=(
	"3 alice.example apache alice /tmp $title alice"
	"3 carol.example pool-name carol /tmp $title carol.example"
	"3 - none www-data /tmp $title www"
)
check "/tmp: a domain where account or pool have one" reported directory "${rows[@]}"
run "$smtpwall" report --by directory --format json --all
check "/tmp: how many it may have been" is "$(jq -c '[.rows[] |
	select(.directory == "/tmp") | [.user, .domains]] | sort' <<<"$out")" \
	'[["alice",2],["carol",1],["www-data",0]]'
done_testing
