#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An alert as mail: through the sendmail program of a real exim into a mailbox of this machine, while
# enforcement is on.
# shellcheck disable=SC2016,SC2317 # eval and at_exit expand later; check calls

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mta-root.sh
. tests/e2e/mta-root.sh

own_root exim4-daemon-light
start
mail_lab
useradd --system --no-create-home --shell /usr/sbin/nologin smtpwall 2>/dev/null
useradd --create-home postman 2>/dev/null
install -d -o "$account" -g "$account" /home/shop/www

cat >"$tmp/smtpwall.conf" <<'END'
[alerts]
rule = denied 5/60s
mail = postman
END
start_server /etc/init.d/exim4
run "$smtpwall" apply
check "enforcing" exits 0
"$smtpwall" monitor 2>"$tmp/log" &
monitor=$!
at_exit 'kill "$monitor" 2>/dev/null; wait "$monitor" 2>/dev/null'
check "the monitor watches, as user smtpwall" within 60 grep -q "as user smtpwall" "$tmp/log"

run as "$account" bash -c 'cd /home/shop/www &&
	for i in 1 2 3 4 5 6; do { : 3<>"/dev/tcp/$1/25"; }; done' bash "$server"
check "the script is refused" has "$err" "Connection refused"
box=/var/mail/postman
check "the mail arrives" within 60 grep -qs "^Subject: .*" "$box"
head_has() { sed '/^$/q' "$box" | tail -n +2 | grep -q "$1"; }
check "its subject names the account" head_has "^Subject:.*shop"
check "it is to the one who was named" head_has "^To:.*postman"
check "nobody answers it" head_has "^Auto-Submitted: auto-generated"
check "it names the directory" grep -q "/home/shop/www" "$box"
check "it says what to do next" grep -q "smtpwall report" "$box"
check "enforcement is on all the while" eval '"$smtpwall" status >/dev/null'
kill -TERM "$monitor"
wait "$monitor"
check "the monitor ends" is $? 0
stop_server /etc/init.d/exim4
done_testing
