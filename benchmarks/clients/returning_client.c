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
#include <getopt.h>

#include "websocket.h"

#define PER_SOURCE 2500
#define MAX_FRAME (32 * 1024)

enum state { AWAY, CONNECTING, UPGRADING, GREETING, SUBSCRIBING, READY };

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
    struct tokens tokens;
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
    return seconds(CLOCK_MONOTONIC);
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
           word, now(), now() - began, seconds(CLOCK_PROCESS_CPUTIME_ID), count, ready, lost, refused_tcp, refused_http, strange);
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
    unsigned char frame[8 + MAX_REQUEST];
    if (size <= MAX_REQUEST)
        write_all(index, frame, write_frame(frame, opcode, payload, size));
}

static void attempt(uint32_t index)
{
    struct client *client = &clients[index];
    note('a', index);
    client->state = CONNECTING;
    if (!begin_connect(&client->fd, options.port, 1 + index / PER_SOURCE, poller, index)) {
        refused_tcp++;
        leave(index, 't');
    }
}

static void send_request(uint32_t index)
{
    struct client *client = &clients[index];
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    const char *token = options.tokens.list[index % options.tokens.count];
    char request[MAX_REQUEST];
    if (!has_connected(client->fd)) {
        refused_tcp++;
        leave(index, 't');
        return;
    }
    client->state = UPGRADING;
    epoll_ctl(poller, EPOLL_CTL_MOD, client->fd, &event);
    note('s', index);
    write_all(index, request, write_request(request, "/ws/connect", options.port, index, token, NULL));
}

/* Returns false when the client has left. */
static bool frame_received(uint32_t index, const struct frame *frame)
{
    struct client *client = &clients[index];
    const unsigned char *payload = frame->payload, *member;
    size_t size = frame->size;
    int opcode = frame->opcode;
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
    struct frame frame;
    size_t at = 0;
    ssize_t length;
    while ((length = read_frame(data + at, size - at, MAX_FRAME, &frame))) {
        if (length < 0) {
            strange++;
            leave(index, 'e');
            return false;
        }
        if (!frame_received(index, &frame))
            return false;
        at += (size_t)length;
    }
    *used += at;
    return true;
}

static void receive(uint32_t index)
{
    struct client *client = &clients[index];
    static unsigned char buffer[128 * 1024];
    size_t have, used = 0;
    ssize_t size, head;
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
    if (client->state == UPGRADING && (head = read_head(buffer, have))) {
        if (head < 0) {
            refused_http++;
            leave(index, 'h');
            return;
        }
        client->state = GREETING;
        used = (size_t)head;
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
    srandom(1);
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'p': options.port = (uint16_t)atoi(optarg); break;
        case 't': read_tokens(optarg, &options.tokens); break;
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
    if (options.port == 0 || options.subscribe == NULL || options.tokens.count == 0 || options.window == 0) {
        fprintf(stderr, "--port, --subscribe and --tokens are needed\n");
        return 2;
    }
    poller = open_poller();
    for (;;) {
        double wait = heaped ? clients[heap[0]].due - now() : 3600;
        int size = epoll_wait(poller, found, MAX_EVENTS, wait <= 0 ? 0 : (int)(wait * 1000) + 1);
        if (size < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < size; i++) {
            uint32_t index = found[i].data.u32;
            if (index == STDIN_MARK)
                read_commands(command);
            else if (clients[index].state == CONNECTING)
                send_request(index);
            else
                receive(index);
        }
        advance();
    }
}
