/* questions LXCPATH NAME: what a running container is asked, whoever has started it. */
#include <fcntl.h>
#include <sys/ioctl.h>

#include "say.h"

static int says_9(void *payload)
{
	(void)payload;
	return 9;
}

/* A terminal of the container's own devpts, made from outside. */
static void new_terminal(struct lxc_container *c)
{
	int devpts = c->devpts_fd(c), unlocked = 0, master, peer;

	say_bool("devpts_fd", devpts >= 0);
	master = openat(devpts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	say_bool("its ptmx", master >= 0);
	say("TIOCSPTLCK", "%d", ioctl(master, TIOCSPTLCK, &unlocked));
	peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	say_bool("TIOCGPTPEER", peer >= 0 && isatty(peer));
	close(peer);
	close(master);
	close(devpts);
}

int main(int argc, char **argv)
{
	struct lxc_container *c;
	char text[64] = "", **found, *value;
	int tty = 1, master = -1, terminal, fd, status;
	pid_t pid;

	need(argc == 3, "questions LXCPATH NAME");
	c = lxc_container_new(argv[2], argv[1]);
	need(c != NULL, "lxc_container_new");
	say_text("state", c->state(c));
	say_bool("init_pid", c->init_pid(c) > 0);
	fd = c->init_pidfd(c);
	say_bool("init_pidfd", fd >= 0);
	close(fd);
	value = c->get_running_config_item(c, "lxc.tty.max");
	say_text("running lxc.tty.max", value);
	free(value);
	say_bool("wait RUNNING", c->wait(c, "RUNNING", 1));
	found = c->get_interfaces(c);
	say_text("interface", found ? found[0] : NULL);
	for (size_t i = 0; found && found[i]; i++)
		free(found[i]);
	free(found);
	say_bool("set pids.max", c->set_cgroup_item(c, "pids.max", "77"));
	say("get pids.max", "%d", c->get_cgroup_item(c, "pids.max", text, sizeof(text)));
	say_text("pids.max", text);
	terminal = c->console_getfd(c, &tty, &master);
	say_bool("console_getfd", terminal >= 0 && isatty(master));
	close(master);
	close(terminal);
	say("attach_run_waitl", "%d", c->attach_run_waitl(c, NULL, "/bin/sh", "sh", "-c", "exit 7", NULL));
	say("attach", "%d", c->attach(c, says_9, NULL, NULL, &pid));
	need(waitpid(pid, &status, 0) == pid, "waitpid");
	say("its status", "%d", status);
	new_terminal(c);
	say_bool("freeze", c->freeze(c));
	say_text("state", c->state(c));
	say_bool("unfreeze", c->unfreeze(c));
	say_text("state", c->state(c));
	say("put", "%d", lxc_container_put(c));
	return 0;
}
