/* Four words of static memory. The flag of pulse is written only where it is not set:
 * many threads that beat it share a line of the cache that all may keep. */
#include "base/pulse.h"

#include <stdatomic.h>

static atomic_bool is_beaten;
static atomic_int n_waiting;
static atomic_uint_least64_t place; /* step · 8 + phase, so that both change at once */

enum { PHASES = 8 };

void pulse(void)
{
    if (!atomic_load_explicit(&is_beaten, memory_order_relaxed))
        atomic_store_explicit(&is_beaten, true, memory_order_relaxed);
}

void pulse_enter(enum pulse_phase phase, uint64_t step)
{
    atomic_store_explicit(&place, step * PHASES + (uint64_t)phase,
                          memory_order_relaxed);
    pulse();
}

void pulse_enter_phase(enum pulse_phase phase)
{
    pulse_enter(phase, atomic_load_explicit(&place, memory_order_relaxed) / PHASES);
}

void pulse_wait(void)
{
    atomic_fetch_add_explicit(&n_waiting, 1, memory_order_relaxed);
}

void pulse_go_on(void)
{
    atomic_fetch_sub_explicit(&n_waiting, 1, memory_order_relaxed);
}

void pulse_read(struct pulse *pulse)
{
    const uint64_t now = atomic_load_explicit(&place, memory_order_relaxed);
    pulse->phase = (enum pulse_phase)(now % PHASES);
    pulse->step = now / PHASES;
    pulse->waits = atomic_load_explicit(&n_waiting, memory_order_relaxed) > 0;
    pulse->beaten = atomic_exchange_explicit(&is_beaten, false, memory_order_relaxed);
}
