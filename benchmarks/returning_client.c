/* Clients that come back: many WebSocket connections in one thread, each with a reconnect policy.
 *
 * It reads command lines from stdin and answers each with one line, a word and a JSON object:
 *
 *   connect N     open N connections, each up to its confirmed subscription    -> connected {...}
 *   port N        reconnect there from now on                                  -> ok {...}
 *   await         wait until each has lost its connection and has another      -> armed {...},
 *                                                                              then returned {...}
 *   report        how many are where                                           -> report {...}
 *
 * End of input ends it. A connection that ends comes back after a delay:
 *
 *   - after "system_shutdown" its reconnect_after_ms, changed by up to --advice-jitter of itself,
 *     once, counted from the close;
 *   - else, and after each attempt that fails, --floor plus a random part of
 *     min(--cap, --initial * 2^attempt) milliseconds: from 0 to all of it (full jitter), or with
 *     --spread S from 1 - S to 1 + S times it.
 *
 * With --events FILE every step is a line of it: seconds on CLOCK_MONOTONIC, a letter, the client.
 *   e ended   a attempt   t refused by TCP   s handshake sent   h refused over HTTP
 *   c connected   r ready (subscribed again)
 * Several source addresses, for a single one has 28,232 ports only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
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

#define BUFFER 4096
#define MAX_REQUEST 9216
#define MAX_EVENTS 512
#define PER_SOURCE 2500
#define STDIN_MARK UINT32_MAX

enum state { AWAY, CONNECTING, UPGRADING, GREETING, SUBSCRIBING, READY };
enum opcode { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };

struct client {
    int fd;
    enum state state;
    uint32_t attempt;   /* failed since the last connection */
    int32_t advice;     /* milliseconds, -1 when there is none */
    bool lost;          /* since the last "await" */
    double due;         /* of the next attempt */
    uint32_t pending;   /* bytes of an unfinished frame or head */
    unsigned char *data;
};

static struct {
    uint16_t port;
    uint32_t window; /* of the first connects */
    double initial, cap, floor, spread, advice_jitter;
    const char *subscribe;
    char **tokens;
    uint32_t token_count;
} options = {.window = 100, .initial = 1000, .cap = 30000};

static struct client *clients;
static uint32_t *heap, heaped; /* indexes of those who are away, soonest first */
static uint32_t count, wanted, under_way, ready, lost;
static uint64_t refused_tcp, refused_http, strange;
static bool opening, awaiting;
static double began;
static FILE *events;
static int poller;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double cpu(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void *allocate(void *old, size_t size)
{
    void *memory = realloc(old, size);
    if (memory == NULL)
        fail("memory");
    return memory;
}

static void note(char what, uint32_t index)
{
    if (events != NULL)
        fprintf(events, "%.6f %c %u\n", now(), what, index);
}

static void answer(const char *word)
{
    if (events != NULL)
        fflush(events);
    printf("%s {\"at\":%.6f,\"wall\":%.6f,\"cpu\":%.6f,\"clients\":%u,\"ready\":%u,\"lost\":%u,"
           "\"refused_tcp\":%lu,\"refused_http\":%lu,\"strange\":%lu}\n",
           word, now(), now() - began, cpu(), count, ready, lost, refused_tcp, refused_http, strange);
    fflush(stdout);
}

/* -- those who are away */

static void swap(uint32_t a, uint32_t b)
{
    uint32_t kept = heap[a];
    heap[a] = heap[b];
    heap[b] = kept;
}

static void push(uint32_t index)
{
    uint32_t at = heaped++;
    heap[at] = index;
    for (; at > 0 && clients[heap[at]].due < clients[heap[(at - 1) / 2]].due; at = (at - 1) / 2)
        swap(at, (at - 1) / 2);
}

static uint32_t pop(void)
{
    uint32_t soonest = heap[0], at = 0, child;
    heap[0] = heap[--heaped];
    while ((child = 2 * at + 1) < heaped) {
        if (child + 1 < heaped && clients[heap[child + 1]].due < clients[heap[child]].due)
            child++;
        if (clients[heap[at]].due <= clients[heap[child]].due)
            break;
        swap(at, child);
        at = child;
    }
    return soonest;
}

static double random_share(void)
{
    return (double)random() / ((double)RAND_MAX + 1);
}

static double delay_of(struct client *client)
{
    double base = options.initial;
    if (client->advice >= 0) {
        base = client->advice * (1 + options.advice_jitter * (2 * random_share() - 1));
        client->advice = -1;
        return base / 1000;
    }
    for (uint32_t i = 0; i < client->attempt && base < options.cap; i++)
        base *= 2;
    client->attempt++;
    if (base > options.cap)
        base = options.cap;
    base *= options.spread > 0 ? 1 + options.spread * (2 * random_share() - 1) : random_share();
    return (options.floor + base) / 1000;
}

/* -- one client */

static void leave(uint32_t index, char why)
{
    struct client *client = &clients[index];
    note(why, index);
    if (client->state == READY) {
        ready--;
        if (!client->lost) {
            client->lost = true;
            lost++;
        }
    } else if (opening) {
        under_way--;
    }
    close(client->fd);
    free(client->data);
    client->data = NULL;
    client->pending = 0;
    client->state = AWAY;
    client->due = now() + delay_of(client);
    push(index);
}

static void write_all(uint32_t index, const void *data, size_t size)
{
    /* Few bytes into an empty buffer; a socket that breaks meanwhile reports it by itself. */
    if (send(clients[index].fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
        strange++;
}

static void send_frame(uint32_t index, int opcode, const void *payload, size_t size)
{
    unsigned char frame[8 + BUFFER];
    size_t at = 2;
    if (size > BUFFER)
        return;
    frame[0] = (unsigned char)(0x80 | opcode);
    frame[1] = (unsigned char)(0x80 | (size < 126 ? size : 126));
    if (size >= 126) {
        frame[2] = (unsigned char)(size >> 8);
        frame[3] = (unsigned char)size;
        at = 4;
    }
    memset(frame + at, 0, 4); /* a mask of zeros is a mask */
    memcpy(frame + at + 4, payload, size);
    write_all(index, frame, at + 4 + size);
}

static void attempt(uint32_t index)
{
    struct client *client = &clients[index];
    struct sockaddr_in here = {.sin_family = AF_INET};
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = index};
    int one = 1;
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + index / PER_SOURCE);
    note('a', index);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        fail("socket");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* Without this bind would settle on a port that is free for every destination. */
    setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(client->fd, (struct sockaddr *)&here, sizeof here) < 0)
        fail("bind");
    client->state = CONNECTING;
    if (epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &event) < 0)
        fail("epoll_ctl");
    if (connect(client->fd, (struct sockaddr *)&there, sizeof there) < 0 && errno != EINPROGRESS) {
        refused_tcp++;
        leave(index, 't');
    }
}

static void send_request(uint32_t index)
{
    struct client *client = &clients[index];
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    char request[MAX_REQUEST];
    int size, error = 0;
    socklen_t length = sizeof error;
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) {
        refused_tcp++;
        leave(index, 't');
        return;
    }
    client->state = UPGRADING;
    epoll_ctl(poller, EPOLL_CTL_MOD, client->fd, &event);
    size = snprintf(request, sizeof request,
                    "GET /ws/connect HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: AAAAAAAAAAAAA%08XA==\r\nAuthorization: Bearer %s\r\n\r\n",
                    options.port, index, options.tokens[index % options.token_count]);
    note('s', index);
    write_all(index, request, (size_t)size);
}

static bool contains(const unsigned char *text, size_t size, const char *word)
{
    return memmem(text, size, word, strlen(word)) != NULL;
}

/* Returns false when the client has left. */
static bool frame_received(uint32_t index, int opcode, const unsigned char *payload, size_t size)
{
    struct client *client = &clients[index];
    const unsigned char *member;
    if (opcode == CLOSE) {
        send_frame(index, CLOSE, payload, size < 2 ? size : 2);
        leave(index, 'e');
        return false;
    }
    if (opcode == PING) {
        send_frame(index, PONG, payload, size);
    } else if (client->state == GREETING && contains(payload, size, "\"type\":\"connected\"")) {
        note('c', index);
        client->state = SUBSCRIBING;
        client->attempt = 0;
        send_frame(index, TEXT, options.subscribe, strlen(options.subscribe));
    } else if (client->state == SUBSCRIBING && contains(payload, size, "\"subscription_confirmed\"")) {
        note('r', index);
        client->state = READY;
        ready++;
        if (opening)
            under_way--;
    } else if ((member = memmem(payload, size, "\"reconnect_after_ms\":", 21)) != NULL) {
        client->advice = (int32_t)atoi((const char *)member + 21);
    } else {
        strange++;
    }
    return true;
}

/* Returns false when the client has left, else the bytes that were whole frames in *used. */
static bool read_frames(uint32_t index, const unsigned char *data, size_t size, size_t *used)
{
    size_t at = 0;
    while (size - at >= 2) {
        size_t head = 2, length = data[at + 1] & 0x7f;
        if (length == 127) {
            strange++;
            leave(index, 'e');
            return false;
        }
        if (length == 126) {
            head = 4;
            if (size - at < head)
                break;
            length = (size_t)data[at + 2] << 8 | data[at + 3];
        }
        if (size - at < head + length)
            break;
        if (!frame_received(index, data[at] & 0x0f, data + at + head, length))
            return false;
        at += head + length;
    }
    *used += at;
    return true;
}

static void receive(uint32_t index)
{
    struct client *client = &clients[index];
    static unsigned char buffer[128 * 1024];
    const unsigned char *end;
    size_t have, used = 0;
    ssize_t size;
    if (client->pending)
        memcpy(buffer, client->data, client->pending);
    size = recv(client->fd, buffer + client->pending, sizeof buffer / 2, MSG_DONTWAIT);
    if (size <= 0) {
        if (size < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        leave(index, 'e');
        return;
    }
    have = client->pending + (size_t)size;
    buffer[have] = '\0';
    if (client->state == UPGRADING && (end = memmem(buffer, have, "\r\n\r\n", 4)) != NULL) {
        if (have < 12 || memcmp(buffer, "HTTP/1.1 101", 12) != 0) {
            refused_http++;
            leave(index, 'h');
            return;
        }
        client->state = GREETING;
        used = (size_t)(end - buffer) + 4;
    }
    if (client->state > UPGRADING && !read_frames(index, buffer + used, have - used, &used))
        return;
    client->pending = (uint32_t)(have - used);
    if (client->pending > sizeof buffer / 2 - 1) {
        fprintf(stderr, "an endless frame\n");
        exit(1);
    }
    if (client->pending) {
        client->data = allocate(client->data, client->pending);
        memcpy(client->data, buffer + used, client->pending);
    }
}

/* -- phases */

static void advance(void)
{
    double moment = now();
    while (opening && count < wanted && under_way < options.window) {
        clients[count] = (struct client){.advice = -1};
        under_way++;
        attempt(count++);
    }
    if (opening && ready == wanted) {
        opening = false;
        answer("connected");
    }
    while (heaped && clients[heap[0]].due <= moment) {
        uint32_t index = pop();
        if (opening)
            under_way++;
        attempt(index);
    }
    if (awaiting && lost == count && ready == count) {
        awaiting = false;
        answer("returned");
    }
}

static void command(const char *line)
{
    unsigned number;
    began = now();
    if (sscanf(line, "connect %u", &number) == 1 && number <= 1000000) {
        wanted = count + number;
        clients = allocate(clients, wanted * sizeof *clients);
        heap = allocate(heap, wanted * sizeof *heap);
        opening = true;
    } else if (sscanf(line, "port %u", &number) == 1) {
        options.port = (uint16_t)number;
        answer("ok");
    } else if (strcmp(line, "await") == 0) {
        for (uint32_t i = 0; i < count; i++)
            clients[i].lost = false;
        lost = 0;
        awaiting = true;
        answer("armed");
    } else if (strcmp(line, "report") == 0) {
        answer("report");
    } else {
        fprintf(stderr, "no such command: %s\n", line);
        exit(2);
    }
}

static void read_commands(void)
{
    static char line[256];
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
}

static void read_tokens(const char *path)
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
        options.tokens = allocate(options.tokens, (options.token_count + 1) * sizeof *options.tokens);
        options.tokens[options.token_count++] = strdup(line);
    }
    free(line);
    fclose(file);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},   {"tokens", required_argument, NULL, 't'},
        {"subscribe", required_argument, NULL, 's'}, {"window", required_argument, NULL, 'w'},
        {"initial", required_argument, NULL, 'i'}, {"cap", required_argument, NULL, 'c'},
        {"floor", required_argument, NULL, 'f'}, {"spread", required_argument, NULL, 'd'},
        {"advice-jitter", required_argument, NULL, 'j'}, {"seed", required_argument, NULL, 'r'},
        {"events", required_argument, NULL, 'e'}, {NULL, 0, NULL, 0},
    };
    struct epoll_event found[MAX_EVENTS];
    struct epoll_event input = {.events = EPOLLIN, .data.u32 = STDIN_MARK};
    srandom(1);
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'p': options.port = (uint16_t)atoi(optarg); break;
        case 't': read_tokens(optarg); break;
        case 's': options.subscribe = optarg; break;
        case 'w': options.window = (uint32_t)atoi(optarg); break;
        case 'i': options.initial = atof(optarg); break;
        case 'c': options.cap = atof(optarg); break;
        case 'f': options.floor = atof(optarg); break;
        case 'd': options.spread = atof(optarg); break;
        case 'j': options.advice_jitter = atof(optarg); break;
        case 'r': srandom((unsigned)atoi(optarg)); break;
        case 'e':
            if ((events = fopen(optarg, "w")) == NULL)
                fail(optarg);
            break;
        default: return 2;
        }
    }
    if (options.port == 0 || options.subscribe == NULL || options.token_count == 0 || options.window == 0) {
        fprintf(stderr, "--port, --subscribe and --tokens are needed\n");
        return 2;
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0)
        fail("epoll");
    for (;;) {
        double wait = heaped ? clients[heap[0]].due - now() : 3600;
        int size = epoll_wait(poller, found, MAX_EVENTS, wait <= 0 ? 0 : (int)(wait * 1000) + 1);
        if (size < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < size; i++) {
            uint32_t index = found[i].data.u32;
            if (index == STDIN_MARK)
                read_commands();
            else if (clients[index].state == CONNECTING)
                send_request(index);
            else
                receive(index);
        }
        advance();
    }
}
