/* Processes by what /proc says of them. A number alone may have gone to another program
 * since; with the name of the program, or the moment at which it began, it is the
 * process that was meant. */
#include "base/owner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void owner_host(char out[OWNER_HOST_SIZE])
{
    if (gethostname(out, OWNER_HOST_SIZE - 1) != 0 || !*out)
        snprintf(out, OWNER_HOST_SIZE, "unknown");
    out[OWNER_HOST_SIZE - 1] = '\0';
    for (char *c = out; *c; c++)
        if (*c == '/' || (unsigned char)*c <= ' ')
            *c = '_';
}

void owner_name(char out[OWNER_SIZE])
{
    char host[OWNER_HOST_SIZE];
    owner_host(host);
    snprintf(out, OWNER_SIZE, "%s-%ld", host, (long)getpid());
}

/* Reads the beginning of /proc/process/file; "" where there is none. */
static void read_proc(long process, const char *file, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/%s", process, file);
    FILE *stream = fopen(path, "re");
    const size_t n = stream ? fread(out, 1, size - 1, stream) : 0;
    out[n] = '\0';
    if (stream)
        fclose(stream);
}

/* Whether another process of this program has this number, and is no zombie. */
static bool is_at_work(long process)
{
    char own[64], name[64], line[64];
    read_proc(getpid(), "comm", own, sizeof own);
    read_proc(process, "comm", name, sizeof name);
    read_proc(process, "cmdline", line, sizeof line);
    return process != getpid() && *line && strcmp(own, name) == 0;
}

bool owner_is_done(const char *owner)
{
    char host[OWNER_HOST_SIZE], *end = NULL;
    const char *dash = strrchr(owner, '-'), *number = dash ? dash + 1 : owner;
    const size_t n = dash ? (size_t)(dash - owner) : 0;
    owner_host(host);
    if (dash && (strlen(host) != n || strncmp(host, owner, n) != 0))
        return false;
    const long process = strtol(number, &end, 10);
    return end != number && *end == '\0' && process > 0 && !is_at_work(process);
}

/* Reads "NUMBER (NAME) STATE …" and gives the place of STATE; NULL: there is none. NAME
 * may hold anything, so what follows the last bracket is counted from. */
static const char *read_state(long process, char *text, size_t size)
{
    read_proc(process, "stat", text, size);
    const char *at = strrchr(text, ')');
    return at && at[1] == ' ' && at[2] ? at + 2 : NULL;
}

bool owner_is_stopped(long process)
{
    char text[1024];
    const char *at = read_state(process, text, sizeof text);
    return at && strchr("Tt", *at);
}

uint64_t owner_born(long process)
{
    enum { STATE = 3, STARTED = 22 };
    char text[1024];
    const char *at = read_state(process, text, sizeof text);
    if (!at || strchr("ZX", *at))
        return 0;
    for (int field = STATE; at && field < STARTED; field++) {
        at = strchr(at, ' ');
        at += at != NULL;
    }
    return at ? strtoull(at, NULL, 10) : 0;
}

void owner_space(char out[OWNER_HOST_SIZE])
{
    const ssize_t n = readlink("/proc/self/ns/pid", out, OWNER_HOST_SIZE - 1);
    out[n > 0 ? n : 0] = '\0';
}
