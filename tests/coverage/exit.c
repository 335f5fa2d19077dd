/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linked into the programs of `make coverage` (with -Wl,--wrap=_exit): whoever ends by _exit() or
 * by SIGTERM has been somewhere too. gcc sees to fork and exec itself; what SIGKILL ends is lost.
 */
#include <signal.h>
#include <stddef.h>

void __gcov_dump(void);
int __lsan_do_recoverable_leak_check(void);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);

_Noreturn void __wrap__exit(int status)
{
	__gcov_dump();
	__real__exit(status);
}

/* Unit tests are built without sanitizers here; one of them asks. */
int __lsan_do_recoverable_leak_check(void)
{
	return 0;
}

static void on_end(int sig)
{
	__gcov_dump();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void __attribute__((constructor)) watch_end(void)
{
	struct sigaction old;

	if (sigaction(SIGTERM, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
		signal(SIGTERM, on_end);
}
