#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The source archive is the same whoever makes it; make install puts everything below DESTDIR;
# completion knows every command and every option.
# shellcheck disable=SC2016,SC2034,SC2154 # eval expands its text later; variables of completion

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need make tar gzip
[[ ! -e .git ]] || need git

# ---- The archive ----

dist() { make --silent -C "$1" O="$2" dist >/dev/null 2>"$tmp/err"; }
if [[ -e .git || -e .dist ]]; then
	check "dist" dist . "$tmp/one"
	archive=$(echo "$tmp"/one/smtpwall-*.tar.gz)
	sleep 1.1	# another second: times must not matter
	(umask 0077 && dist . "$tmp/two")
	check "dist: a second one is the same" cmp "$archive" "$tmp/two/${archive##*/}"
	(umask 0077 && tar --extract --gzip --directory "$tmp" --file "$archive")
	tree=$tmp/$(basename "$archive" .tar.gz)
	check "dist: and so is one of what was unpacked" eval \
		'dist "$tree" "$tmp/three" && cmp "$archive" "$tmp/three/${archive##*/}"'
	check "dist: nobody's but root's, nobody may write" eval \
		'! tar --list --verbose --numeric-owner --file "$archive" |
			grep -vE "^(l[-rwx]*|[-d]rw[-x]r-[-x]r-[-x]) 0/0 "'
	check "dist: with all that a build needs" test -e "$tree/Makefile" -a -e "$tree/LICENSE" \
		-a -e "$tree/bpf/connect.bpf.c" -a -e "$tree/packaging/debian/control"
fi

# ---- make install ----

run make --silent O="$build" DESTDIR="$tmp/root" prefix=/opt/sw install
check "install: exit status 0" exits 0
check "install: nothing outside of prefix and /etc" \
	is "$(cd "$tmp/root" && find . -type f ! -path './opt/sw/*' ! -path './etc/smtpwall/*')" ''
for file in sbin/smtpwall lib/systemd/system/smtpwall{,-monitor}.service lib/sysusers.d/smtpwall.conf \
	lib/tmpfiles.d/smtpwall.conf share/bash-completion/completions/smtpwall \
	share/man/man8/smtpwall.8 share/man/man5/smtpwall.conf.5 share/doc/smtpwall/README.md \
	share/doc/smtpwall/runbook.md share/smtpwall/prometheus/smtpwall-dashboard.json; do
	check "install: $file" test -s "$tmp/root/opt/sw/$file"
done
check "install: the units know where the program is" is \
	"$(sed -n 's/^Exec.*=\(.*smtpwall\) .*/\1/p' "$tmp/root/opt/sw/lib/systemd/system/"* | sort -u)" \
	/opt/sw/sbin/smtpwall
echo '; mine' >"$tmp/root/etc/smtpwall/smtpwall.conf"
make --silent O="$build" DESTDIR="$tmp/root" prefix=/opt/sw install
check "install again: the configuration stays" is "$(<"$tmp/root/etc/smtpwall/smtpwall.conf")" '; mine'

# ---- The spec file ----

# With the values of EL 9 for what this rpmbuild does not know. It lists what is installed and not in
# the package, and the other way round.
if command -v rpmbuild >/dev/null; then
	spec=packaging/rpm/smtpwall.spec
	name=$(rpmspec --query --queryformat '%{name}-%{version}' --srpm "$spec" 2>"$tmp/err")
	err=$(<"$tmp/err")
	check "spec: nothing to say about it" is "$err" ''
	check "spec: of the version that the program has" is "$name" \
		"smtpwall-$("$smtpwall" --version | grep -oE '[0-9.]+' | head -n 1)"
	mkdir -p "$tmp/rpm/BUILD"
	ln -s "$PWD" "$tmp/rpm/BUILD/$name"
	run env O="$build" rpmbuild -bi --short-circuit --nodeps --quiet --define "_topdir $tmp/rpm" \
		--define '_pkgdocdir %{_docdir}/%{name}' --define '_unitdir /usr/lib/systemd/system' \
		--define '_sysusersdir /usr/lib/sysusers.d' --define '_tmpfilesdir /usr/lib/tmpfiles.d' \
		--define '_sharedstatedir /var/lib' --define 'build_ldflags %{nil}' \
		--define 'tmpfiles_create() systemd-tmpfiles --create %1' \
		--define 'debug_package %{nil}' "$spec"
	check "spec: what make install installs is what is packaged" exits 0
	left=$(grep -o '%{[?]*_[a-z]*}' <<<"$(rpmspec --parse "$spec" 2>/dev/null |
		sed '/^%pre$/,$d')" | sort -u | grep -v '_pkgdocdir\|_unitdir\|_sysusersdir\|_tmpfilesdir')
	check "spec: no other macro that nobody knows" is "$left" ''
fi

# ---- Completion ----

# shellcheck source=packaging/completion/smtpwall
. packaging/completion/smtpwall
# complete_line WORD...: what is offered for the last of them, a line each.
complete_line() {
	COMP_WORDS=("$smtpwall" "$@")
	COMP_CWORD=$#
	_smtpwall
	printf '%s\n' "${COMPREPLY[@]}"
}
commands=$("$smtpwall" --help | sed -n 's/^  \([a-z]\{1,\}\)   *[^ ].*/\1/p')
check "completion: there are commands" eval '(($(wc -w <<<"$commands") > 12))'
check "completion: every command of --help" is \
	"$(complete_line '' | grep -v ^- | sort)" "$(sort <<<"$commands")"
for command in $commands; do
	want=$("$smtpwall" "$command" --help | grep -oE -- '--[a-z][a-z-]+' | sort -u)
	check "completion: every option of $command" is "$(complete_line "$command" -- | sort -u)" "$want"
done
check "completion: a beginning" is "$(complete_line re | xargs)" 'report release'
check "completion: formats" is "$(complete_line report --format t)" $'table\ntsv'
check "completion: users" has "$(complete_line report --uid ro)" root
check "completion: the value of an option is nobody's to guess" is "$(complete_line deny --for '')" ''
check "completion: what can be imported" is "$(complete_line import c)" csf
done_testing
