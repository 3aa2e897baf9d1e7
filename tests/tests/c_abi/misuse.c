/* Calls functions of msup.h in the wrong order. Prints what each one returns and says. */
#include <msup.h>

#include <stdio.h>

static void told(const char *call, int status)
{
    printf("%s %d %s\n", call, status, status < 0 ? msup_error() : "");
}

int main(void)
{
    struct msup_task task;

    told("next", msup_next(&task));
    told("done", msup_done());
    told("attach", msup_attach() < 0 ? -1 : 1);
    told("attach", msup_attach());
    told("done", msup_done());
    told("write", msup_write(MSUP_STDOUT, "x", 1));
    told("emit", msup_emit("b", 1));
    msup_enter();
    msup_exit();
    told("next", msup_next(&task));
    told("park", msup_park(1, "state", 5));
    told("park", msup_park(1, "state", 5));
    told("next", msup_next(&task));
    printf("attempt %u with %.*s\n", task.attempt, (int)task.state_length,
           (const char *)task.state);
    told("next", msup_next(&task));
    told("write", msup_write(7, "x", 1));
    msup_enter();
    msup_enter();
    msup_checkpoint();
    msup_exit();
    msup_exit();
    told("emit", msup_emit("b", 1));
    told("done", msup_done_with(NULL, 0));
    told("next", msup_next(&task));
    printf("%s, %zu byte\n", (const char *)task.value, task.length);
    told("done", msup_done());
    told("fail", msup_fail("too late", 8));
    fflush(stdout);
    return msup_exit_status();
}
