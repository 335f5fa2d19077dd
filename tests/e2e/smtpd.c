/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * smtpd ADDRESS PORT [DIRECTORY]: an SMTP server that greets and agrees to everything, for tests
 * and for the demonstration. It prints "listening ADDRESS PORT" once a connect would succeed and
 * "accepted N" for the Nth connection, so that a test knows what arrived without asking again.
 * With a directory it keeps each message there, as on the wire, in a file of its own, and prints
 * "stored FILE" before it agrees to it. It ends with the process that started it.
 */
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define IDLE_SECONDS	10	/* a silent client is dropped after this */

static int listen_on(const char *address, const char *port)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *ai;
	int fd, r, on = 1;

	r = getaddrinfo(address, port, &hints, &ai);
	if (r) {
		fprintf(stderr, "smtpd: %s port %s: %s\n", address, port, gai_strerror(r));
		exit(2);
	}
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
		fprintf(stderr, "smtpd: %s port %s: ", address, port);
		perror(NULL);
		exit(1);
	}
	freeaddrinfo(ai);
	return fd;
}

struct message {
	char name[64];
	FILE *file;		/* NULL: not kept */
};

static bool begin(struct message *m, int dir, unsigned long connection, unsigned int n)
{
	int fd;

	if (dir < 0)
		return true;
	snprintf(m->name, sizeof(m->name), "%lu-%u", connection, n);
	fd = openat(dir, m->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	m->file = fd < 0 ? NULL : fdopen(fd, "w");
	return m->file;
}

static bool end(struct message *m)
{
	FILE *file = m->file;

	m->file = NULL;
	if (!file)
		return true;
	if (ferror(file) | fclose(file))
		return false;
	printf("stored %s\n", m->name);
	return true;
}

static void serve(int fd, int dir, unsigned long connection)
{
	const struct timeval idle = { .tv_sec = IDLE_SECONDS };
	struct message m = {};
	bool in_data = false, good;
	unsigned int messages = 0;
	char line[1024];
	FILE *in;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof(idle));
	in = fdopen(fd, "r");
	if (!in)
		return;
	dprintf(fd, "220 mx.example ESMTP\r\n");
	while (fgets(line, sizeof(line), in)) {
		if (in_data && strcmp(line, ".\r\n") != 0) {
			if (m.file)
				fputs(line, m.file);
			continue;
		}
		if (strncasecmp(line, "QUIT", 4) == 0) {
			dprintf(fd, "221 bye\r\n");
			break;
		}
		good = !in_data || end(&m);
		in_data = !in_data && strncasecmp(line, "DATA", 4) == 0;
		if (in_data)
			good = begin(&m, dir, connection, ++messages);
		if (!good) {
			dprintf(fd, "451 cannot keep it\r\n");
			break;
		}
		dprintf(fd, in_data ? "354 go on\r\n" : "250 ok\r\n");
	}
	fclose(in);
}

int main(int argc, char **argv)
{
	unsigned long accepted = 0;
	int fd, client, dir = -1;

	if (argc != 3 && argc != 4) {
		fprintf(stderr, "usage: smtpd ADDRESS PORT [DIRECTORY]\n");
		return 2;
	}
	if (argc == 4) {
		dir = open(argv[3], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0) {
			fprintf(stderr, "smtpd: %s: ", argv[3]);
			perror(NULL);
			return 1;
		}
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);

	fd = listen_on(argv[1], argv[2]);
	printf("listening %s %s\n", argv[1], argv[2]);
	while ((client = accept(fd, NULL, NULL)) >= 0) {
		printf("accepted %lu\n", ++accepted);
		if (fork() == 0) {
			close(fd);
			serve(client, dir, accepted);
			_exit(0);
		}
		close(client);
	}
	perror("smtpd: accept");
	return 1;
}
