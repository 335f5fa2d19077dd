#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# apply --for: a policy that takes itself back unless it is confirmed, whatever happens meanwhile.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq
lab
ruled=61003 grouped=61004 in_service=61005	# each exempt or allowed in its own way by policy_one

# Everything that a policy may consist of besides exempt UIDs.
policy_one() {
	config "[policy]
mode = enforce
$1
[allow]
rule = user $ruled to $server port 25
[exempt]
groups = $grouped
cgroups = ${cgroup#"$root_cgroup"}/service"
}

# Another one, with cgroups of its own: nobody watches those of policy_one while it is in force.
policy_two() {
	config "[policy]
mode = observe
[exempt]
cgroups = ${cgroup#"$root_cgroup"}/other"
}

# guardian: the process that waits for the end of our trial; nothing when there is none.
# shellcheck disable=SC2317 # called by trial
guardian() {
	local dir
	for dir in /proc/[0-9]*; do
		if [[ $(<"$dir/comm") == smtpwall-trial ]] &&
			grep -qz "^SMTPWALL_PIN_DIR=$SMTPWALL_PIN_DIR\$" "$dir/environ"; then
			echo "${dir#/proc/}"
		fi
	done 2>/dev/null
}
at_exit 'kill $(guardian) 2>/dev/null'

# trial TIME: the configuration is on trial; $waiting is its guardian.
# shellcheck disable=SC2317 # called by check
trial() {
	run "$smtpwall" apply --for "$1"
	waiting=$(guardian)
	[[ $status == 0 && $waiting =~ ^[0-9]+$ ]]
}

# is_over: the guardian has judged.
# shellcheck disable=SC2317 # called by check
is_over() { timeout 60 tail -s 0.1 --pid="$waiting" -f /dev/null; }

# now FILTER: of the status as JSON.
now() { "$smtpwall" status --format json | jq -r "$1"; }

hooks() { now '[.hooks[] | select(.attached) | .name] | join(" ")'; }

# try_in_service: as the account of a service whose cgroup may come and go.
try_in_service() {
	run bash -c 'echo $$ >"$1/service/cgroup.procs" && exec setpriv --reuid "$2" --regid "$2" \
		--clear-groups bash -c "exec 3<>/dev/tcp/$3/25 && read -r -t 10 line <&3 &&
		echo \"\$line\""' bash "$cgroup" "$in_service" "$server"
}
at_exit 'remove_cgroup "$cgroup/service"; remove_cgroup "$cgroup/other"'

# one_holds LABEL: policy_one is in force, with all that belongs to it.
one_holds() {
	run "$smtpwall" status
	check "$1: healthy" exits 0
	check "$1: no trial any more" is "$(now .trial)" null
	try "$account"
	check "$1: an ordinary account is refused" refused "Connection refused"
	try "$ruled"
	check "$1: the allow rule holds" greeted
	try "$grouped"
	check "$1: the exempt group holds" greeted
	try_in_service
	check "$1: the exempt service gets through" greeted
}

# ---- Nothing was in force before ----

policy_one ''
mkdir "$cgroup/service" "$cgroup/other"
check "from nothing: a trial begins" trial 6s
check "from nothing: it says until when" has "$err" "takes itself back in 6 s"
check "from nothing: status has a number of seconds" eval '(($(now .trial) > 0 && $(now .trial) <= 6))'
try "$account"
check "from nothing: it is in force" refused "Connection refused"
check "from nothing: the time is over" is_over
check "from nothing: nothing is in force" test ! -e "$SMTPWALL_PIN_DIR"
try "$account"
check "from nothing: port 25 is open again" greeted

# ---- Something was ----

run "$smtpwall" apply
check "apply" exits 0
one_holds "before"
before=$(generation)
policy_two
check "over another: a trial begins" trial 6s
try "$account"
check "over another: the new policy is in force" greeted
# The service is restarted while its exemption is out of force.
remove_cgroup "$cgroup/service"
mkdir "$cgroup/service"
run "$smtpwall" apply --for 1s
fails "over another: a trial of a trial" 2 "on trial already" "--confirm"
check "over another: nothing was changed by that" is "$(now .mode)" observe
check "over another: the time is over" is_over
check "over another: the generation before is back" is "$(generation)" "$before"
one_holds "taken back"
remove_cgroup "$cgroup/service"
mkdir "$cgroup/service"
try_in_service
check "taken back: a service that is restarted stays exempt" greeted

# ---- Confirmed ----

check "confirmed: a trial begins" trial 3s
run "$smtpwall" apply --confirm
check "confirmed: exit status 0" exits 0 1
check "confirmed: no trial any more" is "$(now .trial)" null
run "$smtpwall" apply --confirm
check "confirmed: a second time there is nothing to confirm" exits 1 1
check "confirmed: and why" has "$err" "no policy is on trial"
check "confirmed: the time is over" is_over
check "confirmed: it stays" is "$(now .mode)" observe
run "$smtpwall" status
check "confirmed: healthy" exits 0

# ---- Another policy, or none, before the time is over ----

policy_one ''
check "superseded: a trial begins" trial 2s
policy_two
run "$smtpwall" apply
check "superseded: another policy is applied" exits 0
check "superseded: no trial any more" is "$(now .trial)" null
generation=$(generation)
check "superseded: the time is over" is_over
check "superseded: it stays" is "$(generation) $(now .mode)" "$generation observe"

policy_one ''
check "off: a trial begins" trial 2s
run "$smtpwall" off
check "off: exit status 0" exits 0
check "off: the time is over" is_over
check "off: nothing is in force" test ! -e "$SMTPWALL_PIN_DIR"

# Generations are counted from the beginning after an off: the next policy has the same number.
check "off and apply: a trial begins" trial 2s
generation=$(generation)
run "$smtpwall" off
run "$smtpwall" apply
check "off and apply: the same generation" is "$(generation)" "$generation"
check "off and apply: the time is over" is_over
one_holds "off and apply"

# ---- The guardian is killed ----

policy_two
check "killed: a trial begins" trial 60m
kill -KILL "$waiting"
is_over
run "$smtpwall" status
check "killed: status says 1" exits 1
check "killed: and why" has "$out" "the process that should take it back is gone"
run "$smtpwall" apply --confirm
check "killed: it can be confirmed" exits 0
run "$smtpwall" status
check "killed: healthy again" exits 0

# ---- Hooks that one of two policies has ----

policy_one ''
run "$smtpwall" apply
plain=$(hooks)
for setting in $'strict = yes' $'mode = redirect\nredirect_to = 127.0.0.1\nredirect_port = 1'; do
	name=${setting%%$'\n'*}
	config "[policy]
$setting"
	check "$name appears: a trial begins" trial 2s
	check "$name appears: its hooks too" eval '[[ $(hooks) != "$plain" ]]'
	with=$(hooks)
	check "$name appears: the time is over" is_over
	check "$name appears: its hooks vanish" is "$(hooks)" "$plain"
	check "$name appears: and their pins" eval '! compgen -G "$SMTPWALL_PIN_DIR/v3/link_[sg]*"'
	one_holds "$name appears"

	config "[policy]
$setting"
	run "$smtpwall" apply
	policy_one ''
	check "$name vanishes: a trial begins" trial 2s
	check "$name vanishes: the time is over" is_over
	check "$name vanishes: its hooks are back" is "$(hooks)" "$with"
	check "$name vanishes: those of cgroups are gone" eval \
		'! compgen -G "$SMTPWALL_PIN_DIR/v3/link_cgroup*"'
	run "$smtpwall" status
	check "$name vanishes: healthy" exits 0
	policy_one ''
	run "$smtpwall" apply
	check "$name: gone with an apply" is "$(hooks)" "$plain"
done

# ---- No gap ----

# A denied account that tries as fast as it can, from before the trial until after it.
as "$account" bash -c 'passed=0 tried=0
	while [[ -e $1 ]]; do
		tried=$((tried + 1))
		{ passed=$((passed + 1)); } 3<>"/dev/tcp/$0/25"
	done 2>/dev/null
	echo "$passed $tried"' "$server" "$tmp/hammer" >"$tmp/hammered" &
hammer=$!
touch "$tmp/hammer"
config '[policy]
strict = yes'
check "hammered: a trial begins" trial 2s
check "hammered: the time is over" is_over
rm "$tmp/hammer"
wait "$hammer"
read -r passed tried <"$tmp/hammered"
check "hammered: not one of $tried attempts got through" is "$passed" 0
check "hammered: they were many" eval '((tried > 200))'
one_holds "hammered"
done_testing
