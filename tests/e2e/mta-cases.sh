# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What holds for every mail server. A test sources this after mta-root.sh, and sets:
#   mta     the server's name in messages    binary  the program it is found by
#   owner   the account it delivers as       script  its init script
#   queued  prints how many messages wait    flush   tries all of them at once
# shellcheck disable=SC2016,SC2034,SC2154 # eval expands text later; lib.sh and the test set them

delivered=0 denied=0 observed=0	# connects of the owner
account_denied=0 account_local=0	# and of the account

# write_config LINE...
write_config() { printf '%s\n' "$@" >"$tmp/smtpwall.conf"; }

queue_has() { [[ $(queued) == "$1" ]]; }

# default_policy NAME: the packaged configuration, as it is.
default_policy() {
	cp packaging/smtpwall.conf "$tmp/smtpwall.conf"
	run "$smtpwall" apply
	check "$1: apply the default configuration" exits 0
	run "$smtpwall" status --format json
	check "$1: healthy" exits 0
	check "$1: $owner is exempt, and why" has "$out" \
		"\"why\":\"delivery user of $mta ($binary)\""
}

# refuses NAME LINE...: enforcing with this under [exempt] would cut the server off.
refuses() {
	local name=$1 before
	shift
	before=$(generation)
	write_config '[exempt]' "$@"
	run "$smtpwall" apply
	check "$name: apply refuses" exits 2
	check "$name: names $mta" has "$err" "$mta is installed ($binary)"
	check "$name: names $owner" has "$err" "'$owner', which is not exempt"
	check "$name: names the way out" has "$err" "--force"
	check "$name: the policy is as before" is "$(generation)" "$before"
}

refusals() {
	refuses "$1: root alone" 'users = root' 'mta = none'
	refuses "$1: root and the group mail" 'users = root' 'groups = mail' 'mta = none'
	write_config '[exempt]' "users = root $owner" 'mta = none'
	run "$smtpwall" apply --check
	check "$1: the delivery user by name: good" exits 0
}

# deliveries NAME: by SMTP on localhost and by the sendmail command, while the daemon runs.
deliveries() {
	speak 127.0.0.1
	check "$1: SMTP on localhost: accepted" exits 0 0
	check "$1: SMTP on localhost: delivered" arrives
	sendmail_as "$account"
	check "$1: sendmail: accepted" exits 0 0
	check "$1: sendmail: delivered" arrives
	check "$1: nothing waits" within 60 queue_has 0
	((delivered += 2, account_local += 1))
}

# denied_direct NAME: the same message past the server.
denied_direct() {
	local before
	before=$(arrived)
	speak "$server"
	check "$1: straight to port 25: refused" refused "Connection refused"
	check "$1: straight to port 25: nothing arrives" is "$(arrived)" "$before"
	((account_denied += 1))
}

# Every attempt so far, and nobody else's.
counters_match() {
	has_counted "$(id -u "$owner") $delivered $denied $observed 0 0 0" \
		"$account 0 $account_denied 0 0 0 $account_local"
}

counters() { check "$1: counted exactly" counters_match; }

# forgotten MODE: a policy that forgot the server was forced. Its mail waits: it is neither lost
# nor, with mode redirect, handed to the server again and again.
forgotten() {
	local before
	before=$(arrived)
	write_config '[policy]' "mode = $1" '[exempt]' 'users = root' 'mta = none'
	run "$smtpwall" apply --force
	check "$1, forced: apply" exits 0
	check "$1, forced: warns of $mta" has "$err" "$mta is installed ($binary)"
	sendmail_as "$account"
	check "$1, forced: sendmail: accepted" exits 0 0
	((denied += 1))
	check "$1, forced: the delivery is denied" within 60 counters_match
	check "$1, forced: the message waits" queue_has 1
	check "$1, forced: nothing arrives" is "$(arrived)" "$before"

	default_policy "$1, repaired"
	flush
	check "$1, repaired: the queue run delivers it" arrives
	((delivered += 1))
	check "$1, repaired: nothing waits" within 60 queue_has 0
	counters "$1, repaired"
}

# observe says in time what enforcing would do.
observed() {
	write_config '[policy]' 'mode = observe' '[exempt]' 'users = root' 'mta = none'
	run "$smtpwall" apply
	check "observe: apply" exits 0
	check "observe: warns of $mta" has "$err" "$mta is installed ($binary)"
	sendmail_as "$account"
	check "observe: delivered" arrives
	check "observe: nothing waits" within 60 queue_has 0
	((observed += 1))
	counters "observe"
}

# No connect gets lost or made up in any of this.
everything_arrived() {
	check "each message arrived once" is "$(arrived)" $((delivered + observed))
	run "$smtpwall" verify
	check "verify: good" exits 0
}
