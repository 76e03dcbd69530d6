/* The launcher is looked for among this process's ancestors, since a shell or the like
 * may stand between. */
#include "comm/launcher.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST_STEPS = 8 };

static const char *const launchers[] = {"orted",   "prted",   "mpirun",
                                        "mpiexec", "orterun", "prterun"};

/* A process's name and parent; false: it cannot be known. */
static bool read_process(long pid, char name[32], long *parent)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    const int n = fscanf(file, "%*d (%31[^)]) %*c %ld", name, parent);
    fclose(file);
    return n == 2;
}

static bool is_launcher(const char *name)
{
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++)
        if (strcmp(name, launchers[i]) == 0)
            return true;
    return false;
}

/* 0: there is none. */
static pid_t find(void)
{
    char name[32];
    long pid = getppid(), parent = 0;
    for (int i = 0; i < MOST_STEPS && pid > 1 && read_process(pid, name, &parent);
         i++) {
        if (is_launcher(name))
            return (pid_t)pid;
        pid = parent;
    }
    return 0;
}

bool launcher_is_there(void)
{
    return find() > 0;
}

void launcher_end(void)
{
    const pid_t pid = find();
    if (pid > 0)
        kill(pid, SIGKILL);
}
