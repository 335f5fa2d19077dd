#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# CGI in PHP, Perl and Python, as the account (suexec) and as www-data; PHP from cron; and programs
# whose process title names somebody else's site.
# shellcheck disable=SC2016 # PHP, Perl and Python have variables of their own

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mta-root.sh
. tests/e2e/mta-root.sh
# shellcheck source=tests/e2e/web-root.sh
. tests/e2e/web-root.sh
need jq curl

own_root apache2 apache2-suexec-custom php-cgi php-cli perl python3 cron
start
web_lab

# ---- Programs ----

perl_program() {
	cat <<-'END'
	#!/usr/bin/perl
	use Socket qw(:all);
	$| = 1;
	print "Content-Type: text/plain\n\n";
	my ($n) = ($ENV{QUERY_STRING} // '') =~ /n=(\d+)/;
	my %ends;
	for my $i (1 .. $n) {
		my ($host) = ('HOST') =~ /([^\[\]]+)/;
		my $v6 = $host =~ /:/;
		socket(my $s, $v6 ? PF_INET6 : PF_INET, SOCK_STREAM, 0) or die;
		my $to = $v6 ? pack_sockaddr_in6(25, inet_pton(AF_INET6, $host)) :
			pack_sockaddr_in(25, inet_pton(AF_INET, $host));
		$ends{connect($s, $to) ? substr(<$s>, 0, 3) : "$!"}++;
	}
	print "$_: $ends{$_}\n" for keys %ends;
	END
}

python_program() {
	cat <<-'END'
	#!/usr/bin/python3
	import collections, os, socket, sys, urllib.parse
	n = int(urllib.parse.parse_qs(os.environ["QUERY_STRING"])["n"][0])
	hosts = "HOSTS".split()
	ends = collections.Counter()
	for i in range(n):
	    host = hosts[i % len(hosts)].strip("[]")
	    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
	    try:
	        s.connect((host, 25))
	        ends[s.recv(3).decode()] += 1
	    except OSError as e:
	        ends[e.strerror] += 1
	    s.close()
	print("Content-Type: text/plain\n")
	for end, times in ends.items():
	    print(f"{end}: {times}")
	END
}

# ---- Accounts ----

customer alice 61021
customer bob 61022
customer carol 61023
customer dave 61024
{ echo '#!/usr/bin/php-cgi' && send_php && echo 'send($n);'; } |
	put alice /home/alice/public_html/form/send.cgi 755
perl_program | sed "s/HOST/${hosts[-1]}/" | put bob /home/bob/public_html/formmail.pl 755
python_program | sed "s/HOSTS/${hosts[*]}/" | put root /srv/tools/cgi/send.py 755
site root /srv/shop/mail/send.php
site carol /home/carol/bin/news.php
site carol /home/carol/public_html/cron.php
site dave /home/dave/public_html/lie.php \
	'[, , $title, $directory] = $argv;' \
	'cli_set_process_title($title);' \
	'chdir($directory);' \
	'send($n);'
install -d -o carol -g carol /home/carol/public_html
install -d /srv/site

# ---- Apache ----

rm /etc/apache2/sites-enabled/*
echo "Listen 127.0.0.1:$port" >/etc/apache2/ports.conf
printf '%s\n' /home public_html >/etc/apache2/suexec/www-data
# The script itself is the CGI program here, where PHP expects Apache to name it.
echo 'cgi.force_redirect = 0' >"/etc/php/$php/cgi/conf.d/99-cgi.ini"

# vhost NAME ROOT [LINE...]
vhost() {
	local name=$1 root=$2
	shift 2
	printf '%s\n' "<VirtualHost *:$port>" "	ServerName $name" "	DocumentRoot $root" \
		"	<Directory $root>" "		Options +ExecCGI" \
		"		AddHandler cgi-script .cgi .pl .py" "		Require all granted" \
		"	</Directory>" "${@/#/	}" '</VirtualHost>' \
		>"/etc/apache2/sites-enabled/$name.conf"
}
vhost alice.example /home/alice/public_html 'SuexecUserGroup alice alice'
vhost bob.example /home/bob/public_html 'SuexecUserGroup bob bob'
vhost carol.example /home/carol/public_html 'SuexecUserGroup carol carol'
vhost dave.example /home/dave/public_html 'SuexecUserGroup dave dave'
vhost tools.example /srv/tools
vhost shop.example /srv/shop \
	'ScriptAlias /php/ /usr/lib/cgi-bin/' \
	'<Directory /usr/lib/cgi-bin>' 'Require all granted' '</Directory>' \
	'AddType application/x-php .php' "Action application/x-php /php/php$php"
run a2enmod -q cgid actions suexec
check "a2enmod" exits 0
daemon Apache /etc/init.d/apache2 start
answers_http
reaches "php-cgi by suexec" alice.example /form/send.cgi
reaches "php-cgi as www-data" shop.example /mail/send.php
reaches "Perl by suexec" bob.example /formmail.pl
reaches "Python as www-data" tools.example /cgi/send.py

run "$smtpwall" apply
check "apply" exits 0

# ---- A flood from one of them ----

flood_from tools.example /cgi/send.py
refused_times "php-cgi as www-data" shop.example /mail/send.php 10
refused_times "php-cgi by suexec" alice.example /form/send.cgi 10
refused_times "Perl by suexec" bob.example /formmail.pl 10

# Jobs that cron starts when it does.
crontab -u carol - <<'END'
@reboot /usr/bin/php -q /home/carol/bin/news.php 10 >news.out
@reboot cd public_html && php -f cron.php -- 10 >cron.out
END
crontab -u dave - <<'END'
@reboot php public_html/lie.php 3 'php-fpm: pool carol.example' /tmp >1
@reboot php public_html/lie.php 3 lsphp:/home/carol/public_html/cron.php / >2
@reboot php public_html/lie.php 3 'php /home/carol/public_html/cron.php' /home/carol/public_html >3
END
daemon cron /etc/init.d/cron start
for file in carol/news.out carol/public_html/cron.out; do
	check "$file: 10 refused" within 60 grep -qsx 'Connection refused: 10' "/home/$file"
done
for file in 1 2 3; do
	check "lie $file: 3 refused" within 60 grep -qsx 'Connection refused: 3' "/home/dave/$file"
done
flood_ends

rows=(
	"$flood tools.example docroot www-data /srv/tools/cgi /srv/tools/cgi/send.py"
	"10 shop.example docroot www-data /srv/shop/mail /usr/lib/cgi-bin/php$php"
	"10 alice.example docroot alice /home/alice/public_html/form send.cgi"
	"10 bob.example docroot bob /home/bob/public_html formmail.pl"
)
jobs=(
	"10 carol.example apache carol /home/carol /home/carol/bin/news.php"
	"10 carol.example docroot carol /home/carol/public_html cron.php"
)
lies=(
	"3 dave.example apache dave /tmp php-fpm: pool carol.example"
	"3 dave.example apache dave / lsphp:/home/carol/public_html/cron.php"
	"3 dave.example apache dave /home/carol/public_html php /home/carol/public_html/cron.php"
)
check "by directory: domain, directory and script" \
	reported directory "${rows[@]}" "${jobs[@]}" "${lies[@]}"
run "$smtpwall" report --domain carol.example --format json
check "a lie does not name anybody else" is "$(jq -c '[.rows[] | [.user, .denied]]' <<<"$out")" \
	'[["carol",20]]'
done_testing
