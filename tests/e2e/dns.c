/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dns ADDRESS PORT MAIL-HOST: a name server over UDP, for tests with mail servers that look up
 * where a domain's mail goes. It knows one top-level domain, .example, whose every domain has
 * the mail host mx.example, which has the address MAIL-HOST. Below later.example each question
 * fails for now; outside of .example nothing exists. It prints "listening ADDRESS PORT" once it
 * answers, and ends with the process that started it.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* RFC 1035, 4.1 */
#define HEADER_LEN	12
#define MESSAGE_MAX	512	/* over UDP */
#define NAME_LEN	256	/* of a name as text, with its end */
#define FLAG_RESPONSE	0x84	/* and authoritative */
#define FLAG_RECURSION	0x80	/* is available: clients ask for it */
#define RCODE_SERVFAIL	2
#define RCODE_NXDOMAIN	3
#define TYPE_A		1
#define TYPE_MX		15
#define CLASS_IN	1
#define TTL_SECONDS	60
#define OWN_NAME	0xc00c	/* a pointer to the name in the question */

static const char mail_host_name[] = "\2mx\7example";	/* its NUL is the root label */

struct message {
	uint8_t byte[MESSAGE_MAX];
	size_t len;
};

static void put(struct message *m, const void *bytes, size_t n)
{
	memcpy(m->byte + m->len, bytes, n);
	m->len += n;
}

static void put16(struct message *m, uint16_t value)
{
	value = htons(value);
	put(m, &value, sizeof(value));
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* Name and type of the only question. The offset of what follows it, or 0: malformed. */
static size_t read_question(const struct message *m, char name[NAME_LEN], uint16_t *type)
{
	size_t at = HEADER_LEN, out = 0, label;

	if (m->len < HEADER_LEN || m->byte[2] & 0x80 || get16(m->byte + 4) != 1)
		return 0;
	while (at < m->len && (label = m->byte[at++])) {
		if (label > 63 || at + label > m->len || out + label + 2 > NAME_LEN)
			return 0;
		memcpy(name + out, m->byte + at, label);
		name[out + label] = '.';
		out += label + 1;
		at += label;
	}
	if (!out || at + 4 > m->len || get16(m->byte + at + 2) != CLASS_IN)
		return 0;
	name[out - 1] = '\0';
	*type = get16(m->byte + at);
	return at + 4;
}

/* Whether `name` is `domain` or below it. */
static bool is_in(const char *name, const char *domain)
{
	size_t n = strlen(name), d = strlen(domain);

	return n >= d && !strcasecmp(name + n - d, domain) && (n == d || name[n - d - 1] == '.');
}

static void put_record(struct message *m, uint16_t type, uint16_t len)
{
	put16(m, OWN_NAME);
	put16(m, type);
	put16(m, CLASS_IN);
	put16(m, 0);
	put16(m, TTL_SECONDS);
	put16(m, len);
	m->byte[7] = 1;	/* ANCOUNT */
}

/* Makes the question its own answer. False: it deserves none. */
static bool answer(struct message *m, struct in_addr mail_host)
{
	char name[NAME_LEN];
	uint16_t type;
	uint8_t rcode = 0;
	size_t end = read_question(m, name, &type);

	if (!end || end + 64 > MESSAGE_MAX)
		return false;
	if (is_in(name, "later.example"))
		rcode = RCODE_SERVFAIL;
	else if (!is_in(name, "example"))
		rcode = RCODE_NXDOMAIN;

	m->len = end;	/* without the additional section: no EDNS */
	m->byte[2] = FLAG_RESPONSE | (m->byte[2] & 1);
	m->byte[3] = FLAG_RECURSION | rcode;
	memset(m->byte + 6, 0, HEADER_LEN - 6);
	if (!rcode && type == TYPE_MX) {
		put_record(m, type, 2 + sizeof(mail_host_name));
		put16(m, 10);	/* preference */
		put(m, mail_host_name, sizeof(mail_host_name));
	} else if (type == TYPE_A && !strcasecmp(name, "mx.example")) {
		put_record(m, type, sizeof(mail_host));
		put(m, &mail_host, sizeof(mail_host));
	}
	return true;
}

static int bind_to(const char *address, const char *port)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_DGRAM,
	};
	struct addrinfo *ai;
	int fd, r;

	r = getaddrinfo(address, port, &hints, &ai);
	if (r) {
		fprintf(stderr, "dns: %s port %s: %s\n", address, port, gai_strerror(r));
		exit(2);
	}
	fd = socket(ai->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
		fprintf(stderr, "dns: %s port %s: ", address, port);
		perror(NULL);
		exit(1);
	}
	freeaddrinfo(ai);
	return fd;
}

int main(int argc, char **argv)
{
	struct sockaddr_storage from;
	struct in_addr mail_host;
	struct message m;
	socklen_t len;
	ssize_t n;
	int fd;

	if (argc != 4 || inet_pton(AF_INET, argv[3], &mail_host) != 1) {
		fprintf(stderr, "usage: dns ADDRESS PORT MAIL-HOST\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	fd = bind_to(argv[1], argv[2]);
	printf("listening %s %s\n", argv[1], argv[2]);
	fflush(stdout);
	for (;;) {
		len = sizeof(from);
		n = recvfrom(fd, m.byte, sizeof(m.byte), 0, (struct sockaddr *)&from, &len);
		if (n < 0)
			break;
		m.len = (size_t)n;
		if (answer(&m, mail_host))
			sendto(fd, m.byte, m.len, 0, (struct sockaddr *)&from, len);
	}
	perror("dns: receive");
	return 1;
}
