#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Connections that are there when a policy comes into force: those of denied accounts are closed,
# the mail server's go on. With existing = keep they are only listed.
# shellcheck disable=SC2016,SC2034 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
lab
mail=61001	# stands for the mail server: exempt
ruled=61003	# an allow rule lets it through
trap '' PIPE	# a client that is gone is an answer too
declare -A asks says pid	# of each client: descriptors to and from it, process

# client NAME CGROUP UID: connects, reads the greeting, and then speaks whenever it is asked. It
# tells when its connection ends, asked or not.
client() {
	local name=$1 to from line=''
	mkfifo "$tmp/$name.to" "$tmp/$name.from"
	bash -c 'echo $$ >"$1/cgroup.procs" && exec setpriv --reuid "$2" --regid "$2" \
		--clear-groups bash -c "$3" "$4"' bash "$2" "$3" '
		exec 3<>"/dev/tcp/$0/25" && read -r -t 10 line <&3 && echo connected
		while :; do
			printf "NOOP\r\n" >&3 && read -r -t 10 line <&3 || break
			[[ ! ${asked-} ]] || echo alive
			asked=""
			read -r -t 0.2 asked || (($? > 128)) || exit
		done 2>/dev/null
		echo closed' "$server" <>"$tmp/$name.to" >"$tmp/$name.from" 2>/dev/null &
	pid[$name]=$!
	exec {to}>"$tmp/$name.to" {from}<"$tmp/$name.from"
	asks[$name]=$to says[$name]=$from
	read -r -t 30 -u "$from" line
	[[ $line == connected ]] || bail_out "client $name is not connected"
}
at_exit 'for client in "${pid[@]}"; do kill "$client" 2>/dev/null; wait "$client"; done'

# alive NAME: its connection still works.
# shellcheck disable=SC2317 # called by check
alive() {
	local line=''
	{ echo ask >&"${asks[$1]}"; } 2>/dev/null
	read -r -t 30 -u "${says[$1]}" line
	is "$line" alive
}

# closed NAME: its connection ends.
# shellcheck disable=SC2317 # called by check
closed() {
	local line=''
	read -r -t 30 -u "${says[$1]}" line
	is "$line" closed
}

mkdir "$root_cgroup/swe2e$$-outside"
at_exit 'remove_cgroup "$root_cgroup/swe2e$$-outside"'

client account "$cgroup" "$account"
client mail "$cgroup" "$mail"
client ruled "$cgroup" "$ruled"
client root "$cgroup" 0
client outside "$root_cgroup/swe2e$$-outside" "$account"

rules="[allow]
rule = user $ruled to $server"

# ---- Only looked at ----

config "[policy]
mode = observe
$rules"
run "$smtpwall" apply
check "observe: exit status 0, one line" exits 0 1
check "observe: closes nothing" alive account
config "$rules"
run "$smtpwall" apply --check
check "--check closes nothing" alive account

config "[policy]
existing = keep
$rules"
run "$smtpwall" apply
check "keep: exit status 0" exits 0
check "keep: lists it" has "$err" "left open an SMTP connection of no account ($account) to $server:25"
check "keep: with its process" has "$err" "bash"
check "keep: and no other" is "$(grep -c 'SMTP connection' <<<"$err")" 1
for name in account mail ruled root outside; do
	check "keep: $name goes on" alive "$name"
done
try "$account"
check "keep: a new connect is refused" refused "Connection refused"

# ---- Closed ----

config "$rules"
run "$smtpwall" apply
[[ $err != *"this kernel closes no connections"* ]] || skip_all "this kernel closes no connections"
check "close: exit status 0" exits 0
check "close: says which" has "$err" "closed an SMTP connection of no account ($account) to $server:25"
check "close: one" is "$(grep -c 'SMTP connection' <<<"$err")" 1
check "close: it ends" closed account
check "close: the mail server's goes on" alive mail
check "close: the one an allow rule is for goes on" alive ruled
check "close: root's goes on" alive root
check "close: one outside of our cgroup goes on" alive outside

# ---- deny closes too ----

run "$smtpwall" deny "$ruled" --for 1h
check "deny: exit status 0" exits 0
check "deny: says which" has "$err" "closed an SMTP connection of no account ($ruled)"
check "deny: it ends" closed ruled
check "deny: the mail server's goes on" alive mail
check "deny: root's goes on" alive root

# ---- A trial closes what its policy denies; what comes back finds it closed ----

run "$smtpwall" release "$ruled"
client again "$cgroup" "$ruled"
config ''
run "$smtpwall" apply --for 1h
check "trial: exit status 0" exits 0
check "trial: what it denies ends" closed again
check "trial: the mail server's goes on" alive mail
run "$smtpwall" off
check "off closes nothing" alive mail
check "at the end: outside goes on" alive outside
done_testing
