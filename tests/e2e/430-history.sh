#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Reports of a period: what the monitor wrote and what is not written yet, whoever had a UID at the
# time, while the monitor writes, is dead, or nothing is in force; and files that cannot be read.
# shellcheck disable=SC2016,SC2317 # eval, at_exit and inner shells expand later; check calls

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq nsenter unshare useradd userdel
uid=$((62000 + $$ % 900))	# nobody else's: userdel looks for processes

# An /etc of its own, in which accounts come and go.
mkdir "$tmp/etc" "$tmp/work"
mkfifo "$tmp/ready"
unshare -m bash -c '
	mount -t overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" overlay /etc &&
	echo ready >"$1/ready" && exec sleep infinity' bash "$tmp" &
world=$!
at_exit 'kill "$world"; wait "$world" 2>/dev/null'
read -r -t 30 line <"$tmp/ready" || bail_out "no world of our own"
[[ $line == ready ]] || bail_out "no /etc of our own"
inside() { nsenter --target "$world" --mount "$@"; }

# account NAME DOMAIN: has the UID from now on. no_account NAME: is gone, with its domain.
account() {
	inside useradd -M -N -l -g nogroup -K UID_MAX=70000 -u "$uid" -d "$tmp/web" "$1" 2>/dev/null &&
		inside bash -c 'echo "$0: $1" >/etc/trueuserdomains' "$2" "$1"
}
no_account() { inside userdel -f "$1" 2>/dev/null && inside rm /etc/trueuserdomains; }

monitor=
start_monitor() {
	nsenter --target "$world" --mount "$smtpwall" monitor --user nobody >/dev/null 2>"$tmp/log" &
	monitor=$!
	within 60 log_has "watching generation"
}
# It writes what is left when it ends.
end_monitor() {
	kill -TERM "$monitor"
	wait "$monitor" 2>/dev/null
	monitor=
}
at_exit '[[ -z $monitor ]] || { kill "$monitor"; wait "$monitor"; } 2>/dev/null'

mkdir -p "$tmp/web/site"
chmod -R a+rx "$tmp/web"
attempts() {
	as "$uid" bash -c 'cd "$0" && for ((i = 0; i < $1; i++)); do echo >/dev/tcp/203.0.113.1/25; done' \
		"$tmp/web/site" "$1" 2>/dev/null
}
report() { run inside "$smtpwall" report "$@"; }
# rows ARGUMENT...: "user domain denied" of each, worst first.
rows() {
	report --format json "$@"
	jq -r '.rows[] | [.user // "-", .domain // "-", .denied] | join(" ")' <<<"$out" | paste -sd ,
}

config "[policy]
mode = enforce"
account alice shop.example || bail_out "no account"
run inside "$smtpwall" apply
check "apply" exits 0
attempts 2
check "no history: the counters since apply" is "$(rows --since 1h)" "alice shop.example 2"
check "no history: none is made" eval '[[ ! -e $tmp/state/history ]]'

check "the monitor starts" start_monitor
attempts 3
check "while the monitor runs: all of it" is "$(rows --since 1h)" "alice shop.example 5"
report --since 1h --format json
check "json: live" is "$(jq -r .live <<<"$out")" true
end_monitor
db=$tmp/state/history/history.db
check "the file: nobody else's" is "$(stat -c '%a %U' "$db")" "640 nobody"
check "its directory too" is "$(stat -c '%a %U' "$tmp/state/history")" "750 nobody"
check "the state directory stays root's" is "$(stat -c %U "$tmp/state")" root
before=$(sha256sum "$db")
check "after the monitor: all of it" is "$(rows --period today)" "alice shop.example 5"

no_account alice
attempts 1
check "deleted: what was written keeps its name" is "$(rows --since 1h)" \
	"alice shop.example 5,- - 1"
account bob other.example || bail_out "no account"
check "the UID goes to somebody else" is "$(rows --since 1h)" "alice shop.example 5,bob other.example 1"
check "--live does not know better" is "$(rows --since 1h --live)" "bob other.example 6"
check "--domain of then" is "$(rows --since 1h --domain shop.example)" "alice shop.example 5"
check "--uid: both" is "$(rows --since 1h --uid "$uid" --sort uid | tr , '\n' | wc -l)" 2
check "--by directory: each its own" is "$(rows --since 1h --by directory)" \
	"alice shop.example 5,bob other.example 1"
check "--by domain" is "$(rows --since 1h --by domain)" "alice shop.example 5,bob other.example 1"
check "reports have written nothing" is "$(sha256sum "$db")" "$before"

check "the monitor starts again" start_monitor
attempts 4
within 60 eval '[[ -s $db-wal ]]'
check "beside it: exact" is "$(rows --since 1h)" "alice shop.example 5,bob other.example 5"
worker=$(pgrep -P "$monitor" -u nobody)
kill -KILL "$monitor" "$worker"
wait "$monitor" 2>/dev/null
monitor=
attempts 1
check "killed: exact" is "$(rows --since 1h --sort last)" "bob other.example 6,alice shop.example 5"
check "tsv" is "$(report --since 1h --format tsv && cut -f 2,3,10 <<<"$out" | paste -sd ,)" \
	$'bob\tother.example\t6,alice\tshop.example\t5'
report --since 1h --format csv
check "csv" has "$out" ",alice,shop.example,"
report --since 1h
check "table: both" eval 'has "$out" alice && has "$out" bob'
check "table: says from when" has "$err" "counts are kept by the hour"
report --since 1h --format html
check "html: exit status 0" exits 0
check "html: both, each with its time" is "$(grep -c 'By the hour' <<<"$out")" 2
check "html: names of then" eval 'has "$out" shop.example && has "$out" other.example'
report --period 20d --format html
check "html of weeks: by the day" has "$out" "By the day"
check "--period yesterday: nothing" is "$(rows --period yesterday)" ''
report --period fortnight
fails "--period: an unknown one" 2 fortnight yesterday

# on_read_only ARGUMENT...: a report where nothing can be written below the state directory.
on_read_only() {
	run inside unshare -m bash -c 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" &&
		exec "$@"' "$tmp/state" "$smtpwall" report --format json "$@"
	jq -c '[.rows[].denied]' <<<"$out"
}
check "read-only, after a kill" is "$(on_read_only --since 1h)" '[6,5]'
check "the monitor writes on" start_monitor
end_monitor
check "read-only, and all is written" is "$(on_read_only --since 1h)" '[6,5]'

run inside "$smtpwall" off
check "off" exits 0
check "nothing in force: the history" is "$(rows --since 1h)" "bob other.example 6,alice shop.example 5"
report --since 1h --format json
check "nothing in force: not live" is "$(jq -r .live <<<"$out")" false
run inside "$smtpwall" report
fails "nothing in force, without a period" 3 "nothing is in force"
config "[policy]
mode = enforce
[limit]
user $uid = 3/hour"
run inside "$smtpwall" apply
attempts 2
check "applied again: it goes on" is "$(rows --since 1h)" "bob other.example 8,alice shop.example 5"
check "applied again: the counters begin anew" is "$(rows)" "bob other.example 2"

limited() {
	report --live --all --format json
	jq -r '[.rows[] | select(.uid == '"$uid"') | .limited] | add' <<<"$out"
}
denied=2
if (($(date +%-M) < 58)); then	# a window that turns would give a new quota
	check "the monitor watches limits" start_monitor
	# What passes goes nowhere, and counts all the same.
	for _ in 1 2 3 4; do
		as "$uid" timeout 0.3 bash -c 'echo >/dev/tcp/203.0.113.1/587' 2>/dev/null
	done
	check "a limit is reached" eval '(($(limited) > 0))'
	end_monitor
	run inside "$smtpwall" off
	run inside "$smtpwall" apply
	check "apply after an off: exit status 0" exits 0
	as "$uid" timeout 0.3 bash -c 'echo >/dev/tcp/203.0.113.1/587' 2>/dev/null
	check "off and apply give no second quota" is "$(limited)" 1
	denied=0
fi

printf '\0\0\0\143' | dd of="$db" bs=1 seek=60 conv=notrunc status=none
rm -f "$db-wal" "$db-shm"
report --since 1h
fails "a newer file" 3 "$db" "a newer smtpwall wrote it" --live
for ((i = 0; i < 300; i++)); do echo "this is not a database, whatever it is called"; done >"$db"
report --since 1h
fails "no database" 3 "$db" "move it away" --live
check "--live needs none" is "$(rows --since 1h --live)" "bob other.example $denied"
run inside "$smtpwall" off
run inside "$smtpwall" apply
check "apply with a broken history: exit status 0" exits 0
check "apply with a broken history: says so" has "$err" "limits and temporary denies begin anew"
rm "$db"
ln -s /etc/shadow "$db"
report --since 1h
fails "a link" 3 "$db" "others own it"
done_testing
