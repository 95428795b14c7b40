/* The members of struct lxc_container that take a list of arguments: each turns its list into an
 * array and calls its sibling that takes one. Rust can call such functions, but not yet write them. */

#include <lxc/lxccontainer.h>

#include <stdarg.h>
#include <stddef.h>

/* How many arguments stand before the NULL that ends the list. */
static size_t length(va_list list)
{
	size_t count = 0;

	while (va_arg(list, char *))
		count++;
	return count;
}

static void copy(char **array, size_t count, va_list list)
{
	for (size_t i = 0; i < count; i++)
		array[i] = va_arg(list, char *);
	array[count] = NULL;
}

/* Declares `array`: `reserved` free places, then the arguments after `last`, then NULL. It lies on
 * the stack, as the list did. */
#define COLLECT(array, last, reserved)               \
	va_list list;                                \
	va_start(list, last);                        \
	size_t count = length(list);                 \
	va_end(list);                                \
	char *array[(reserved) + count + 1];         \
	va_start(list, last);                        \
	copy(array + (reserved), count, list);       \
	va_end(list)

bool lxc_door_startl(struct lxc_container *c, int useinit, ...)
{
	COLLECT(argv, useinit, 0);
	return c && c->start(c, useinit, count ? argv : NULL);
}

bool lxc_door_createl(struct lxc_container *c, const char *t, const char *bdevtype,
		      struct bdev_specs *specs, int flags, ...)
{
	COLLECT(argv, flags, 0);
	return c && c->create(c, t, bdevtype, specs, flags, argv);
}

int lxc_door_attach_run_waitl(struct lxc_container *c, lxc_attach_options_t *options,
			      const char *program, const char *arg, ...)
{
	if (!c)
		return -1;
	/* The first argument has a name, so a list without any ends there. */
	if (!arg)
		return c->attach_run_wait(c, options, program, &arg);

	COLLECT(argv, arg, 1);
	argv[0] = (char *)arg;
	return c->attach_run_wait(c, options, program, (const char *const *)argv);
}
