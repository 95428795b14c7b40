/*
 * state LIBRARY LXCPATH NAME CALLS: how long state() takes in a program that asks again and again.
 *
 * Is a client of any liblxc.so.1, loaded by its path or, without a slash, wherever the system finds it;
 * compiled once, so that nothing but the library differs. Prints the library's version and the median of
 * its calls in microseconds: a mean would count the time slices of everybody else on the machine. Never
 * measures an answer other than RUNNING.
 */
#include <dlfcn.h>
#include <lxc/lxccontainer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Calls before the measured ones: they fill caches, here and in the monitor. */
enum { WARMING = 100 };

/* Samples that are kept; more take minutes. */
enum { MOST = 1000 * 1000 };

typedef const char *version_of(void);
typedef struct lxc_container *opened(const char *name, const char *lxcpath);
typedef int closed(struct lxc_container *c);

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why ? why : "it does not say why");
	exit(1);
}

static void *symbol(void *library, const char *name)
{
	void *found = dlsym(library, name);

	if (!found)
		fail(name, dlerror());
	return found;
}

static double microseconds(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now))
		fail("clock_gettime", "the clock cannot be read");
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

/* Asks once; gives the microseconds. */
static double ask(struct lxc_container *c)
{
	double begun = microseconds();
	const char *state = c->state(c);
	double ended = microseconds();

	if (!state || strcmp(state, "RUNNING"))
		fail("the container should be RUNNING", state);
	return ended - begun;
}

static int compare(const void *one, const void *other)
{
	double left = *(const double *)one, right = *(const double *)other;

	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	long calls = argc == 5 ? strtol(argv[4], NULL, 10) : 0;
	struct lxc_container *c;
	double *took;
	void *library;

	if (calls <= 0 || calls > MOST)
		fail("usage", "state LIBRARY LXCPATH NAME CALLS");
	took = calloc(calls, sizeof(*took));
	if (!took)
		fail("calloc", "there is no memory for the samples");
	library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!library)
		fail(argv[1], dlerror());
	c = ((opened *)symbol(library, "lxc_container_new"))(argv[3], argv[2]);
	if (!c)
		fail(argv[3], "lxc_container_new gives no container");
	for (int i = 0; i < WARMING; i++)
		ask(c);
	for (long i = 0; i < calls; i++)
		took[i] = ask(c);
	qsort(took, calls, sizeof(*took), compare);
	printf("%s %.3f\n", ((version_of *)symbol(library, "lxc_get_version"))(), took[calls / 2]);
	free(took);
	((closed *)symbol(library, "lxc_container_put"))(c);
	return 0;
}
