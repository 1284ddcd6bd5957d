/* Receiving on many sockets in one thread: by the kernel's clock, and with frames that come in pieces. */
#ifndef RECEIVING_H
#define RECEIVING_H

#include "websocket.h"

#define READ_SIZE (256 * 1024)
#define MAX_UNFINISHED (1024 * 1024)
#define MAX_FRAME (MAX_UNFINISHED / 2)
#define WRONG_FRAME "no whole, plain, unmasked frame of at most 512 KiB, or 125 bytes for a control frame"

/* The bytes of an unfinished frame or response head. */
struct unfinished {
    uint32_t size;
    unsigned char *data;
};

/* What was received last, on whichever socket. */
static unsigned char buffer[READ_SIZE];
static uint64_t real_ahead; /* CLOCK_REALTIME, by which the kernel stamps, less CLOCK_MONOTONIC, in nanoseconds */

/* -- the kernel's clock */

/* Both clocks go at the same pace: only a step of the wall clock changes what is between them. */
static inline void look_at_clocks(void)
{
    real_ahead = nanoseconds(CLOCK_REALTIME) - nanoseconds(CLOCK_MONOTONIC);
}

/* Asks the kernel to stamp what comes for that socket. */
static inline void want_stamps(int fd)
{
    int one = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) < 0)
        fail("SO_TIMESTAMPNS");
}

/* As recv into the buffer. *at becomes the moment at which the kernel had the last of it, on CLOCK_MONOTONIC in
 * nanoseconds; 0 when it does not say.
 */
static inline ssize_t receive_stamped(int fd, size_t limit, uint64_t *at)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec vector = {.iov_base = buffer, .iov_len = limit};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT);
    *at = 0;
    if (size <= 0)
        return size;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(&message); one != NULL; one = CMSG_NXTHDR(&message, one)) {
        struct timespec stamp;
        if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&stamp, CMSG_DATA(one), sizeof stamp);
        *at = (uint64_t)stamp.tv_sec * 1000000000 + (uint64_t)stamp.tv_nsec - real_ahead;
    }
    return size;
}

/* -- what is unfinished */

/* The unfinished bytes and behind them the *size bytes of the buffer, in one piece of which *size becomes the
 * size. NULL when that is more than MAX_UNFINISHED.
 */
static inline unsigned char *join_unfinished(struct unfinished *kept, size_t *size)
{
    if (kept->size == 0)
        return buffer;
    if (kept->size + *size > MAX_UNFINISHED)
        return NULL;
    kept->data = allocate(kept->data, kept->size + *size);
    memcpy(kept->data + kept->size, buffer, *size);
    *size += kept->size;
    return kept->data;
}

static inline void drop_unfinished(struct unfinished *kept)
{
    free(kept->data);
    kept->data = NULL;
    kept->size = 0;
}

/* Keeps what stands behind the used bytes of such a piece. */
static inline void keep_unfinished(struct unfinished *kept, const unsigned char *data, size_t used, size_t size)
{
    if (used == size) {
        drop_unfinished(kept);
        return;
    }
    kept->size = (uint32_t)(size - used);
    if (data == buffer) {
        kept->data = allocate(NULL, kept->size);
        memcpy(kept->data, data + used, kept->size);
    } else {
        memmove(kept->data, data + used, kept->size);
    }
}

#endif
