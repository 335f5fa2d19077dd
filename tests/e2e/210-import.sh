#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# import: a configuration of another product becomes one that apply takes and that decides as the
# other did; what did not carry over is named line by line; an error leaves standard output empty.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start

fixture=tests/fixtures/csf/cpanel
conf=$tmp/imported.conf

# imported NAME: the last run made a configuration, which apply takes.
imported() {
	check "$1: exit status 0" exits 0
	printf '%s\n' "$out" >"$conf"
	check "$1: is a configuration" has "$out" "[policy]"
	run "$smtpwall" apply --check --force --config "$conf"
	check "$1: apply --check takes it" exits 0
}

# says VERDICT OPTION...: of the imported file.
says() {
	local want=$1
	shift
	run "$smtpwall" explain --config "$conf" --format tsv "$@"
	check "$want for $*" eval '[[ $status == 0 && $out == "$want"$'"'\\t'"'* ]]'
}

# nothing NAME WORD...: the last run ended with 2, one line that has the words, and no output.
nothing() {
	fails "$@"
	check "$1: nothing on standard output" is "$out" ""
}

run "$smtpwall" import csf "$fixture"
notes=$err
imported csf
for line in 'csf.conf:14: IPV6 = "0"' 'csf.conf:26: SMTP_ALLOWUSER nosuchuser' \
	'csf.conf:38: UID_PORTS = "0:65535,ICMP"' 'csf.allow:12: tcp|in|d=22|s=203.0.113.10' \
	'csf.allow:23: tcp|out|d=25|s=203.0.113.14' 'csf.deny:2: tcp|out|d=25|d=203.0.113.66' \
	'csf.uidignore:2: 33' 'csf.mignore:2: www-data'; do
	check "csf: names $line" has "$notes" "$fixture/$line: "
done
check "csf: every note has its place" eval '! grep -v "^$fixture/[a-z.]*:[0-9]*: " <<<"$notes"'
says deny --uid "$account" --dest 192.0.2.99 --port 25
says deny --uid "$account" --dest 192.0.2.99 --port 465
says deny --uid "$account" --dest 2001:db8:2::1 --port 587
says allow --uid "$account" --dest 127.0.0.1 --port 25
says allow --uid 0 --dest 192.0.2.99 --port 25
says allow --uid nobody --dest 192.0.2.99 --port 465
says allow --uid "$account" --gid mail --dest 192.0.2.99 --port 25
says allow --uid "$account" --dest 192.0.2.10 --port 587
says allow --uid "$account" --dest 198.51.100.1 --port 25
says allow --uid "$account" --dest 2001:db8:1::5 --port 25
says allow --uid "$account" --dest 203.0.113.5 --port 25
says deny --uid "$account" --dest 203.0.113.5 --port 587
says deny --uid "$account" --dest 203.0.113.14 --port 25
says allow --uid "$account" --dest 203.0.113.17 --port 25

run "$smtpwall" import csf "$fixture/csf.conf"
check "csf: the file stands for its directory" is "$out" "$(<"$conf")"
run "$smtpwall" import -q csf "$fixture"
check "-q: the same configuration" is "$out" "$(<"$conf")"
check "-q: no line without a loss" lacks "$err" 'csf.allow:12:'
check "-q: a line with a loss" has "$err" 'csf.allow:23:'
run setpriv --reuid "$nobody" --regid "$nobody" --clear-groups "$smtpwall" import csf "$fixture"
check "csf: needs no privilege" is "$out" "$(<"$conf")"

mkdir "$tmp/csf"
sed 's/^SMTP_BLOCK = .*/SMTP_BLOCK = "0"/' "$fixture/csf.conf" >"$tmp/csf/csf.conf"
run "$smtpwall" import csf "$tmp/csf"
imported "csf without SMTP_BLOCK"
says observe --uid "$account" --dest 192.0.2.99 --port 25

sed 's/^SMTP_REDIRECT = .*/SMTP_REDIRECT = "1"/' "$fixture/csf.conf" >"$tmp/csf/csf.conf"
run "$smtpwall" import csf "$tmp/csf"
check "csf with SMTP_REDIRECT: the difference is said" has "$err" 'SMTP_REDIRECT = "1": '
imported "csf with SMTP_REDIRECT"
says redirect --uid "$account" --dest 192.0.2.99 --port 25
says deny --uid "$account" --dest 192.0.2.99 --port 587

mkdir -p "$tmp/root/etc/virtual/example.com/limit"
echo 200 >"$tmp/root/etc/virtual/limit"
echo 1000 >"$tmp/root/etc/virtual/limit_nobody"
echo 50 >"$tmp/root/etc/virtual/example.com/limit/info"
run "$smtpwall" import directadmin "$tmp/root"
check "directadmin: the mailbox is named" has "$err" "/example.com/limit/info:1: 50: "
check "directadmin: the default" has "$out" "default = 200/day"
check "directadmin: the user" has "$out" "user nobody = 1000/day"
imported directadmin

cat >"$tmp/imunify" <<'END'
WEBSHIELD:
  enable: true
SMTP_BLOCKING:
  enable: true
  ports: [25, 587, 465]
  allow_users:
  - www-data
  - nosuchuser
  allow_groups: [mail]
  allow_local: true
  redirect: false
END
run "$smtpwall" import imunify "$tmp/imunify"
check "imunify: one line, the unknown user" exits 0 1
check "imunify: names it" has "$err" "$tmp/imunify:8: allow_users nosuchuser: "
imported imunify
says allow --uid www-data --dest 192.0.2.99 --port 25
says deny --uid "$account" --dest 192.0.2.99 --port 587

# Errors: nothing is written that somebody could take for a configuration.
run "$smtpwall" import
nothing "without a product" 2 "csf, directadmin or imunify"
run "$smtpwall" import plesk
nothing "unknown product" 2 "'plesk'"
run "$smtpwall" import csf "$fixture" surplus
nothing "an argument too many" 2 "'surplus'"
run "$smtpwall" import csf "$tmp/none"
nothing "no such directory" 2 "$tmp/none:0: "
run "$smtpwall" import csf "$tmp/root"
nothing "no csf.conf in it" 2 "$tmp/root/csf.conf:0: "
printf 'SMTP_BLOCK = "1"\nSMTP_PORTS = 25\n' >"$tmp/csf/csf.conf"
run "$smtpwall" import csf "$tmp/csf"
nothing "no quotes" 2 "$tmp/csf/csf.conf:2: " "double quotes"
printf 'SMTP_BLOCK = "1"\n\nSMTP_BLOCK = "0"\n' >"$tmp/csf/csf.conf"
run "$smtpwall" import csf "$tmp/csf"
nothing "set twice" 2 "$tmp/csf/csf.conf:3: " "line 1"
chmod 600 "$tmp/csf/csf.conf"
run setpriv --reuid "$nobody" --regid "$nobody" --clear-groups "$smtpwall" import csf "$tmp/csf"
nothing "unreadable" 2 "$tmp/csf/csf.conf:0: " "Permission denied"
rm "$tmp/csf/csf.conf"
mkfifo "$tmp/csf/csf.conf"
run timeout 10 "$smtpwall" import csf "$tmp/csf"
nothing "a FIFO" 2 "$tmp/csf/csf.conf:0: " "regular file"
echo x >"$tmp/root/etc/virtual/limit"
run "$smtpwall" import directadmin "$tmp/root"
nothing "no number" 2 "/etc/virtual/limit:1: "
printf 'SMTP_BLOCKING:\n  enable: perhaps\n' >"$tmp/imunify"
run "$smtpwall" import imunify "$tmp/imunify"
nothing "neither true nor false" 2 "$tmp/imunify:2: "
run eval '"$smtpwall" import csf "$fixture" >/dev/full'
check "a full disk: exit status 3" exits 3
check "no pins were made" test ! -e "$SMTPWALL_PIN_DIR"
done_testing
