/* Zones of powercap are folders: intel-rapl:0, :1, … (also on processors of AMD), with
 * parts of them as intel-rapl:0:0, …, which would count twice, as would the zone
 * "psys", the whole platform, and intel-rapl-mmio:0, which is a second way to the first
 * package. A zone's `name` says what it is: "package-0"; dies have "package-0-die-1".
 * `energy_uj` counts microjoules from 0 to `max_energy_range_uj`. */
#include "base/energy.h"

#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, TEXT_SIZE = 64 };

/* The file's text, cut; false: it cannot be read. */
static bool read_text(int fd, char text[TEXT_SIZE])
{
    const ssize_t n = pread(fd, text, TEXT_SIZE - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static bool read_count(int fd, uint64_t *count)
{
    char text[TEXT_SIZE], *end = NULL;
    if (!read_text(fd, text) || text[0] < '0' || text[0] > '9')
        return false;
    *count = strtoull(text, &end, 10);
    return *end == '\n' || *end == '\0';
}

static int open_file(const char *folder, int zone, const char *name)
{
    char path[PATH_SIZE];
    const int n =
        snprintf(path, sizeof path, "%s/intel-rapl:%d/%s", folder, zone, name);
    return n < (int)sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

static bool is_package(const char *folder, int zone)
{
    char text[TEXT_SIZE] = "";
    const int fd = open_file(folder, zone, "name");
    const bool is_read = fd >= 0 && read_text(fd, text);
    if (fd >= 0)
        close(fd);
    return is_read && strncmp(text, "package-", strlen("package-")) == 0;
}

static bool read_range(const char *folder, int zone, uint64_t *range_uj)
{
    const int fd = open_file(folder, zone, "max_energy_range_uj");
    const bool is_read = fd >= 0 && read_count(fd, range_uj);
    if (fd >= 0)
        close(fd);
    return is_read;
}

/* A part of the packages' energy would pass for all of it. */
static void give_up(struct energy *energy)
{
    energy_end(energy);
    energy->joules = 0;
}

void energy_begin(struct energy *energy, const char *folder)
{
    *energy = (struct energy){.sampled_s = clock_now_s()};
    folder = folder ? folder : "/sys/class/powercap";
    for (int zone = 0; zone < ENERGY_MAX_PACKAGES; zone++) {
        struct energy_package *package = &energy->packages[energy->n];
        if (!is_package(folder, zone))
            continue;
        package->fd = open_file(folder, zone, "energy_uj");
        energy->n += package->fd >= 0;
        if (package->fd < 0 || !read_count(package->fd, &package->last_uj) ||
            !read_range(folder, zone, &package->range_uj)) {
            give_up(energy);
            return;
        }
    }
}

void energy_sample(struct energy *energy)
{
    energy->sampled_s = clock_now_s();
    for (int i = 0; i < energy->n; i++) {
        struct energy_package *package = &energy->packages[i];
        uint64_t now_uj;
        if (!read_count(package->fd, &now_uj)) {
            give_up(energy);
            return;
        }
        const uint64_t wrapped =
            now_uj < package->last_uj ? package->range_uj - package->last_uj : 0;
        const uint64_t taken_uj =
            now_uj < package->last_uj ? wrapped + now_uj : now_uj - package->last_uj;
        package->last_uj = now_uj;
        energy->joules += 1e-6 * (double)taken_uj;
    }
}

void energy_end(struct energy *energy)
{
    for (int i = 0; i < energy->n; i++)
        close(energy->packages[i].fd);
    energy->n = 0;
}
