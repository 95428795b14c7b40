/* all_keys LXCPATH: every key that get_keys lists, a line each. */
#include "say.h"

int main(int argc, char **argv)
{
	struct lxc_container *c;
	char *keys;
	int length;

	need(argc == 2, "all_keys LXCPATH");
	c = lxc_container_new("values", argv[1]);
	need(c != NULL, "lxc_container_new");
	length = c->get_keys(c, NULL, NULL, 0);
	need(length > 0, "get_keys");
	keys = calloc(1, (size_t)length + 1);
	need(keys && c->get_keys(c, NULL, keys, length + 1) == length, "get_keys again");
	fputs(keys, stdout);
	free(keys);
	lxc_container_put(c);
	return 0;
}
