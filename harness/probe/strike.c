/*
 * Runs a program and strikes one of the processes that come of it, at a system call of its life:
 *
 *	strike WHOM CALL ERRNO PROGRAM…
 *
 * WHOM counts the births, 0 is PROGRAM; CALL counts the calls since the birth or the last exec. With ERRNO 0
 * the process is killed as it enters the call; else the call is not made, and that is what it answers
 * (x86_64 only).
 *
 * The last line on stderr says whether anybody was struck. Exit status: 0 PROGRAM succeeded, 1 it did not,
 * 2 misused, 3 it could not be tried.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__
/*
 * Calls that are not made to fail: those that cannot, those without which no program goes on, and close,
 * which has closed whatever it answers.
 */
static const long spared[] = {
	SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_restart_syscall, SYS_brk, SYS_mmap, SYS_munmap,
	SYS_mprotect, SYS_madvise, SYS_futex, SYS_close, SYS_arch_prctl, SYS_set_tid_address,
	SYS_sched_yield, SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid,
	SYS_getegid, SYS_clock_gettime,
};

/* The call that a process is about to make; -1 if it is one that does not fail. */
static long about_to_call(pid_t pid)
{
	struct user_regs_struct seen;

	if (ptrace(PTRACE_GETREGS, pid, 0, &seen) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(spared) / sizeof(*spared); i++)
		if (spared[i] == (long)seen.orig_rax)
			return -1;
	return (long)seen.orig_rax;
}

/* Has the call that a process is about to make not made. */
static void withhold(pid_t pid)
{
	struct user_regs_struct seen;

	if (ptrace(PTRACE_GETREGS, pid, 0, &seen) < 0)
		return;
	seen.orig_rax = (unsigned long long)-1;
	ptrace(PTRACE_SETREGS, pid, 0, &seen);
}

/* Answers a call that was withheld. */
static void answer(pid_t pid, int error)
{
	struct user_regs_struct seen;

	if (ptrace(PTRACE_GETREGS, pid, 0, &seen) < 0)
		return;
	seen.rax = (unsigned long long)-error;
	ptrace(PTRACE_SETREGS, pid, 0, &seen);
}

static const int can_fail_calls = 1;
#else
static long about_to_call(pid_t pid)
{
	(void)pid;
	return -1;
}

static void withhold(pid_t pid)
{
	(void)pid;
}

static void answer(pid_t pid, int error)
{
	(void)pid;
	(void)error;
}

static const int can_fail_calls = 0;
#endif

enum { MOST = 64 };

/* Who came of the program, in the order of their births. */
static pid_t born[MOST];
static long calls[MOST];
static int entering[MOST], births;

/* Whose number in that order a pid has; a new one gets the next. */
static int number_of(pid_t pid)
{
	int which = 0;

	while (which < births && born[which] != pid)
		which++;
	if (which == births && births < MOST)
		born[births++] = pid;
	return which;
}

/* What is to be done, and whether it was. */
static long whom, wanted;
static int error, begun, struck, withheld;

/* A process enters a system call or comes back from one; 1 if it was killed there. */
static int at_a_call(pid_t pid, int which)
{
	long call;

	entering[which] = !entering[which];
	if (which != whom || !begun)
		return 0;
	if (!entering[which]) {
		if (withheld)
			answer(pid, error);
		withheld = 0;
		return 0;
	}
	call = error ? about_to_call(pid) : 0;
	if (struck || call < 0 || ++calls[which] != wanted)
		return 0;
	struck = 1;
	if (!error) {
		kill(pid, SIGKILL);
		return 1;
	}
	fprintf(stderr, "call %ld answers %s\n", call, strerrorname_np(error));
	withhold(pid);
	withheld = 1;
	return 0;
}

/* Runs PROGRAM to its end; its exit status, as a shell says it, or -1. */
static int run(pid_t first)
{
	for (;;) {
		int status, which, signal = 0;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0)
			return -1;
		which = number_of(pid);
		if (which >= MOST)
			continue;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid != first)
				continue;
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			if (at_a_call(pid, which))
				continue;
		} else if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXEC << 8))) {
			/* The first one makes us PROGRAM. */
			begun = 1;
			calls[which] = 0;
		} else if (status >> 16 == PTRACE_EVENT_STOP) {
			int group = WSTOPSIG(status);

			if (group == SIGSTOP || group == SIGTSTP || group == SIGTTIN || group == SIGTTOU) {
				ptrace(PTRACE_LISTEN, pid, 0, 0);
				continue;
			}
		} else if (status >> 16 == 0) {
			signal = WSTOPSIG(status);
		}
		ptrace(PTRACE_SYSCALL, pid, 0, signal);
	}
}

int main(int count, char **words)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	pid_t first;
	int ended;

	if (count < 5) {
		fprintf(stderr, "strike: misused\n");
		return 2;
	}
	whom = atol(words[1]);
	wanted = atol(words[2]);
	error = atoi(words[3]);
	if (error && !can_fail_calls) {
		fprintf(stderr, "strike: cannot make calls fail on this architecture\n");
		return 3;
	}
	first = fork();
	if (first == 0) {
		raise(SIGSTOP);
		execvp(words[4], words + 4);
		_exit(127);
	}
	waitpid(first, NULL, WUNTRACED);
	if (ptrace(PTRACE_SEIZE, first, 0, options) < 0) {
		perror("ptrace");
		kill(first, SIGKILL);
		return 3;
	}
	kill(first, SIGCONT);
	number_of(first);
	ended = run(first);
	/* Those that still run are let go by our own end. */
	fprintf(stderr, "%s after %ld calls of %d births\n",
		!struck ? "not struck" : error ? "failed" : "killed", whom < MOST ? calls[whom] : 0, births);
	return ended < 0 ? 3 : ended != 0;
}
