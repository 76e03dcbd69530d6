/* /proc/meminfo says what the machine has. /proc/self/cgroup has a line for each
 * hierarchy, "0::/path" in version 2 and "7:memory:/path" in version 1; the folder of
 * that path and all above it may each have a limit and what is used of it. Pages that
 * only cache files count as used there, but can be had: they are taken off. */
#include "base/limits.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Where a version of control groups keeps its numbers. */
struct version {
    const char *folder, *limit, *used, *caches[2];
};

static const struct version version_1 = {"/memory",
                                         "memory.limit_in_bytes",
                                         "memory.usage_in_bytes",
                                         {"total_inactive_file %" SCNu64,
                                          "total_active_file %" SCNu64}},
                            version_2 = {
                                "",
                                "memory.max",
                                "memory.current",
                                {"inactive_file %" SCNu64, "active_file %" SCNu64}};

/* The first line of the file that format matches; false: none. */
static bool read_number(const char *path, const char *format, uint64_t *number)
{
    char line[256];
    bool found = false;
    FILE *stream = fopen(path, "re");
    while (stream && !found && fgets(line, sizeof line, stream))
        found = sscanf(line, format, number) == 1;
    if (stream)
        fclose(stream);
    return found;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What the one group leaves. */
static uint64_t left_in_group(const struct version *version, const char *folder)
{
    char path[PATH_MAX];
    uint64_t limit = 0, used = 0, cache = 0;
    snprintf(path, sizeof path, "%s/%s", folder, version->limit);
    if (!read_number(path, "%" SCNu64, &limit)) /* "max", or there is none */
        return UINT64_MAX;
    snprintf(path, sizeof path, "%s/%s", folder, version->used);
    read_number(path, "%" SCNu64, &used);
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    for (int i = 0; i < 2; i++)
        if (read_number(path, version->caches[i], &cache))
            used -= smaller(cache, used);
    return limit > used ? limit - used : 1;
}

/* What the group, given by a line's end, and those above it leave. */
static uint64_t left_in_groups(const struct version *version, const char *cgroups,
                               const char *group)
{
    char folder[PATH_MAX];
    uint64_t left = UINT64_MAX;
    const int n = snprintf(folder, sizeof folder, "%s%s", cgroups, version->folder);
    if (n < 0 || (size_t)n + strlen(group) >= sizeof folder)
        return left;
    snprintf(folder + n, sizeof folder - (size_t)n, "%s", group);
    for (;;) {
        left = smaller(left, left_in_group(version, folder));
        char *slash = strrchr(folder + n, '/');
        if (!slash)
            return left;
        *slash = '\0';
    }
}

uint64_t limits_memory_left_in(const char *proc, const char *cgroups)
{
    char path[PATH_MAX], line[PATH_MAX];
    uint64_t kib = 0, left = UINT64_MAX;
    snprintf(path, sizeof path, "%s/meminfo", proc);
    if (read_number(path, "MemAvailable: %" SCNu64, &kib))
        left = kib * 1024;
    snprintf(path, sizeof path, "%s/self/cgroup", proc);
    FILE *stream = fopen(path, "re");
    while (stream && fgets(line, sizeof line, stream)) {
        line[strcspn(line, "\n")] = '\0';
        const char *path_2 = strncmp(line, "0::", 3) == 0 ? line + 3 : NULL;
        const char *path_1 = path_2 ? NULL : strstr(line, "memory:");
        if (path_2)
            left = smaller(left, left_in_groups(&version_2, cgroups, path_2));
        else if (path_1)
            left = smaller(left, left_in_groups(&version_1, cgroups, path_1 + 7));
    }
    if (stream)
        fclose(stream);
    return left == UINT64_MAX ? 0 : left;
}

uint64_t limits_memory_left(void)
{
    return limits_memory_left_in("/proc", "/sys/fs/cgroup");
}
