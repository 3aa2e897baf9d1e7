/* A task loop of msup in C, or in any language that can call C.
 *
 *   if (msup_attach() < 0) die(msup_error());
 *   struct msup_task task;
 *   while (msup_next(&task) == 1) {
 *       msup_enter();                        another task may compute while this one waits
 *       ... read a file ...
 *       msup_exit();
 *       ... compute ...
 *       msup_write(MSUP_STDOUT, text, length);
 *       msup_done();
 *   }
 *   return msup_exit_status();
 *
 * All functions are called from the thread that called msup_attach(). Without a supervisor, tasks
 * are the lines of standard input.
 */
#ifndef MSUP_H
#define MSUP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a task writes. The result is for programs that submit tasks (msup serve). */
#define MSUP_RESULT 0
#define MSUP_STDOUT 1
#define MSUP_STDERR 2

/* A task. The value is valid until the outcome is reported. A NUL byte, which the length does not
 * count, follows it. */
struct msup_task {
    const uint8_t *value;
    size_t length;
    /* Its number, from 1, and which attempt this is, from 1. */
    uint64_t number;
    uint32_t attempt;
    /* What it left when it parked last; NULL if it has not parked. Valid as long as the value. */
    const uint8_t *state;
    size_t state_length;
};

/* Finds the supervisor. Call it before the program starts any thread: it removes variables from the
 * environment. Returns 1 if there is a supervisor, 0 if there is none, -1 on errors. The worker
 * counts as started from its first msup_next() on. */
int msup_attach(void);

/* Waits for the next task, with a token. Returns 1 if there is one, 0 if the program should exit
 * now, -1 on errors. */
int msup_next(struct msup_task *task);

/* Around calls that may block: another task may compute meanwhile. A call of msup_exit() without
 * msup_enter() before does nothing, nor does a second msup_enter(). */
void msup_enter(void);
void msup_exit(void);

/* For long computations, every few milliseconds: lets another task go first if its turn has come. */
void msup_checkpoint(void);

/* Adds to one of the task's streams. Returns 0, or -1 on errors. */
int msup_write(int stream, const void *bytes, size_t length);

/* Adds a task with this value to the end of the run, when this task has succeeded, and exactly once. A
 * task that fails or parks adds none. Returns 0, or -1 on errors. */
int msup_emit(const void *value, size_t length);

/* The task has succeeded; the second form adds to its result before. Returns 0, or -1 on errors. */
int msup_done(void);
int msup_done_with(const void *result, size_t length);

/* The task has failed: why, in UTF-8. What was written as its result is passed on, too. */
int msup_fail(const char *why, size_t length);

/* The task waits for this time without a worker. Then it comes again, maybe in another process,
 * with this state, of at most 64 KiB. What it has written does not count. Returns 0, or -1 on
 * errors. */
int msup_park(uint64_t milliseconds, const void *state, size_t length);

/* Why the last call returned -1. Valid until the next call. */
const char *msup_error(void);

/* The status with which the program should exit when msup_next() has returned 0. */
int msup_exit_status(void);

#ifdef __cplusplus
}
#endif
#endif
