/* Preloaded into a test: makes send, sendmsg and write to sockets take fewer bytes than they
 * were given, or none (EAGAIN), or be interrupted (EINTR), at random from SHORT_WRITES_SEED.
 * Only descriptors from SHORT_WRITES_FROM on are touched, so that the test's own ends are not. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static uint64_t state;
static uint64_t counts[4]; /* short, EAGAIN, EINTR, whole */

uint64_t short_writes_count(int kind) { return counts[kind]; }

/* Set by the test: descriptors whose writes are disturbed. */
static unsigned char disturbed[65536];

void short_writes_disturb(int fd, int on) {
    if (fd >= 0 && fd < (int)sizeof disturbed) disturbed[fd] = (unsigned char)on;
}

static uint64_t next_random(void) {
    if (state == 0) {
        const char *seed = getenv("SHORT_WRITES_SEED");
        state = (seed ? strtoull(seed, NULL, 10) : 1) * 2 + 1;
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* 0: fail with errno set; otherwise how many of `size` bytes to pass on. */
static size_t allow(int fd, size_t size) {
    if (size == 0 || fd < 0 || fd >= (int)sizeof disturbed || !disturbed[fd]) return size;
    switch (next_random() % 8) {
    case 0:
        errno = EAGAIN;
        counts[1]++;
        return 0;
    case 1:
        errno = EINTR;
        counts[2]++;
        return 0;
    case 2:
    case 3:
    case 4: {
        /* Often around the very ends, where off-by-one faults live. */
        uint64_t kind = next_random() % 4;
        size_t part = kind == 0 ? 1 : kind == 1 ? size - 1 : next_random() % size + 1;
        counts[0]++;
        return part ? part : 1;
    }
    default:
        counts[3]++;
        return size;
    }
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
    static ssize_t (*real)(int, const void *, size_t, int);
    if (!real) real = dlsym(RTLD_NEXT, "send");
    size_t allowed = allow(fd, size);
    return size && !allowed ? -1 : real(fd, data, allowed, flags);
}

ssize_t write(int fd, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    size_t allowed = allow(fd, size);
    return size && !allowed ? -1 : real(fd, data, allowed);
}

static size_t total(const struct iovec *parts, size_t count) {
    size_t size = 0;
    for (size_t i = 0; i < count; i++) size += parts[i].iov_len;
    return size;
}

/* Shorten to `allowed` bytes into `out`, which has room for 1024 parts; the number of parts. */
static size_t shorten(const struct iovec *parts, size_t count, size_t allowed, struct iovec *out) {
    size_t used = 0;
    while (allowed && used < count) {
        out[used] = parts[used];
        if (out[used].iov_len > allowed) out[used].iov_len = allowed;
        allowed -= out[used].iov_len;
        used++;
    }
    return used;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    static ssize_t (*real)(int, const struct msghdr *, int);
    if (!real) real = dlsym(RTLD_NEXT, "sendmsg");
    size_t size = total(message->msg_iov, message->msg_iovlen);
    size_t allowed = allow(fd, size);
    if (allowed == size) return real(fd, message, flags);
    if (!allowed) return -1;
    struct iovec parts[1024];
    struct msghdr shorter = *message;
    shorter.msg_iovlen = shorten(message->msg_iov, message->msg_iovlen, allowed, parts);
    shorter.msg_iov = parts;
    return real(fd, &shorter, flags);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    static ssize_t (*real)(int, const struct iovec *, int);
    if (!real) real = dlsym(RTLD_NEXT, "writev");
    size_t size = total(parts, (size_t)count);
    size_t allowed = allow(fd, size);
    if (allowed == size) return real(fd, parts, count);
    if (!allowed) return -1;
    struct iovec shorter[1024];
    return real(fd, shorter, (int)shorten(parts, (size_t)count, allowed, shorter));
}
