/* SPDX-License-Identifier: Apache-2.0 */

/* How a program or a function of the caller's is run inside a running container. */

#ifndef LXC_ATTACH_OPTIONS_H
#define LXC_ATTACH_OPTIONS_H

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What becomes of the caller's environment. */
typedef enum lxc_attach_env_policy_t {
	LXC_ATTACH_KEEP_ENV, /* All of it is kept. */
	LXC_ATTACH_CLEAR_ENV /* Only the variables in extra_keep_env are kept. */
} lxc_attach_env_policy_t;

/* Bits of attach_flags. */
enum {
	/* On by default: what makes the process one of the container's. */
	LXC_ATTACH_MOVE_TO_CGROUP = 0x00000001,    /* Enter the container's cgroups. */
	LXC_ATTACH_DROP_CAPABILITIES = 0x00000002, /* Keep no capability that init lacks. */
	LXC_ATTACH_SET_PERSONALITY = 0x00000004,   /* Set the personality named below. */
	LXC_ATTACH_LSM_EXEC = 0x00000008,          /* Take the security label when executing. */

	/* Off by default. */
	LXC_ATTACH_REMOUNT_PROC_SYS = 0x00010000, /* Mount /proc and /sys anew. */
	LXC_ATTACH_LSM_NOW = 0x00020000,          /* Take the security label at once. */
	LXC_ATTACH_NO_NEW_PRIVS = 0x00040000,     /* Gain no privilege by executing. */
	LXC_ATTACH_TERMINAL = 0x00080000,         /* Use a terminal of the container's own. */
	LXC_ATTACH_LSM_LABEL = 0x00100000,        /* Take lsm_label instead of init's label. */
	LXC_ATTACH_SETGROUPS = 0x00200000,        /* Take the groups named below. */

	LXC_ATTACH_DEFAULT = 0x0000FFFF
};

/* Clients ask with #ifdef which of them there are. */
#define LXC_ATTACH_KEEP_ENV LXC_ATTACH_KEEP_ENV
#define LXC_ATTACH_CLEAR_ENV LXC_ATTACH_CLEAR_ENV
#define LXC_ATTACH_MOVE_TO_CGROUP LXC_ATTACH_MOVE_TO_CGROUP
#define LXC_ATTACH_DROP_CAPABILITIES LXC_ATTACH_DROP_CAPABILITIES
#define LXC_ATTACH_SET_PERSONALITY LXC_ATTACH_SET_PERSONALITY
#define LXC_ATTACH_LSM_EXEC LXC_ATTACH_LSM_EXEC
#define LXC_ATTACH_REMOUNT_PROC_SYS LXC_ATTACH_REMOUNT_PROC_SYS
#define LXC_ATTACH_LSM_NOW LXC_ATTACH_LSM_NOW
#define LXC_ATTACH_NO_NEW_PRIVS LXC_ATTACH_NO_NEW_PRIVS
#define LXC_ATTACH_TERMINAL LXC_ATTACH_TERMINAL
#define LXC_ATTACH_LSM_LABEL LXC_ATTACH_LSM_LABEL
#define LXC_ATTACH_SETGROUPS LXC_ATTACH_SETGROUPS
#define LXC_ATTACH_DEFAULT LXC_ATTACH_DEFAULT

/* Everything that has to do with security labels. */
#define LXC_ATTACH_LSM (LXC_ATTACH_LSM_EXEC | LXC_ATTACH_LSM_NOW | LXC_ATTACH_LSM_LABEL)

/* The function that is run inside; what it returns is the exit status. */
typedef int (*lxc_attach_exec_t)(void *payload);

/* Supplementary groups. */
typedef struct lxc_groups_t {
	size_t size;
	gid_t *list;
} lxc_groups_t;

typedef struct lxc_attach_options_t {
	/* LXC_ATTACH_* bits. */
	int attach_flags;

	/* CLONE_NEW* bits of the namespaces to enter; -1 = all that the container has. */
	int namespaces;

	/* For personality(2); LXC_ATTACH_DETECT_PERSONALITY = the container's. */
	long personality;

	/* Directory inside to begin in; NULL = the caller's, if it exists inside. */
	char *initial_cwd;

	/* User inside; (uid_t)-1 = init's. */
	uid_t uid;

	/* Group inside; (gid_t)-1 = init's. */
	gid_t gid;

	lxc_attach_env_policy_t env_policy;

	/* "NAME=VALUE" to add, ended by NULL; may itself be NULL. */
	char **extra_env_vars;

	/* Names kept by LXC_ATTACH_CLEAR_ENV, ended by NULL; may itself be NULL. */
	char **extra_keep_env;

	/* Descriptors of the caller's that become 0, 1 and 2 inside. They stay open in the caller. */
	int stdin_fd;
	int stdout_fd;
	int stderr_fd;

	/* Gets a copy of what a terminal shows (LXC_ATTACH_TERMINAL); negative = nobody does. */
	int log_fd;

	/* Security label (LXC_ATTACH_LSM_LABEL). */
	char *lsm_label;

	/* Supplementary groups (LXC_ATTACH_SETGROUPS). */
	lxc_groups_t groups;
} lxc_attach_options_t;

#define LXC_ATTACH_DETECT_PERSONALITY ~0L

/* Initialises a lxc_attach_options_t; what it does not name is 0. */
#define LXC_ATTACH_OPTIONS_DEFAULT                                     \
	{                                                              \
		/* .attach_flags = */ LXC_ATTACH_DEFAULT,              \
		/* .namespaces = */ -1,                                \
		/* .personality = */ LXC_ATTACH_DETECT_PERSONALITY,    \
		/* .initial_cwd = */ NULL,                             \
		/* .uid = */ (uid_t)-1,                                \
		/* .gid = */ (gid_t)-1,                                \
		/* .env_policy = */ LXC_ATTACH_KEEP_ENV,               \
		/* .extra_env_vars = */ NULL,                          \
		/* .extra_keep_env = */ NULL,                          \
		/* .stdin_fd = */ 0,                                   \
		/* .stdout_fd = */ 1,                                  \
		/* .stderr_fd = */ 2,                                  \
		/* .log_fd = */ -EBADF,                                \
		/* .lsm_label = */ NULL,                               \
		/* .groups = */ { 0, NULL },                           \
	}

/* A program for lxc_attach_run_command. */
typedef struct lxc_attach_command_t {
	char *program; /* Searched in PATH unless it contains a slash. */
	char **argv;   /* Ended by NULL; argv[0] is the name it is called by. */
} lxc_attach_command_t;

/* For attach(): executes the lxc_attach_command_t that payload points to. Returns only when it
 * cannot: 127 = there is no such program, 126 = it is none, -1 = anything else. */
extern int lxc_attach_run_command(void *payload);

/* For attach(): executes the login shell of the user inside; payload is not looked at. Returns only
 * when it cannot: -1. */
extern int lxc_attach_run_shell(void *payload);

#ifdef __cplusplus
}
#endif

#endif
