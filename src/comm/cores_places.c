/* Which of a rank's cores each of its threads has. A lane gets a range of neighbours,
 * and moves within it where it has more cores than threads: another program may be on
 * one of them. Only the exchange's thread, which others wait for, has a processor that
 * no lane has, where that costs none of them a core: a second hardware thread, or one
 * of the cores above.
 *
 * Loading is of no fixed size, so it has no cores of its own: some of its threads stay
 * where lanes have room to move, the others go wherever a lane waits for them. */
#include "comm/cores.h"

#include "base/cpus.h"
#include "base/memory.h"

#include <stdio.h>

/* Cores first to below end. */
struct core_range {
    int first, end;
};

/* Whether each thread has a core: then lanes share none. */
static bool is_roomy(const struct cores *cores, const struct cores_use *use)
{
    return (long long)use->lanes * use->threads <= cores->n;
}

static struct core_range range_of(const struct cores *cores,
                                  const struct cores_use *use, int lane)
{
    const long long n = cores->n;
    if (!is_roomy(cores, use))
        return (struct core_range){0, cores->n};
    return (struct core_range){(int)(n * lane / use->lanes),
                               (int)(n * (lane + 1) / use->lanes)};
}

static void add_range(const struct cores *cores, struct core_range range,
                      cpu_set_t *place)
{
    for (int i = range.first; i < range.end; i++)
        CPU_OR(place, place, &cores->sets[i]);
}

/* Cores of the lane that are more than its threads need. */
static int spare_cores(const struct cores *cores, const struct cores_use *use, int lane)
{
    const struct core_range range = range_of(cores, use, lane);
    return range.end - range.first - use->threads;
}

/* The last processor of the last core that has several, or an empty set. */
static void find_sibling(const struct cores *cores, cpu_set_t *place)
{
    CPU_ZERO(place);
    for (int core = cores->n - 1; core >= 0; core--) {
        if (CPU_COUNT(&cores->sets[core]) < 2)
            continue;
        size_t last = CPU_SETSIZE - 1;
        while (!CPU_ISSET(last, &cores->sets[core]))
            last--;
        CPU_SET(last, place);
        return;
    }
}

/* The last core of the last lane that has one to spare, or an empty set. */
static void find_spare_core(const struct cores *cores, const struct cores_use *use,
                            cpu_set_t *place)
{
    CPU_ZERO(place);
    for (int lane = use->lanes - 1; lane >= 0; lane--)
        if (spare_cores(cores, use, lane) > 0) {
            *place = cores->sets[range_of(cores, use, lane).end - 1];
            return;
        }
}

/* What the exchange has for itself. */
enum own { OWN_NOTHING, OWN_SIBLING, OWN_CORE };

static enum own find_own(const struct cores *cores, const struct cores_use *use,
                         cpu_set_t *place)
{
    CPU_ZERO(place);
    if (!use->exchanges || cores->roam || !is_roomy(cores, use))
        return OWN_NOTHING;
    find_sibling(cores, place);
    if (CPU_COUNT(place) > 0)
        return OWN_SIBLING;
    find_spare_core(cores, use, place);
    return CPU_COUNT(place) > 0 ? OWN_CORE : OWN_NOTHING;
}

bool cores_exchange_place(const struct cores *cores, const struct cores_use *use,
                          cpu_set_t *place)
{
    if (find_own(cores, use, place) != OWN_NOTHING)
        return true;
    *place = cores->mask;
    return false;
}

static enum own leave_own(const struct cores *cores, const struct cores_use *use,
                          cpu_set_t *place)
{
    cpu_set_t taken, common;
    const enum own own = find_own(cores, use, &taken);
    CPU_AND(&common, place, &taken);
    CPU_XOR(place, place, &common);
    return own;
}

void cores_places(const struct cores *cores, const struct cores_use *use,
                  cpu_set_t *places)
{
    for (int lane = 0; lane < use->lanes; lane++) {
        CPU_ZERO(&places[lane]);
        add_range(cores, range_of(cores, use, lane), &places[lane]);
        leave_own(cores, use, &places[lane]);
    }
}

int cores_loader_place(const struct cores *cores, const struct cores_use *use,
                       cpu_set_t *place, cpu_set_t *others)
{
    int room = 0;
    *others = cores->mask;
    leave_own(cores, use, others);
    CPU_ZERO(place);
    if (cores->roam || !is_roomy(cores, use))
        return 0;
    for (int lane = 0; lane < use->lanes; lane++) {
        const int spare = spare_cores(cores, use, lane);
        if (spare == 0)
            continue;
        room += spare;
        add_range(cores, range_of(cores, use, lane), place);
    }
    return leave_own(cores, use, place) == OWN_CORE ? room - 1 : room;
}

void cores_text(const struct cores *cores, const struct cores_use *use, char *text,
                size_t size)
{
    char lanes[96], loading[96], exchange[96];
    cpu_set_t place, others;
    CPU_ZERO(&place);
    add_range(cores, (struct core_range){0, cores->n}, &place);
    leave_own(cores, use, &place);
    cpus_list(&place, lanes, sizeof lanes);
    const bool stays = cores_loader_place(cores, use, &place, &others) > 0;
    cpus_list(stays ? &place : &others, loading, sizeof loading);
    cores_exchange_place(cores, use, &place);
    cpus_list(&place, exchange, sizeof exchange);
    snprintf(text, size, "lanes %s, loading %s%s%s", lanes, loading,
             use->exchanges ? ", exchange " : "", use->exchanges ? exchange : "");
}

convoy_status cores_start_lanes(const struct cores *cores, const struct cores_use *use,
                                struct lanes **started)
{
    convoy_status status = CONVOY_OK;
    cpu_set_t *places = NULL;
    TRY(mem_alloc_array((size_t)use->lanes, sizeof *places, (void **)&places));
    cores_places(cores, use, places);
    const struct lanes_options options = {use->lanes, use->threads, places};
    TRY(lanes_create(&options, started));
cleanup:
    mem_free(places);
    return status;
}
