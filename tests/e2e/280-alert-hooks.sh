#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# alert hooks: each example command reads alerts on standard input, and calls what it should with
# whom it should. whmapi1, plesk, curl and logger are stand-ins that write down how they were called.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq
hooks=$PWD/packaging/hooks
mkdir "$tmp/bin" "$tmp/vhosts"
export PATH=$tmp/bin:$PATH CALLS=$tmp/calls ANSWER=1

# stand_in NAME [BODY]: a program that writes down its arguments, then does BODY.
stand_in() {
	# shellcheck disable=SC2016 # expanded there
	printf '#!/bin/bash\nprintf "%%s\\n" "%s $*" >>"$CALLS"\n%s\n' "$1" "${2:-}" >"$tmp/bin/$1"
	chmod 755 "$tmp/bin/$1"
}
stand_in logger
# shellcheck disable=SC2016 # expanded there
stand_in whmapi1 'echo "{\"metadata\":{\"result\":$ANSWER}}"'
# shellcheck disable=SC2016
stand_in plesk 'exit $((1 - ANSWER))'
# shellcheck disable=SC2016
stand_in curl 'cat >"$CALLS.body"; exit $((1 - ANSWER))'
# shellcheck disable=SC2016
stand_in getent '[[ $2 == 1005 ]] && echo "x:x:1005:1005::$VHOSTS/shop.example:/bin/sh" ||
	echo "x:x:$2:$2::/home/x:/bin/sh"'
# shellcheck disable=SC2016
stand_in smtpwall 'exit $((1 - ANSWER))'

# hook NAME ARGUMENT...: what it does with the alerts in $input.
hook() {
	local name=$1
	shift
	: >"$CALLS"
	status=0
	printf '%s' "$input" | "$hooks/$name" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
	out=$(<"$CALLS") err=$(<"$tmp/err")
}

# alert UID USER [SCOPE]
alert() {
	jq -nc --argjson uid "$1" --arg user "$2" --arg scope "${3:-account}" '{uid: $uid,
		user: (if $user == "" then null else $user end), scope: $scope, account: "victim",
		domain: "victim.example", summary: ("alert of " + $user)}'
}

# alerts ALERT...
alerts() {
	input=$(printf '%s\n' "$@" | jq -sc '{version: 1, host: "web1", alerts: .}')
}

# Only accounts of people, each once, and never who a domain points to.
alerts "$(alert 1001 alice)" "$(alert 1002 bob)" "$(alert 1001 alice domain)" "$(alert 33 www-data)" \
	"$(alert 0 root)" "$(alert null '' server)" "$(alert 1003 '')" "$(alert 65534 nobody)" \
	"$(alert 1004 $'x\ny user=alice; touch '"$tmp/owned")" "$(alert 1006 '--help')"

hook suspend-cpanel
check "cpanel: exit status" exits 0
check "cpanel: both accounts, once" is "$(grep -c ^whmapi1 "$CALLS")" 2
check "cpanel: alice" has "$out" "whmapi1 --output=json suspend_outgoing_email user=alice"
check "cpanel: bob" has "$out" "whmapi1 --output=json suspend_outgoing_email user=bob"
check "cpanel: nobody else" lacks "$out" "user=victim"
ANSWER=0 hook suspend-cpanel
check "cpanel: a refusal is a failure, to be tried again" exits 1
check "cpanel: which is logged" has "$out" "cannot suspend outgoing mail of alice"

export LIST=$tmp/denied_names
printf 'carol:1' >"$LIST"
hook suspend-directadmin
check "directadmin: exit status" exits 0
list=$(<"$LIST")
check "directadmin: what was there stays, with its end" is "$(head -n 1 "$LIST")" carol:1
check "directadmin: both accounts" is "$(cut -d : -f 1 "$LIST" | xargs)" "carol alice bob"
hook suspend-directadmin
check "directadmin: each only once" is "$(<"$LIST")" "$list"
check "directadmin: with the time" grep -qxE 'alice:[0-9]{10,}' "$LIST"
LIST=$tmp/nothing hook suspend-directadmin
check "directadmin: no list, no account" exits 1
check "directadmin: nothing is made" test ! -e "$tmp/nothing"

export VHOSTS=$tmp/vhosts
save=$input
alerts "$(alert 1005 web5)" "$(alert 1001 alice)" "$(alert 33 www-data)"
hook suspend-plesk
check "plesk: exit status" exits 0
check "plesk: the subscription of the home" has "$out" \
	"plesk bin subscription_settings --update shop.example -outgoing-messages-subscription-limit 0"
check "plesk: no other" is "$(grep -c ^plesk "$CALLS")" 1
check "plesk: said so" has "$out" "UID 1001 is of no subscription"
ANSWER=0 hook suspend-plesk
check "plesk: a failure" exits 1
input=$save

hook deny
check "deny: exit status" exits 0
check "deny: by UID, for 2h" has "$out" "smtpwall deny 1001 --for 2h"
check "deny: an account without a name too" has "$out" "smtpwall deny 1003 --for 2h"
check "deny: not the web server" lacks "$out" "deny 33 "
check "deny: not root" lacks "$out" "deny 0 "
hook deny 30m
check "deny: another time" has "$out" "smtpwall deny 1002 --for 30m"
ANSWER=0 hook deny
check "deny: a failure" exits 1

hook webhook https://example.com/x
check "webhook: exit status" exits 0
check "webhook: address" has "$out" "--url https://example.com/x"
check "webhook: the alerts as they are" is "$(<"$CALLS.body")" "$input"
hook webhook --text /etc/smtpwall/hook.curl
check "webhook: from a file" has "$out" "--config /etc/smtpwall/hook.curl"
check "webhook: as text" is "$(jq -r .text "$CALLS.body" | head -n 1)" "smtpwall on web1: alert of alice"
ANSWER=0 hook webhook https://example.com/x
check "webhook: a failure" exits 1
for address in '' file:///etc/shadow -K; do
	hook webhook $address
	check "webhook: not '$address'" exits 2
done

# A digest of nobody, and input that is no JSON.
alerts
for name in suspend-cpanel suspend-directadmin suspend-plesk deny; do
	hook "$name"
	check "$name: nobody" exits 0
	check "$name: nobody, nothing done" is "$out" ''
done
input='no json'
for name in suspend-cpanel suspend-directadmin suspend-plesk deny; do
	hook "$name"
	check "$name: no JSON" exits 2
done
check "nothing of a hostile name was run" test ! -e "$tmp/owned"
done_testing
