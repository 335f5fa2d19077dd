/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linked into the programs of `make coverage` (with -Wl,--wrap=_exit): whoever ends by _exit() has
 * been somewhere too. gcc sees to fork and exec itself; what SIGKILL ends is lost.
 */
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
