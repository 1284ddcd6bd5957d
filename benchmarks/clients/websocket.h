/* What the benchmarks' clients have in common: the client's side of RFC 6455 over many sockets of
 * one thread, and the commands and tokens that they are given. Each is one source file, so all is
 * static here.
 */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_REQUEST 9216
#define MAX_EVENTS 512
#define STDIN_MARK UINT32_MAX

enum opcode { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

struct frame {
    int opcode;
    const unsigned char *payload;
    size_t size;
};

struct tokens {
    char **list;
    uint32_t count;
};

static inline double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline uint64_t nanoseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline void fail(const char *what)
{
    perror(what);
    exit(1);
}

static inline void *allocate(void *old, size_t size)
{
    void *memory = realloc(old, size);
    if (memory == NULL)
        fail("memory");
    return memory;
}

static inline bool contains(const unsigned char *text, size_t size, const char *word)
{
    return memmem(text, size, word, strlen(word)) != NULL;
}

/* -- sockets */

/* Begins to connect to this machine from the address 127.0.0.1 + source, and waits for that with the
 * poller. False when it was refused at once; the socket is there all the same.
 */
static inline bool begin_connect(int *fd, uint16_t port, uint32_t source, int poller, uint32_t index)
{
    struct sockaddr_in here = {.sin_family = AF_INET};
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = index};
    int one = 1;
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK + source);
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        fail("socket");
    setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* Without this bind would settle on a port that is free for every destination. */
    setsockopt(*fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(*fd, (struct sockaddr *)&here, sizeof here) < 0)
        fail("bind");
    if (connect(*fd, (struct sockaddr *)&there, sizeof there) < 0 && errno != EINPROGRESS)
        return false;
    if (epoll_ctl(poller, EPOLL_CTL_ADD, *fd, &event) < 0)
        fail("epoll_ctl");
    return true;
}

static inline bool has_connected(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    return error == 0;
}

/* -- RFC 6455 */

/* The opening handshake of one client, with or without a token and an offered subprotocol. Returns its size. */
static inline size_t write_request(char request[MAX_REQUEST], const char *path, uint16_t port, uint32_t index,
                                   const char *token, const char *protocol)
{
    /* Any 16 bytes in base64: 24 characters, the last digit holding two bits only. */
    int size = snprintf(request, MAX_REQUEST,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAA%08XA==\r\n",
                        path, port, index);
    if (token != NULL)
        size += snprintf(request + size, MAX_REQUEST - (size_t)size, "Authorization: Bearer %s\r\n", token);
    if (protocol != NULL)
        size += snprintf(request + size, MAX_REQUEST - (size_t)size, "Sec-WebSocket-Protocol: %s\r\n", protocol);
    size += snprintf(request + size, MAX_REQUEST - (size_t)size, "\r\n");
    return (size_t)size;
}

/* A masked frame of up to MAX_REQUEST bytes; the place must have eight more. Returns its size. */
static inline size_t write_frame(unsigned char *frame, int opcode, const void *payload, size_t size)
{
    static const unsigned char key[4] = {0x5a, 0xc3, 0x17, 0x8e};
    size_t at = 2;
    frame[0] = (unsigned char)(0x80 | opcode);
    frame[1] = (unsigned char)(0x80 | (size < 126 ? size : 126));
    if (size >= 126) {
        frame[2] = (unsigned char)(size >> 8);
        frame[3] = (unsigned char)size;
        at = 4;
    }
    memcpy(frame + at, key, 4);
    at += 4;
    for (size_t i = 0; i < size; i++)
        frame[at + i] = ((const unsigned char *)payload)[i] ^ key[i & 3];
    return at + size;
}

/* Returns the bytes of the frame, 0 while it is not all there, -1 for what is not whole, plain and
 * unmasked, or over the limit, which for a control frame is 125 bytes (RFC 6455, section 5.5).
 */
static inline ssize_t read_frame(const unsigned char *data, size_t size, size_t limit, struct frame *frame)
{
    size_t head = 2, length;
    if (size < head)
        return 0;
    if (!(data[0] & 0x80) || data[0] & 0x70 || data[1] & 0x80)
        return -1;
    length = data[1];
    if (length >= 126) {
        if (data[0] & 0x08)
            return -1;
        head = length == 126 ? 4 : 10;
        if (size < head)
            return 0;
        length = 0;
        for (size_t i = 2; i < head; i++)
            length = length << 8 | data[i];
        if (length > limit)
            return -1;
    }
    if (size - head < length)
        return 0;
    *frame = (struct frame){data[0] & 0x0f, data + head, length};
    return (ssize_t)(head + length);
}

/* Returns the bytes of the answer to the handshake, 0 while it is not all there, -1 for a refusal. */
static inline ssize_t read_head(const unsigned char *data, size_t size)
{
    const unsigned char *end = memmem(data, size, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    if (size < 12 || memcmp(data, "HTTP/1.1 101", 12) != 0)
        return -1;
    return end - data + 4;
}

/* -- what they are given */

/* Reads what is there of stdin and calls back with each line. The end of it ends the process. */
static inline void read_commands(void (*command)(const char *))
{
    /* Some commands end in the name of a file. */
    static char line[PATH_MAX + 64];
    static size_t have;
    char *end;
    ssize_t size = read(STDIN_FILENO, line + have, sizeof line - 1 - have);
    if (size <= 0)
        exit(0);
    have += (size_t)size;
    line[have] = '\0';
    while ((end = strchr(line, '\n')) != NULL) {
        *end = '\0';
        command(line);
        have -= (size_t)(end + 1 - line);
        memmove(line, end + 1, have + 1);
    }
    if (have == sizeof line - 1) {
        fprintf(stderr, "a command is too long\n");
        exit(2);
    }
}

/* A file of one token per line. */
static inline void read_tokens(const char *path, struct tokens *tokens)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    if (file == NULL)
        fail(path);
    while ((size = getline(&line, &capacity, file)) > 0) {
        if (line[size - 1] == '\n')
            line[--size] = '\0';
        if (size > MAX_REQUEST - 1024) {
            fprintf(stderr, "a token is too long\n");
            exit(2);
        }
        tokens->list = allocate(tokens->list, (tokens->count + 1) * sizeof *tokens->list);
        tokens->list[tokens->count++] = strdup(line);
    }
    free(line);
    fclose(file);
}

/* The poller that stdin is watched by. */
static inline int open_poller(void)
{
    struct epoll_event input = {.events = EPOLLIN, .data.u32 = STDIN_MARK};
    int poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0)
        fail("epoll");
    return poller;
}

#endif
