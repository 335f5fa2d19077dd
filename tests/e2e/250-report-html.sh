#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# report --format html in a real browser without a network: what it shows, in both color schemes, on
# a phone and on paper, with hostile names in it.
# shellcheck disable=SC2016 # at_exit and eval expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq unshare
browser=$(command -v chromium || command -v chromium-browser) ||
	skip_all "chromium is not installed: THE HTML REPORT WAS NOT LOOKED AT"

# Two accounts, three sites, and a directory that means harm.
mkdir -p "$tmp/root/etc" "$tmp/web/shop" "$tmp/web/blog" "$tmp/web/bob"
cat >"$tmp/root/etc/passwd" <<-END
	root:x:0:0::/root:/bin/bash
	alice:x:61009:61009::$tmp/web:/bin/bash
	bob:x:61010:61010::/nonexistent:/bin/bash
END
printf '%s\n' 'xn--mnchen-3ya.example: alice' 'bob.example: bob' >"$tmp/root/etc/trueuserdomains"
printf '%s\n' "xn--mnchen-3ya.example: alice==root==main==x==$tmp/web/blog==" \
	"shop.example: alice==root==addon==x==$tmp/web/shop==" \
	"bob.example: bob==root==main==x==$tmp/web/bob==" >"$tmp/root/etc/userdatadomains"
long=$(printf 'x%.0s' {1..180})
evil=$tmp/web/shop/$'<script>hacked=1</script>\n\033[31m\xe2\x80\xae"\'>&'$long
mkdir -p "$evil"
chmod -R a+rx "$tmp/web"

# attempts UID DIRECTORY N ADDRESS
attempts() {
	as "$1" bash -c 'cd "$0" && for ((i = 0; i < $1; i++)); do echo >"/dev/tcp/$2/25"; done' \
		"$2" "$3" "$4" 2>/dev/null
}

config "[policy]
mode = enforce
[domains]
root = $tmp/root"
run "$smtpwall" apply
check "apply" exits 0

run "$smtpwall" report --format html
check "nobody offended: exit status 0" exits 0 0
check "nobody offended: says so" has "$out" "No offenders"
check "nobody offended: says what was looked at" has "$out" "hooks connect4 connect6"

attempts 61009 "$evil" 7 203.0.113.1
attempts 61009 "$tmp/web/blog" 3 203.0.113.2
attempts 61009 / 2 203.0.113.3
attempts 61010 "$tmp/web/bob" 1 2001:db8::1

run "$smtpwall" report --format json
check "the numbers behind it" is "$(jq -c '[.rows[] | [.domain, .denied, .source]]' <<<"$out")" \
	'[["shop.example",12,"docroot"],["bob.example",1,"docroot"]]'
run "$smtpwall" report --by domain --format json
check "by domain: facts and guesses apart" is \
	"$(jq -c '[.rows[] | [.domain, .denied, .source, .domains]]' <<<"$out")" \
	'[["shop.example",7,"docroot",2],["xn--mnchen-3ya.example",3,"docroot",2],'\
'["xn--mnchen-3ya.example",2,"trueuserdomains",2],["bob.example",1,"docroot",1]]'
run "$smtpwall" report --format json --domain bob.example
check "--domain" is "$(jq -c '[.rows[].user]' <<<"$out")" '["bob"]'
run "$smtpwall" report --format json --path "$tmp/web/blog"
check "--path" is "$(jq -c '[.rows[].denied]' <<<"$out")" '[3]'
run env COLUMNS=80 "$smtpwall" report --by directory
check "the table fits 80 columns" is "$(awk 'length > 80' <<<"$out")" ''
check "the table: domain first" is "${out%% *}" DOMAIN
check "the table: no raw control character" lacks "$out" $'\033'
run "$smtpwall" status --format html
fails "html is for reports" 2 "unknown format 'html'"

run "$smtpwall" report --format html --by domain
check "exit status 0, no message" exits 0 0
cp "$tmp/out" "$tmp/report.html"
cp tests/e2e/browser.html "$tmp/browser.html"
check "one file: nothing is loaded" eval \
	'! grep -qiE "https?://|url\(|@import|<link|<script|<img|<iframe" "$tmp/report.html"'

# browse ARGUMENT...: a browser without a network and without a history.
browse() {
	run timeout 120 unshare --net "$browser" --headless=new --no-sandbox --disable-gpu \
		--disable-dev-shm-usage --user-data-dir="$tmp/browser" --no-first-run \
		--enable-logging=stderr --allow-file-access-from-files "$@"
}
answer() { sed -n "s/^$1=//p" <<<"$out" | sed 's/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g'; }
# shellcheck disable=SC2317 # called by check
no_complaint() { ! grep -E 'CONSOLE|Refused to' "$tmp/err"; }

for scheme in light dark; do
	browse "--blink-settings=preferredColorScheme=$([[ $scheme == light ]] && echo 1 || echo 0)" \
		--virtual-time-budget=10000 --dump-dom "file://$tmp/browser.html"
	check "$scheme: the browser shows it" has "$out" '<pre>'
	check "$scheme: no complaint in its console" no_complaint
	check "$scheme: that is what it asked for" is "$(answer dark)" \
		"$([[ $scheme == dark ]] && echo true || echo false)"
	check "$scheme: background" is "$(answer background)" \
		"$([[ $scheme == dark ]] && echo 'rgb(20, 23, 27)' || echo 'rgb(255, 255, 255)')"
	check "$scheme: readable, contrast is $(answer contrast)" eval \
		'(($(answer contrast | tr -d .) >= 45))'
	for width in 320 400 1280; do
		check "$scheme: $width pixels do not scroll" eval '(($(answer overflow$width) <= 0))'
		check "$scheme: $width pixels hold everything" is "$(answer wide$width)" 0
	done
done
check "no script got in" is "$(answer scripts) $(answer hacked) $(answer resources)" '0 false 0'
check "it says its language" is "$(answer lang)" en
check "it has a title" has "$(answer title)" 'SMTP offenders on '
check "every head of a column or row says which" is "$(answer unscoped)" 0
check "links lead somewhere" is "$(answer dangling)" 0
check "domain first" is "$(answer first)" shop.example
check "domain first in tables of offenders" has "$(answer headings)" Domain
check "each account has its hours" is "$(answer pictures)" 4
check "with a bar" eval '(($(answer bars) >= 4))'
check "an internationalised domain as it is, and as people write it" \
	has "$(<"$tmp/report.html")" $'xn--mnchen-3ya.example</a> <bdi class="dim">(m\xc3\xbcnchen.example)</bdi>'
check "a guess is said to be one" has "$(<"$tmp/report.html")" "or another of the account's 2 sites"
check "what to do next: explain" has "$(answer commands)" \
	"smtpwall explain --uid 61009 --dest 203.0.113.1 --port 25"
check "what to do next: deny" has "$(answer commands)" "smtpwall deny alice --for 2h"
check "what to do next: the directory, for a shell" has "$(answer commands)" \
	"<script>hacked=1</script>\\012\\033[31m\\342\\200\\256\"\\047>&$long'"

browse --print-to-pdf="$tmp/report.pdf" --no-pdf-header-footer "file://$tmp/report.html"
check "it prints" is "$(head -c 5 "$tmp/report.pdf")" %PDF-
check "it prints on few pages" eval '(($(grep -ac "/Type /Page$" "$tmp/report.pdf") <= 8))'
browse --screenshot="$tmp/report.png" --window-size=400,800 "file://$tmp/report.html"
check "a picture of it can be taken" eval '[[ -s $tmp/report.png ]]'
done_testing
