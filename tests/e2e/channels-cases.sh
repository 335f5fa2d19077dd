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
mails=0	# handed in so far, all of them for the lab

# send.php N SERVER, or send.php?n=N&server=SERVER: N mails each by mail(), by SMTP to this machine,
# and by SMTP straight out.
three_ways_php() {
	printf '<?php\n$to = "someone@%s";\n' "$domain"
	cat <<'END'
[, $n, $server] = $argv ?? [0, $_GET['n'], $_GET['server']];
set_time_limit(0);

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
	$handed += mail($to, "mail $i", "This is $i.") ? 1 : 0;
	$s = @stream_socket_client('tcp://127.0.0.1:25', $code, $text, 30);
	if ($s) {
		stream_set_timeout($s, 30);
		expect($s, '220');
		say($s, 'EHLO client.example', '250');
		say($s, 'MAIL FROM:<shop@shop.example>', '250');
		say($s, "RCPT TO:<$to>", '250');
		say($s, 'DATA', '354');
		say($s, "Subject: local $i\r\n\r\nThis is $i.\r\n.", '250');
		say($s, 'QUIT', '221');
		$local++;
	}
	$denied += @stream_socket_client("tcp://$server:25", $code, $text, 10) ? 0 : 1;
}
echo "$handed $local $denied\n";
END
}

all_arrived() { [[ $(arrived) == "$mails" ]]; }
says_all() { exits 0 && [[ $out == "$n $n $n" ]]; }

# delivered NAME: everything came to the lab, by connections of the server's own account and of no
# other; the smtpd of the lab tells each.
delivered() {
	local line connects=0
	check "$1: all $mails arrive" within 60 all_arrived
	while read -r -t 0 -u "$smtpd_out" && read -r -u "$smtpd_out" line; do
		[[ $line != accepted\ * ]] || connects=${line#accepted }
	done
	# `connects` is the number of the last one; none may have come that the server did not make.
	check "$1: each of the $connects connects is the server's own" has "$(counted)" \
		"$(id -u "$owner") $connects 0 0 0 0 0"
	check "$1: the server hands nothing in" is "$(sendmails "$owner")" 0
}

three_ways() {
	three_ways_php >"$site/send.php"
	cp packaging/smtpwall.conf "$tmp/smtpwall.conf"
	run "$smtpwall" apply
	check "$mta: apply" exits 0
	start_server "$script"
	run as "$account" bash -c 'cd "$1" && exec php send.php "$2" "$3"' bash "$site" "$n" "$server"
	check "$mta: the script: $n handed over, $n local, $n refused" says_all
	((mails += 2 * n))
	run "$smtpwall" report --by directory --format tsv --uid "$account"
	check "$mta: one directory" is "$(wc -l <<<"$out")" 1
	check "$mta: the script's" has "$out" $'\t'"$site"$'\t'
	check "$mta: denied, local, sendmail" is \
		"$(awk -F '\t' '{ print $10, $14, $15 }' <<<"$out")" "$n $n $n"
	run "$smtpwall" report --format json --uid "$account"
	check "$mta: established connections" has "$out" "\"established\":$n,"
	delivered "$mta"
}
