/*
 * threads together LXCPATH NAME: ten threads work on one object.
 * threads apart LXCPATH NAME: ten processes, each with its own object, set a key of their own and save.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "say.h"

enum { WORKERS = 10, ROUNDS = 40 };

static struct lxc_container *shared;
static atomic_int wrong;

static void expect(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "%s\n", what);
	atomic_fetch_add(&wrong, 1);
}

/* Sets, reads, clears and saves; nothing it reads may be half of something. */
static void *works(void *argument)
{
	int self = (int)(size_t)argument;
	char key[64], value[64], read[4096];

	snprintf(key, sizeof(key), "lxc.net.%d.link", self);
	for (int round = 0; round < ROUNDS; round++) {
		int length;

		snprintf(value, sizeof(value), "w%dr%d", self, round);
		expect(lxc_container_get(shared) == 1, "get");
		expect(shared->set_config_item(shared, key, value), "set its own key");
		length = shared->get_config_item(shared, key, read, sizeof(read));
		expect(length == (int)strlen(value) && strcmp(read, value) == 0, "get its own key");
		/* Everybody's: any of the values is right, a mixture is not. */
		expect(shared->set_config_item(shared, "lxc.uts.name", self % 2 ? "odd" : "even"), "set");
		length = shared->get_config_item(shared, "lxc.uts.name", read, sizeof(read));
		expect(length > 0 && (!strcmp(read, "odd") || !strcmp(read, "even")), "get");
		expect(shared->set_config_item(shared, "lxc.group", value), "append");
		expect(shared->get_config_item(shared, "lxc.group", NULL, 0) >= 0, "get a list");
		expect(shared->clear_config_item(shared, "lxc.group"), "clear");
		expect(shared->get_keys(shared, NULL, NULL, 0) > 1000, "get_keys");
		expect(!strcmp(shared->state(shared), "STOPPED"), "state");
		expect(!shared->set_config_item(shared, "lxc.nonsense", "x"), "a refusal");
		expect(shared->is_defined(shared), "is_defined");
		if (round % 8 == 0)
			expect(shared->save_config(shared, NULL), "save_config");
		expect(lxc_container_put(shared) == 0, "put");
	}
	return NULL;
}

static void together(void)
{
	pthread_t threads[WORKERS];
	char key[64], value[64], expected[64];
	int lost = 0;

	for (size_t i = 0; i < WORKERS; i++) {
		snprintf(key, sizeof(key), "lxc.net.%zu.type", i);
		need(shared->set_config_item(shared, key, "empty"), "a device");
	}
	need(shared->save_config(shared, NULL), "save_config");
	for (size_t i = 0; i < WORKERS; i++)
		need(pthread_create(&threads[i], NULL, works, (void *)i) == 0, "pthread_create");
	for (size_t i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	need(shared->save_config(shared, NULL), "save_config");
	shared->clear_config(shared);
	say_bool("what was saved can be loaded", shared->load_config(shared, NULL));
	for (int i = 0; i < WORKERS; i++) {
		snprintf(key, sizeof(key), "lxc.net.%d.link", i);
		snprintf(expected, sizeof(expected), "w%dr%d", i, ROUNDS - 1);
		memset(value, 0, sizeof(value));
		shared->get_config_item(shared, key, value, sizeof(value));
		lost += strcmp(value, expected) != 0;
	}
	say("values lost", "%d", lost);
	say("wrong", "%d", atomic_load(&wrong));
	say("numthreads", "%d", shared->numthreads);
}

/* One process of ten: its own object, its own keys, saved one after the other. */
static int alone(const char *lxcpath, const char *name, int self, int start)
{
	struct lxc_container *c = lxc_container_new(name, lxcpath);
	char key[64], value[64], go;

	if (!c || read(start, &go, 1) != 0) /* the end of the pipe is the starting shot */
		return 1;
	for (int round = 0; round < ROUNDS / 4; round++) {
		snprintf(key, sizeof(key), "lxc.cgroup2.w%d.r%d", self, round);
		snprintf(value, sizeof(value), "%d", round);
		if (!c->set_config_item(c, key, value) || !c->save_config(c, NULL))
			return 2;
	}
	return lxc_container_put(c) == 1 ? 0 : 3;
}

static void apart(const char *lxcpath, const char *name)
{
	pid_t workers[WORKERS];
	int start[2], wrong_ends = 0, lost = 0, unreadable = 0, left = WORKERS;
	struct lxc_container *c;
	char key[64], value[64];

	need(pipe(start) == 0, "pipe");
	fflush(stdout);
	for (int i = 0; i < WORKERS; i++) {
		workers[i] = fork();
		need(workers[i] >= 0, "fork");
		if (workers[i] == 0) {
			close(start[1]);
			_exit(alone(lxcpath, name, i, start[0]));
		}
	}
	close(start[1]);
	/* Whoever reads meanwhile finds a whole file. */
	while (left > 0) {
		int status;
		pid_t ended;

		c = lxc_container_new(name, lxcpath);
		unreadable += c == NULL;
		if (c)
			lxc_container_put(c);
		while (left > 0 && (ended = waitpid(-1, &status, WNOHANG)) > 0) {
			wrong_ends += status != 0;
			left--;
		}
	}
	c = lxc_container_new(name, lxcpath);
	need(c != NULL, "the file parses");
	for (int i = 0; i < WORKERS; i++) {
		for (int round = 0; round < ROUNDS / 4; round++) {
			memset(value, 0, sizeof(value));
			snprintf(key, sizeof(key), "lxc.cgroup2.w%d.r%d", i, round);
			c->get_config_item(c, key, value, sizeof(value));
			lost += atoi(value) != round || !value[0];
		}
	}
	say("processes that failed", "%d", wrong_ends);
	say("times the file did not parse", "%d", unreadable);
	say("keys lost", "%d", lost);
	lxc_container_put(c);
}

int main(int argc, char **argv)
{
	need(argc == 4, "threads together|apart LXCPATH NAME");
	shared = lxc_container_new(argv[3], argv[2]);
	need(shared != NULL, "lxc_container_new");
	if (!strcmp(argv[1], "apart"))
		apart(argv[2], argv[3]);
	else
		together();
	return lxc_container_put(shared) == 1 ? 0 : 1;
}
