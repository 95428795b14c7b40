/*
 * calls LXCPATH NAME: what is traced, between marks that strace shows.
 *
 * A mark is a write to a descriptor that there is not.
 */
#include "say.h"

static void mark(const char *what)
{
	if (write(-1, what, strlen(what)) >= 0)
		abort();
}

int main(int argc, char **argv)
{
	struct lxc_container *c;
	char value[4096];
	int length;
	char *keys, *rest;

	need(argc == 3, "calls LXCPATH NAME");
	lxc_get_version();
	mark("mark open");
	c = lxc_container_new(argv[2], argv[1]);
	mark("mark opened");
	need(c != NULL, "lxc_container_new");
	length = c->get_keys(c, NULL, NULL, 0);
	keys = calloc(1, (size_t)length + 1);
	need(keys != NULL, "calloc");
	c->get_keys(c, NULL, keys, length + 1);
	mark("mark get");
	for (char *key = strtok_r(keys, "\n", &rest); key; key = strtok_r(NULL, "\n", &rest))
		c->get_config_item(c, key, value, sizeof(value));
	mark("mark got");
	free(keys);
	mark("mark start");
	need(c->startl(c, 0, "/bin/sleep", "1000", NULL), c->error_string ? c->error_string : "start");
	mark("mark started");
	need(!strcmp(c->state(c), "RUNNING"), "state");
	mark("mark state");
	need(c->stop(c), "stop");
	lxc_container_put(c);
	return 0;
}
