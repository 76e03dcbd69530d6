/* Sockets of the watch. A caller proves with the key that it is of the job, and so does
 * the one that answers: behind an address may be another host's, or another service.
 *
 * Beats, or where none is sent TCP's own probes, that the other host does not
 * acknowledge close a connection after WATCH_LOST_S. A process that is stopped does
 * not: its kernel acknowledges. */
#include "comm/watch_link.h"

#include "base/clock.h"
#include "base/hash.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024 };
static const double connect_s = 2, welcome_s = 10;

/* The name begins with a 0: no file, and gone with the socket. It does not give the key
 * away. */
static socklen_t name_here(const struct watch_key *key, int rank,
                           struct sockaddr_un *name)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    const int n =
        snprintf(name->sun_path + 1, sizeof name->sun_path - 1, "convoy-%016llx-%d",
                 (unsigned long long)hash_64(key, sizeof *key), rank);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static int new_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* The descriptor, or -1 with the error that was. */
static int keep_or_close(int fd, bool is_good)
{
    const int error = errno;
    if (is_good)
        return fd;
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

int link_listen_here(const struct watch_key *key, int rank)
{
    struct sockaddr_un name;
    const socklen_t size = name_here(key, rank, &name);
    const int fd = new_socket(AF_UNIX);
    return keep_or_close(fd, fd >= 0 && bind(fd, (struct sockaddr *)&name, size) == 0 &&
                                 listen(fd, BACKLOG) == 0);
}

/* An address of this host as other hosts may use it; false: it is none. */
static bool usable(const struct ifaddrs *at, struct sockaddr_in6 *out)
{
    const unsigned flags = at->ifa_flags;
    if (!at->ifa_addr || !(flags & IFF_UP) || (flags & IFF_LOOPBACK))
        return false;
    *out = (struct sockaddr_in6){.sin6_family = AF_INET6};
    if (at->ifa_addr->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)at->ifa_addr;
        out->sin6_addr.s6_addr[10] = out->sin6_addr.s6_addr[11] = 0xff;
        memcpy(out->sin6_addr.s6_addr + 12, &v4->sin_addr, 4);
        return true;
    }
    if (at->ifa_addr->sa_family != AF_INET6)
        return false;
    out->sin6_addr =
        ((const struct sockaddr_in6 *)(const void *)at->ifa_addr)->sin6_addr;
    return !IN6_IS_ADDR_LINKLOCAL(&out->sin6_addr);
}

static void find_addresses(struct watch_place *place, in_port_t port)
{
    struct ifaddrs *all = NULL;
    place->n = 0;
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *at = all; at && place->n < WATCH_ADDRESSES;
         at = at->ifa_next)
        if (usable(at, &place->addresses[place->n]))
            place->addresses[place->n++].sin6_port = port;
    freeifaddrs(all);
}

/* Both kinds of addresses where the host has IPv6, else those of IPv4. */
static int bind_any(in_port_t *port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    socklen_t size = sizeof six;
    int no = 0, fd = new_socket(AF_INET6);
    if (fd >= 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) == 0 &&
        bind(fd, (struct sockaddr *)&six, sizeof six) == 0 &&
        getsockname(fd, (struct sockaddr *)&six, &size) == 0) {
        *port = six.sin6_port;
        return fd;
    }
    keep_or_close(fd, false);
    fd = new_socket(AF_INET);
    size = sizeof four;
    const bool is_bound = fd >= 0 &&
                          bind(fd, (struct sockaddr *)&four, sizeof four) == 0 &&
                          getsockname(fd, (struct sockaddr *)&four, &size) == 0;
    *port = four.sin_port;
    return keep_or_close(fd, is_bound);
}

int link_listen(struct watch_place *place)
{
    in_port_t port = 0;
    place->n = 0;
    const int fd = bind_any(&port);
    if (fd < 0 || listen(fd, BACKLOG) != 0)
        return keep_or_close(fd, false);
    find_addresses(place, port);
    return fd;
}

/* Who is at the other end of a Unix socket: only this user's processes are welcome. */
static bool identify(int fd, pid_t *pid)
{
    struct ucred who;
    socklen_t size = sizeof who;
    *pid = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || who.pid == 0)
        return true;
    *pid = who.pid;
    return who.uid == geteuid();
}

static void set_up_tcp(int fd)
{
    const int yes = 1, idle_s = WATCH_LOST_S / 2, between_s = 2, n = 3;
    const unsigned lost_ms = 1000 * WATCH_LOST_S;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost_ms, sizeof lost_ms);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between_s, sizeof between_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &n, sizeof n);
}

int link_accept(int listener, pid_t *pid)
{
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof from;
    *pid = 0;
    const int fd = accept4(listener, (struct sockaddr *)&from, &size,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return -1;
    if (from.ss_family != AF_UNIX) {
        set_up_tcp(fd);
        return fd;
    }
    return keep_or_close(fd, identify(fd, pid));
}

/* Until fd is ready for events, at most until then; false and errno: it is not. */
static bool ready(int fd, short events, double until_s)
{
    struct pollfd poll_fd = {fd, events, 0};
    for (;;) {
        const double left_s = until_s - clock_now_s();
        const int n = left_s <= 0 ? 0 : poll(&poll_fd, 1, (int)(left_s * 1000) + 1);
        if (n > 0)
            return true;
        if (n == 0)
            errno = ETIMEDOUT;
        if (n == 0 || errno != EINTR)
            return false;
    }
}

static int dial(const void *address, socklen_t size)
{
    const int family = ((const struct sockaddr *)address)->sa_family;
    const int fd = new_socket(family);
    int error = 0;
    socklen_t error_size = sizeof error;
    if (fd < 0)
        return -1;
    if (family != AF_UNIX)
        set_up_tcp(fd);
    if (connect(fd, address, size) == 0)
        return fd;
    if (errno != EINPROGRESS || !ready(fd, POLLOUT, clock_now_s() + connect_s))
        return keep_or_close(fd, false);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) == 0)
        errno = error;
    return keep_or_close(fd, error == 0);
}

/* IPv4 has sockets of its own where the host has no IPv6. */
static int dial_at(const struct sockaddr_in6 *address)
{
    if (!IN6_IS_ADDR_V4MAPPED(&address->sin6_addr))
        return dial(address, sizeof *address);
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = address->sin6_port};
    memcpy(&four.sin_addr, address->sin6_addr.s6_addr + 12, 4);
    return dial(&four, sizeof four);
}

/* Says hello at fd and waits for the welcome of rank to. */
static bool greet(int fd, const struct watch_key *key, int from, int to)
{
    const double until_s = clock_now_s() + welcome_s;
    struct watch_link link;
    struct watch_message message = {.kind = WATCH_HELLO, .rank = from, .key = *key};
    int n = 0;
    link_open(&link, fd, 0, WATCH_HUB, to);
    link_send(&link, &message);
    while ((n = link_receive(&link, &message)) == 0)
        if (!ready(fd, POLLIN, until_s))
            return false;
    if (n < 0 && errno == 0)
        errno = ECONNRESET;
    if (n < 0)
        return false;
    errno = EPROTO;
    return message.kind == WATCH_WELCOME && message.rank == to &&
           memcmp(&message.key, key, sizeof *key) == 0;
}

int link_call(const struct watch_key *key, int from, int to,
              const struct watch_place *place, pid_t *pid)
{
    struct sockaddr_un name;
    const socklen_t size = name_here(key, to, &name);
    int fd = dial(&name, size);
    *pid = 0;
    if (fd >= 0 && identify(fd, pid) && greet(fd, key, from, to))
        return fd;
    keep_or_close(fd, false);
    *pid = 0;
    for (int i = 0; place && i < place->n; i++) {
        fd = dial_at(&place->addresses[i]);
        if (fd >= 0 && greet(fd, key, from, to))
            return fd;
        keep_or_close(fd, false);
    }
    return -1;
}

void link_open(struct watch_link *link, int fd, pid_t pid, enum watch_role role,
               int rank)
{
    *link = (struct watch_link){
        .fd = fd, .pid = pid, .role = role, .rank = rank, .heard_s = clock_now_s()};
}

void link_close(struct watch_link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
}

void link_flush(struct watch_link *link)
{
    while (link->fd >= 0 && link->n_out > 0) {
        const ssize_t n = send(link->fd, link->out, link->n_out, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) /* full for now; or the end, which receiving tells */
            return;
        link->n_out -= (size_t)n;
        memmove(link->out, link->out + n, link->n_out);
    }
}

void link_send(struct watch_link *link, const struct watch_message *message)
{
    const size_t left = sizeof link->out - link->n_out;
    const bool is_beat = message->kind == WATCH_BEAT || message->kind == WATCH_ALIVE;
    const size_t needed = sizeof *message * (is_beat ? WATCH_QUEUE / 2 : 1);
    if (link->fd < 0 || left < needed)
        return;
    memcpy(link->out + link->n_out, message, sizeof *message);
    link->n_out += sizeof *message;
    link_flush(link);
}

bool link_is_cut(const struct watch_link *link)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    return link->fd >= 0 &&
           getsockopt(link->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           info.tcpi_unacked > 0 && info.tcpi_retransmits > 0;
}

int link_receive(struct watch_link *link, struct watch_message *message)
{
    while (link->n_in < sizeof link->in) {
        const ssize_t n =
            recv(link->fd, link->in + link->n_in, sizeof link->in - link->n_in, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (n <= 0) {
            errno = n == 0 ? 0 : errno;
            return -1;
        }
        link->n_in += (size_t)n;
    }
    memcpy(message, link->in, sizeof *message);
    link->n_in = 0;
    return 1;
}
