/* A compiled net with a copy for each lane, which computes its microbatches. */
#ifndef NET_NET_LANES_H
#define NET_NET_LANES_H

#include "base/lanes.h"
#include "net/net.h"

struct net_lanes {
    struct lanes *lanes;      /* borrowed */
    int n;                    /* of lanes */
    struct compiled **copies; /* [n]; the first is the original */
    atomic_int n_prepared;    /* of the weights, while they are */
};

/* Makes memory, copies and primitives for plan (net_plan, for the lanes' number of
 * threads), on all lanes at once: each touches its own memory first. plan is taken
 * over, also on failure. lender: as of compiled_allocate, lane by lane; NULL: none.
 * *out is new; free with net_lanes_destroy, before lanes, lender and net. */
convoy_status net_lanes_create(struct lanes *lanes, struct compiled *plan,
                               const struct net_lanes *lender, struct net_lanes **out);

/* Takes NULL. */
void net_lanes_destroy(struct net_lanes *net_lanes);

/* compiled_refresh, by all lanes together. */
convoy_status net_lanes_refresh(struct net_lanes *net_lanes);

#endif
