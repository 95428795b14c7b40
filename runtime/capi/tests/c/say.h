/*
 * One line a check, `name=value`, so that the answers of two libraries can be compared line by line.
 * Every line is out before the next check begins: a crash shows where.
 */
#ifndef SAY_H
#define SAY_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lxc/attach_options.h>
#include <lxc/lxccontainer.h>
#include <lxc/version.h>

__attribute__((format(printf, 2, 3))) static inline void say(const char *name, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	printf("%s=", name);
	vprintf(format, values);
	putchar('\n');
	va_end(values);
	fflush(stdout);
}

static inline void say_bool(const char *name, bool value)
{
	/* A _Bool that is neither 0 nor 1 would show here. */
	say(name, "%d", (int)*(unsigned char *)&value);
}

static inline void say_text(const char *name, const char *text)
{
	if (!text) {
		say(name, "NULL");
		return;
	}
	printf("%s='", name);
	for (; *text; text++)
		if (*text == '\n')
			fputs("\\n", stdout);
		else
			putchar(*text);
	puts("'");
	fflush(stdout);
}

/* Ends the program when something it builds upon is not there. */
static inline void need(bool condition, const char *what)
{
	if (condition)
		return;
	printf("FAILED: %s\n", what);
	exit(1);
}

/* Runs `check` in a child: a library that crashes there says so, and the rest still runs. */
static inline void guarded(const char *name, void (*check)(const char *name))
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	need(child >= 0, "fork");
	if (child == 0) {
		check(name);
		fflush(stdout);
		_exit(0);
	}
	need(waitpid(child, &status, 0) == child, "waitpid");
	if (WIFSIGNALED(status))
		say(name, "killed by signal %d", WTERMSIG(status));
}

/* get_config_item into a buffer of `length` filled with x; shows all of it, NUL as `.`. */
static inline void say_buffer(struct lxc_container *c, const char *key, int length)
{
	char buffer[64], name[128];

	memset(buffer, 'x', sizeof(buffer));
	snprintf(name, sizeof(name), "buffer %s %d", key, length);
	printf("%s=%d ", name, c->get_config_item(c, key, buffer, length));
	for (size_t i = 0; i < 16; i++)
		putchar(buffer[i] == 0 ? '.' : buffer[i] == '\n' ? '$' : buffer[i]);
	putchar('\n');
	fflush(stdout);
}

/* Whether the library under this program has the members that came with LXC 6. */
static inline bool has_set_timeout(void)
{
	return atoi(lxc_get_version()) >= 6;
}

#endif
