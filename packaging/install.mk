# SPDX-License-Identifier: GPL-2.0-or-later
# Installing, and making packages. install obeys DESTDIR, prefix and the directories named in
# Makefile; the units get the place of the program written into them.

DATA	= $(DESTDIR)$(datadir)/smtpwall
PAGES	:= $(wildcard packaging/man/*.[58])
UNITS	:= $(wildcard packaging/systemd/*.service)

install: all
	$(Q)install -D -m 0755 $(O)/smtpwall $(DESTDIR)$(sbindir)/smtpwall
	$(Q)for f in $(PAGES); do \
		install -D -m 0644 $$f $(DESTDIR)$(mandir)/man$${f##*.}/$${f##*/} || exit; done
	$(Q)install -d $(DESTDIR)$(docdir) $(DESTDIR)$(unitdir)
	$(Q)install -m 0644 README.md CHANGES.md $(wildcard docs/*) $(DESTDIR)$(docdir)
	$(Q)for f in $(UNITS); do \
		sed 's|/usr/sbin/smtpwall|$(sbindir)/smtpwall|' $$f \
			>$(DESTDIR)$(unitdir)/$${f##*/} || exit; \
		chmod 0644 $(DESTDIR)$(unitdir)/$${f##*/}; done
	$(Q)install -D -m 0644 packaging/sysusers.d/smtpwall.conf \
		$(DESTDIR)$(sysusersdir)/smtpwall.conf
	$(Q)install -D -m 0644 packaging/tmpfiles.d/smtpwall.conf \
		$(DESTDIR)$(tmpfilesdir)/smtpwall.conf
	$(Q)install -D -m 0644 packaging/completion/smtpwall $(DESTDIR)$(bashcompdir)/smtpwall
	$(Q)install -d $(DATA)/prometheus
	$(Q)install -m 0644 packaging/prometheus/* $(DATA)/prometheus
	$(Q)test ! -d packaging/hooks || { install -d $(DATA)/hooks && \
		install -m 0755 packaging/hooks/* $(DATA)/hooks; }
	$(Q)test -e $(DESTDIR)$(sysconfdir)/smtpwall/smtpwall.conf || install -D -m 0640 \
		packaging/smtpwall.conf $(DESTDIR)$(sysconfdir)/smtpwall/smtpwall.conf

dist:
	$(Q)scripts/make-dist $(VERSION) $(O)

deb:
	$(Q)scripts/make-deb $(VERSION) $(O)/deb
