# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The three ways out of one PHP script: mail(), SMTP to localhost, SMTP straight out. With real mail
# servers each is counted once, under the script's directory, and what the server does by itself is
# counted to nobody else. A test sources this after mail_lab, sets mta (its name), script (its init
# script) and owner (its account), and calls three_ways.
# shellcheck disable=SC2016,SC2154 # eval expands text later; lib.sh and the test set them
n=50
site=/home/shop/public_html
install -d -o "$account" -g "$account" "$site"
cat >"$site/send.php" <<'END'
<?php
// send.php N SERVER: N mails each by mail(), by SMTP to this machine, and by SMTP straight out.
[, $n, $server] = $argv;

function expect($s, $want) {
	do {
		$line = fgets($s);
	} while ($line !== false && substr($line, 3, 1) === '-');
	if ($line === false || strncmp($line, $want, 3) !== 0)
		exit("instead of $want: $line\n");
}
function say($s, $line, $want) { fwrite($s, "$line\r\n"); expect($s, $want); }

$handed = $local = $denied = 0;
for ($i = 0; $i < $n; $i++) {
	$handed += mail('root@localhost', "mail $i", "This is $i.") ? 1 : 0;
	$s = @stream_socket_client('tcp://127.0.0.1:25', $code, $text, 30);
	if ($s) {
		stream_set_timeout($s, 30);
		expect($s, '220');
		say($s, 'EHLO client.example', '250');
		say($s, 'QUIT', '221');
		$local++;
	}
	$denied += @stream_socket_client("tcp://$server:25", $code, $text, 10) ? 0 : 1;
}
echo "$handed $local $denied\n";
END

three_ways() {
	cp packaging/smtpwall.conf "$tmp/smtpwall.conf"
	run "$smtpwall" apply
	check "$mta: apply" exits 0
	start_server "$script"
	run as "$account" bash -c 'cd "$1" && exec php send.php "$2" "$3"' bash "$site" "$n" "$server"
	check "$mta: the script: $n handed over, $n local, $n refused" eval \
		'exits 0 && [[ $out == "$n $n $n" ]]'
	run "$smtpwall" report --by directory --format tsv --uid "$account"
	check "$mta: one directory" is "$(wc -l <<<"$out")" 1
	check "$mta: the script's" has "$out" $'\t'"$site"$'\t'
	check "$mta: denied, local, sendmail" is \
		"$(awk -F '\t' '{ print $10, $14, $15 }' <<<"$out")" "$n $n $n"
	check "$mta: the server hands nothing in" is "$(sendmails "$owner")" 0
	run "$smtpwall" report --format json --uid "$account"
	check "$mta: established connections" has "$out" "\"established\":$n,"
	stop_server "$script"
}
