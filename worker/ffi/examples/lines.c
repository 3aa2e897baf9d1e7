/* Counts the lines of files, several at once, each with a token only while it counts:
 *
 *   export PKG_CONFIG_PATH=PREFIX/lib/pkgconfig
 *   cc -o lines lines.c $(pkg-config --cflags --libs msup) -Wl,-rpath,PREFIX/lib
 *   msup --worker ./lines ::: app.log web.log
 */
#include <msup.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    size_t room = 0, read;

    *length = 0;
    if (!file)
        return NULL;
    do {
        room += 1 << 16;
        char *larger = realloc(bytes, room);
        if (!larger) {
            free(bytes);
            fclose(file);
            return NULL;
        }
        bytes = larger;
        read = fread(bytes + *length, 1, room - *length, file);
        *length += read;
    } while (*length == room);
    if (ferror(file)) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}

static void count(const struct msup_task *task)
{
    const char *path = (const char *)task->value;
    char line[4200];
    char *bytes;
    size_t length, lines = 0;

    msup_enter();
    bytes = read_file(path, &length);
    msup_exit();
    if (!bytes) {
        snprintf(line, sizeof line, "%s: %s", path, strerror(errno));
        msup_fail(line, strlen(line));
        return;
    }
    for (size_t at = 0; at < length; at++)
        lines += bytes[at] == '\n';
    free(bytes);
    snprintf(line, sizeof line, "%zu %s\n", lines, path);
    msup_write(MSUP_STDOUT, line, strlen(line));
    msup_done();
}

int main(void)
{
    struct msup_task task;
    int next;

    if (msup_attach() < 0) {
        fprintf(stderr, "lines: %s\n", msup_error());
        return 1;
    }
    while ((next = msup_next(&task)) == 1)
        count(&task);
    if (next < 0) {
        fprintf(stderr, "lines: %s\n", msup_error());
        return 1;
    }
    return msup_exit_status();
}
