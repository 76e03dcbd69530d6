/* wire PID1 DEV1 PID2 DEV2 DELAY_NS READYFILE: a network cable of mpi-lab.sh.
 *
 * Creates tap DEV1 in the network namespace of process PID1 and tap DEV2 in that of
 * PID2, writes READYFILE, and passes frames between them for ever; those from DEV1 to
 * DEV2 are held back for DELAY_NS. A write that fails is a lost frame, as on a real
 * wire, and TCP copes. The virtio header lets segmentation-offload frames of 64 KiB
 * through whole, so a copy is cheap. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MAX = 1 << 17, MOST_HELD = 64 << 20, FRAMES_A_TURN = 64 };

struct frame {
    struct frame *next;
    int64_t due;
    size_t length;
    char data[];
};

struct wire {
    int host, port;
    int64_t delay;
    struct frame *first, **end; /* held back, the next to go first */
    size_t held;                /* their bytes; beyond MOST_HELD, frames are lost */
    char room[FRAME_MAX];
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int open_tap(const char *pid, const char *name)
{
    const unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    char path[64];
    struct ifreq request = {0};
    snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
    const int ns = open(path, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
        fail(path);
    close(ns);
    const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        fail("/dev/net/tun");
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
    if (ioctl(fd, TUNSETIFF, &request) != 0)
        fail("TUNSETIFF");
    if (ioctl(fd, TUNSETOFFLOAD, offloads) != 0)
        fail("TUNSETOFFLOAD");
    return fd;
}

static void hold_back(struct wire *w, size_t length)
{
    struct frame *frame = NULL;
    if (w->held + length <= MOST_HELD)
        frame = malloc(sizeof *frame + length);
    if (!frame)
        return;
    frame->next = NULL;
    frame->due = now_ns() + w->delay;
    frame->length = length;
    memcpy(frame->data, w->room, length);
    *w->end = frame;
    w->end = &frame->next;
    w->held += length;
}

static void let_go(struct wire *w)
{
    while (w->first && w->first->due <= now_ns()) {
        struct frame *frame = w->first;
        w->first = frame->next;
        if (!w->first)
            w->end = &w->first;
        if (write(w->port, frame->data, frame->length) < 0 && errno == EBADF)
            fail("write");
        w->held -= frame->length;
        free(frame);
    }
}

static void pass(struct wire *w)
{
    ssize_t n;
    for (int i = 0; i < FRAMES_A_TURN && (n = read(w->host, w->room, FRAME_MAX)) > 0;
         i++)
        hold_back(w, (size_t)n);
    for (int i = 0; i < FRAMES_A_TURN && (n = read(w->port, w->room, FRAME_MAX)) > 0;
         i++)
        if (write(w->host, w->room, (size_t)n) < 0 && errno == EBADF)
            fail("write");
    let_go(w);
}

static void wait_for_frames(const struct wire *w)
{
    struct pollfd fds[2] = {{w->host, POLLIN, 0}, {w->port, POLLIN, 0}};
    struct timespec left = {0};
    if (w->first) {
        const int64_t ns = w->first->due - now_ns();
        left.tv_sec = ns > 0 ? ns / 1000000000 : 0;
        left.tv_nsec = ns > 0 ? ns % 1000000000 : 0;
    }
    if (ppoll(fds, 2, w->first ? &left : NULL, NULL) < 0 && errno != EINTR)
        fail("ppoll");
}

int main(int argc, char **argv)
{
    static struct wire w;
    if (argc != 7) {
        fprintf(stderr, "usage: wire PID1 DEV1 PID2 DEV2 DELAY_NS READYFILE\n");
        return 2;
    }
    w.host = open_tap(argv[1], argv[2]);
    w.port = open_tap(argv[3], argv[4]);
    w.delay = strtoll(argv[5], NULL, 10);
    w.end = &w.first;
    prctl(PR_SET_TIMERSLACK, 1UL);
    /* A link must not wait for a time slice behind polling ranks. */
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
    FILE *ready = fopen(argv[6], "w");
    if (!ready || fclose(ready) != 0)
        fail(argv[6]);
    for (;;) {
        wait_for_frames(&w);
        pass(&w);
    }
}
