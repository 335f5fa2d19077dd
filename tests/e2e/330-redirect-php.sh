#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A PHP script that speaks SMTP to a remote server, under mode = redirect: its mail goes through
# the local Exim, and the script sees the peer that it asked for.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mta-root.sh
. tests/e2e/mta-root.sh

packages=(exim4-daemon-light)
command -v php >/dev/null || packages+=(php-cli)
own_root "${packages[@]}"
start
mail_lab

script=/etc/init.d/exim4
site=/home/shop/public_html
install -d -o "$account" -g "$account" "$site"
cat >"$site/send.php" <<'END'
<?php
// send.php HOW HOST RECIPIENT ID: by SMTP, as a script does that brings its own mailer.
[, $how, $host, $to, $id] = $argv;

function fail($text, $code) { echo "$text (error $code)\n"; exit(1); }

$peer = strpos($host, ':') === false ? $host : "[$host]";
switch ($how) {
case 'stream':
	$s = @stream_socket_client("tcp://$peer:25", $code, $text, 20) or fail($text, $code);
	break;
case 'async':
	$s = @stream_socket_client("tcp://$peer:25", $code, $text, 20,
		STREAM_CLIENT_CONNECT | STREAM_CLIENT_ASYNC_CONNECT) or fail($text, $code);
	break;
case 'fsockopen':
	$s = @fsockopen($peer, 25, $code, $text, 20) or fail($text, $code);
	break;
case 'socket':
	$raw = socket_create($peer === $host ? AF_INET : AF_INET6, SOCK_STREAM, SOL_TCP);
	@socket_connect($raw, $host, 25) or fail(socket_strerror(socket_last_error($raw)),
		socket_last_error($raw));
	socket_getpeername($raw, $address, $port);
	echo "socket_getpeername: $address $port\n";
	$s = socket_export_stream($raw);
	break;
}
stream_set_timeout($s, 20);
echo 'peer: ', stream_socket_get_name($s, true), "\n";

function expect($s, $want) {
	do {
		$line = fgets($s);
	} while ($line !== false && substr($line, 3, 1) === '-');
	if ($line === false || strncmp($line, $want, 3) !== 0)
		fail("instead of $want: $line", 0);
	return $line;
}
function say($s, $line, $want) { fwrite($s, "$line\r\n"); return expect($s, $want); }

echo 'banner: ', expect($s, '220');
say($s, 'EHLO client.example', '250');
say($s, 'MAIL FROM:<shop@shop.example>', '250');
say($s, "RCPT TO:<$to>", '250');
say($s, 'DATA', '354');
echo 'accepted: ', say($s, "From: shop@shop.example\r\nTo: $to\r\nSubject: $id\r\n\r\n" .
	"This is $id.\r\n.", '250');
say($s, 'QUIT', '221');
END

# php HOW HOST [RECIPIENT]: the script sends a new message.
php() {
	new_mail
	run as "$account" bash -c 'cd "$1" && shift && exec php send.php "$@"' bash \
		"$site" "$1" "$2" "${3:-someone@$domain}" "$id"
}

start_server "$script"
php stream "$server"
check "before: the script reaches the remote server" exits 0
check "before: which answers" has "$out" "banner: 220 mx.example"
check "before: its mail arrives" arrives
check "before: past Exim" lacks "$mail" "Exim"

printf '[policy]\nmode = redirect\n' >"$tmp/smtpwall.conf"
run "$smtpwall" apply
check "apply" exits 0

redirected=0 allowed=0
hosts=("$server")
[[ ! -e /proc/net/if_inet6 ]] || hosts+=(2001:db8::25)
for host in "${hosts[@]}"; do
	peer=$host:25
	[[ $host != *:* ]] || peer="[$host]:25"
	for how in stream async fsockopen socket; do
		php "$how" "$host"
		check "$how to $host: accepted" exits 0 0
		check "$how to $host: by Exim" has "$out" " ESMTP Exim "
		check "$how to $host: the script sees the peer it asked for" has "$out" \
			"peer: $peer"$'\n'
		[[ $how != socket ]] ||
			check "$how to $host: socket_getpeername too" has "$out" \
				"socket_getpeername: $host 25"$'\n'
		check "$how to $host: Exim delivers the mail" arrives
		check "$how to $host: and says that it came through it" has "$mail" \
			"with esmtp (Exim "
		((redirected += 1, allowed += 1))
	done
done

php stream "$server" someone@later.example
check "a domain that cannot be looked up now: accepted" exits 0 0
((redirected += 1))
check "it is in Exim's queue" within 60 eval '[[ $(exim4 -bpc) == 1 ]]'
message=$(exim4 -bpru | awk '{ print $3; exit }')
check "for its recipient" has "$(exim4 -bp)" "someone@later.example"
check "word for word" has "$(exim4 -Mvb "$message")" "This is $id."
exim4 -Mrm "$message" >"$tmp/out"

run as "$account" php -r 'exit(mail("someone@remote.example", "s", "This is by hand.") ? 0 : 1);'
check "PHP's mail() works as ever" exits 0
check "PHP's mail() arrives" arrives "by hand"
((allowed += 1))

check "counted exactly" has_counted "$(id -u Debian-exim) $allowed 0 0 0 0 0" \
	"$account 0 0 0 0 $redirected 0"
run "$smtpwall" report --format tsv
check "the report names the account" has "$out" $'\tshop\t'
check "the report names directory and script" has "$out" $'\t'"$site"$'\tsend.php\t'

stop_server "$script"
for host in "${hosts[@]}"; do
	for how in stream fsockopen socket; do
		php "$how" "$host"
		check "without Exim: $how to $host: a plain refusal" eval \
			'exits 1 && [[ $out == "Connection refused (error 111)" ]]'
		((redirected += 1))
	done
done
check "nothing went past it" is "$(arrived)" $((allowed + 1))
check "and every attempt was counted" has_counted "$(id -u Debian-exim) $allowed 0 0 0 0 0" \
	"$account 0 0 0 0 $redirected 0"
done_testing
