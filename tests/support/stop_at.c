/* To be preloaded (LD_PRELOAD): the process stops itself, as by SIGSTOP, before its
 * first rename to a path that contains STOP_AT. */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int rename(const char *from, const char *to)
{
    static atomic_flag has_stopped = ATOMIC_FLAG_INIT;
    int (*next)(const char *, const char *);
    const char *at = getenv("STOP_AT");
    void *symbol = dlsym(RTLD_NEXT, "rename");
    memcpy(&next, &symbol, sizeof next);
    if (at && strstr(to, at) && !atomic_flag_test_and_set(&has_stopped))
        raise(SIGSTOP);
    return next(from, to);
}
