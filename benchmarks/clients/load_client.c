/* Load client of the benchmarks: many WebSocket connections in one thread.
 *
 * It reads command lines from stdin and answers each with one line, a word and a JSON object:
 *
 *   connect N     open N more connections up to the server's "connected"    -> connected {...}
 *   subscribe [N] send the command on each connection that has not; the
 *                 first message that they get is number N, 0 unless given   -> subscribed {...}
 *   expect N      wait until every subscriber has had N messages in all     -> armed, then done {...}
 *   report        what has been received so far                             -> report {...}
 *   stall N       stop reading on the last N connections                    -> stalled {}
 *   wake          read on them again                                        -> awake {}
 *   clear         forget the latencies and the time measured so far         -> cleared {}
 *   losses        what came late, and what was lost and told of             -> losses {...}
 *   last          how late the last receiver of each message had it         -> last {...}
 *
 * "wall", "cpu" and "cpu_share" of an answer count from the last connect, subscribe, expect or clear, those of "done"
 * from the first byte that comes after expect.
 * With --binary-every N the last of each N connections speaks wsserver.v1.bin and must get nothing else.
 * End of input ends it. A published message starts with {"_meta": and carries a member "n" that
 * counts from 0; each connection checks that every number comes exactly once and in order, or is
 * told of in a gap. A member "at" right behind it, in nanoseconds, is the moment from which its latency
 * counts on the connections that are not stalled; one with "alert" right behind those is counted on each
 * connection. Nothing else in a message is looked at: a search for members that are not there took longer
 * than all the rest that this process does.
 * Other servers speak otherwise. --hello is what to send before the greeting; --greeting, --confirmation and
 * --published say what a greeting and a confirmation contain and how a published message starts. With
 * --lines a frame, in text or binary, may hold several messages, one a line.
 * Times are CLOCK_MONOTONIC, so that another process may compare them with its own.
 *
 * A latency, and what is expected, ends when this process has read the message, or with --kernel-time when
 * the kernel had it: that is the server's share alone, whoever else keeps this processor busy, and it lets
 * this process read lazily, which is cheaper. What is read together counts as having come with the last of it.
 * While one socket wants it the kernel stamps every packet of the machine: a send takes 1.6 % longer then,
 * whoever sends.
 */
#define _GNU_SOURCE
#include <getopt.h>

#include "arrivals.h"
#include "errors.h"
#include "histogram.h"
#include "members.h"
#include "receiving.h"
#include "span.h"

/* A source address serves that many connections. The kernel's default range has 28,232 ports, and it looks for
 * a free one by trying: with half of them in use, or waiting for their end, that took nearly all of this process's
 * time. Fewer where the range is smaller.
 */
#define PER_SOURCE 4000
#define NAP_MICROSECONDS 300
/* Where the kernel keeps the time. Longer than 40 ms it would acknowledge by itself, on the server's processor. */
#define LONG_NAP_MICROSECONDS 2000

/* Those from READY on have been promised messages. */
enum state { CONNECTING, UPGRADING, GREETING, OPEN, SUBSCRIBING, READY, LOST };

struct connection {
    int fd;
    enum state state;
    uint32_t next;       /* the number that the next message must have */
    uint64_t seen;       /* bit i: number next - 1 - i has been seen */
    uint32_t missing;    /* numbers that did not come */
    uint32_t told;       /* numbers that a gap has told of */
    uint32_t alerts;
    bool stalled;
    struct unfinished unfinished;
};

static struct {
    uint16_t port;
    const char *path, *subscribe;
    const char *hello, *greeting, *confirmation, *published;
    bool lines; /* each line of a frame is a message */
    uint32_t window; /* connects or subscribes under way at a time */
    uint32_t binary_every; /* one of so many connections speaks the binary protocol; 0: none does */
    bool kernel_time;
    struct tokens tokens;
} options = {
    .path = "/ws/connect",
    .window = 100,
    .greeting = "\"type\":\"connected\"",
    .confirmation = "\"type\":\"subscription_confirmed\"",
    .published = "{\"_meta\":",
};

static struct {
    uint64_t messages, bytes, missing, duplicates, disorder, foreign, control;
    uint32_t lost;
    struct errors errors;
} totals;

static uint32_t per_source = PER_SOURCE;
static size_t published_length; /* of options.published */
static struct histogram latencies;
static struct arrivals arrivals; /* since "clear" */
static uint64_t received_at; /* when the kernel had what is being read; 0: ask the clock */
static uint64_t latest;      /* when the kernel had the last message since "expect" */

static struct connection *connections;
static uint32_t count, opened, confirmed;      /* made so far, greeted, subscribed */
static uint32_t wanted, under_way, to_confirm; /* of the phase that runs */
static uint32_t target, lacking;               /* of "expect" */
static uint32_t first_number;                  /* of "subscribe" */
static bool opening, subscribing, expecting, started;
static struct span phase;
static uint64_t phase_bytes;
static int poller;

static bool is_binary(const struct connection *connection)
{
    uint32_t every = options.binary_every, index = (uint32_t)(connection - connections);
    return every != 0 && index % every == every - 1;
}

/* -- answers */

static void answer(const char *word, double at)
{
    struct span now = mark(), span = between(phase, now);
    uint64_t missing = totals.missing;
    for (uint32_t i = 0; i < count; i++)
        if (connections[i].state >= READY && connections[i].next < target)
            missing += target - connections[i].next;
    printf("%s {\"at\":%.9f,\"wall\":%.9f,\"cpu\":%.9f,\"cpu_share\":%.4f,\"connections\":%u,"
           "\"confirmed\":%u,\"lost\":%u,\"lacking\":%u,\"messages\":%lu,\"bytes\":%lu,\"missing\":%lu,"
           "\"duplicates\":%lu,\"disorder\":%lu,\"foreign\":%lu,\"control\":%lu,",
           word, at ? at : now.wall, span.wall, span.cpu, share_of(span), opened, confirmed, totals.lost,
           lacking, totals.messages, totals.bytes, missing, totals.duplicates, totals.disorder,
           totals.foreign, totals.control);
    print_errors(&totals.errors);
}

static void answer_losses(void)
{
    uint64_t missing = 0, told = 0, quick_missing = 0;
    uint32_t stalled = 0, untold = 0, fewest = UINT32_MAX, most = 0, lost = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct connection *one = &connections[i];
        if (one->state == LOST) {
            lost++;
            continue;
        }
        stalled += one->stalled;
        missing += one->missing;
        told += one->told;
        untold += one->missing != one->told;
        if (!one->stalled)
            quick_missing += one->missing;
        fewest = one->alerts < fewest ? one->alerts : fewest;
        most = one->alerts > most ? one->alerts : most;
    }
    printf("losses {\"samples\":%lu,\"p50_us\":%lu,\"p99_us\":%lu,\"p999_us\":%lu,\"max_us\":%lu,"
           "\"missing\":%lu,\"told\":%lu,\"untold_connections\":%u,\"missing_elsewhere\":%lu,"
           "\"stalled\":%u,\"lost\":%u,\"fewest_alerts\":%u,\"most_alerts\":%u}\n",
           samples_of(&latencies), micros_at(&latencies, 0.5), micros_at(&latencies, 0.99),
           micros_at(&latencies, 0.999), latencies.slowest, missing, told, untold, quick_missing, stalled, lost,
           fewest, most);
    fflush(stdout);
}

static void answer_last(void)
{
    printf("last {");
    print_arrivals(&arrivals);
    puts("}");
    fflush(stdout);
}

/* -- one connection */

static void lose(struct connection *connection, const char *why)
{
    if (connection->state == LOST)
        return;
    note_error(&totals.errors, why, strlen(why));
    if (connection->state < OPEN || connection->state == SUBSCRIBING)
        under_way--;
    if (expecting && connection->state == READY && connection->next < target)
        lacking--;
    connection->state = LOST;
    close(connection->fd);
    drop_unfinished(&connection->unfinished);
    totals.lost++;
}

static void write_all(struct connection *connection, const void *data, size_t size)
{
    /* The socket's buffer is empty whenever we write these few bytes. */
    if (send(connection->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
        lose(connection, "short write");
}

static void send_frame(struct connection *connection, int opcode, const void *payload, size_t size)
{
    unsigned char frame[8 + MAX_REQUEST];
    write_all(connection, frame, write_frame(frame, opcode, payload, size));
}

static void open_one(void)
{
    uint32_t index = count;
    struct connection *connection = &connections[count++];
    memset(connection, 0, sizeof *connection);
    under_way++;
    if (!begin_connect(&connection->fd, options.port, index / per_source, poller, index))
        lose(connection, "connect refused");
}

static void send_request(uint32_t index)
{
    struct connection *connection = &connections[index];
    /* Edge-triggered: level-triggered, the kernel looks at each socket twice. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = index};
    struct tokens *tokens = &options.tokens;
    char request[MAX_REQUEST];
    const char *token = tokens->count ? tokens->list[index % tokens->count] : NULL;
    if (!has_connected(connection->fd)) {
        lose(connection, "connect failed");
        return;
    }
    if (options.kernel_time)
        want_stamps(connection->fd);
    connection->state = UPGRADING;
    epoll_ctl(poller, EPOLL_CTL_MOD, connection->fd, &event);
    write_all(connection, request,
              write_request(request, options.path, options.port, index, token,
                            is_binary(connection) ? "wsserver.v1.bin" : NULL));
}

static void note_latency(uint32_t number, uint64_t due)
{
    uint64_t now = received_at ? received_at : nanoseconds(CLOCK_MONOTONIC);
    uint64_t micros = now > due ? (now - due) / 1000 : 0;
    note_micros(&latencies, micros);
    note_arrival(&arrivals, number, due, now > due ? now : due);
}

static void control_received(struct connection *connection, bool error, bool connected, bool subscribed,
                             const unsigned char *text, size_t size)
{
    if (error) {
        note_error(&totals.errors, text, size);
    } else if (connection->state == GREETING && connected) {
        connection->state = OPEN;
        opened++;
        under_way--;
    } else if (connection->state == SUBSCRIBING && subscribed) {
        connection->state = READY;
        confirmed++;
        under_way--;
    }
}

static void numbered(struct connection *connection, uint32_t number)
{
    uint32_t behind;
    totals.messages++;
    if (number < connection->next) {
        behind = connection->next - 1 - number;
        if (behind < 64 && !(connection->seen >> behind & 1)) {
            connection->seen |= (uint64_t)1 << behind;
            totals.disorder++;
            totals.missing--;
            connection->missing--;
        } else {
            totals.duplicates++;
        }
        return;
    }
    behind = number - connection->next;
    totals.missing += behind;
    connection->missing += behind;
    connection->seen = (behind < 63 ? connection->seen << (behind + 1) : 0) | 1;
    if (expecting && connection->next < target && number + 1 >= target)
        lacking--;
    connection->next = number + 1;
}

static void published(struct connection *connection, const unsigned char *text, size_t size)
{
    const unsigned char *at = find_number(text, size), *end = text + size;
    uint32_t number;
    uint64_t due;
    if (connection->state != READY || at == NULL) {
        totals.foreign++;
        return;
    }
    number = (uint32_t)read_number(&at, end);
    if (comes_next(&at, end, ",\"at\":")) {
        due = read_number(&at, end);
        if (due && !connection->stalled)
            note_latency(number, due);
    }
    connection->alerts += comes_next(&at, end, ",\"alert\":");
    numbered(connection, number);
}

/* A frame of the binary protocol: its number is the member n of a MessagePack map. */
static void binary_received(struct connection *connection, const unsigned char *data, size_t size)
{
    const unsigned char *member = memmem(data, size, "\xa1n", 2);
    uint32_t number, bytes;
    if (size > 32 && data[1] == 3) {
        totals.control++;
        control_received(connection, contains(data, size, "\xa5" "error"), contains(data, size, "\xa9" "connected"),
                         contains(data, size, "\xb6" "subscription_confirmed"), data + 32, size - 32);
        return;
    }
    if (size <= 32 || data[0] != 0xb1 || connection->state != READY || member == NULL || data + size - member < 7) {
        totals.foreign++;
        return;
    }
    number = member[2];
    bytes = number >= 0xcc && number <= 0xce ? 1u << (number - 0xcc) : 0;
    for (uint32_t i = 0; i < bytes; i++)
        number = (i ? number << 8 : 0) | member[3 + i];
    numbered(connection, number);
}

static bool is_published(const unsigned char *text, size_t size)
{
    return size > published_length && memcmp(text, options.published, published_length) == 0;
}

static void text_received(struct connection *connection, const unsigned char *text, size_t size)
{
    const unsigned char *at = text;
    uint64_t lost = 0;
    if (is_published(text, size)) {
        published(connection, text, size);
        return;
    }
    totals.control++;
    if (contains(text, size, "\"type\":\"gap\"")) {
        number_behind(&at, text + size, "\"count\":", &lost);
        connection->told += (uint32_t)lost;
    } else {
        control_received(connection, contains(text, size, "\"type\":\"error\""),
                         contains(text, size, options.greeting), contains(text, size, options.confirmation),
                         text, size);
    }
}

static void lines_received(struct connection *connection, const unsigned char *text, size_t size)
{
    const unsigned char *end = text + size, *next;
    for (; text < end; text = next + 1) {
        next = memchr(text, '\n', (size_t)(end - text));
        if (next == NULL)
            next = end;
        if (next > text)
            text_received(connection, text, (size_t)(next - text));
    }
}

static void frame_received(struct connection *connection, const struct frame *frame)
{
    const unsigned char *payload = frame->payload;
    size_t size = frame->size;
    int opcode = frame->opcode;
    if (opcode == BINARY && is_binary(connection)) {
        binary_received(connection, payload, size);
        return;
    }
    if (options.lines && (opcode == TEXT || opcode == BINARY)) {
        lines_received(connection, payload, size);
        return;
    }
    if (opcode == TEXT && !is_binary(connection)) {
        text_received(connection, payload, size);
        return;
    }
    totals.control++;
    if (opcode == PING) {
        send_frame(connection, PONG, payload, size);
    } else if (opcode == CLOSE) {
        note_error(&totals.errors, size > 2 ? payload + 2 : (const unsigned char *)"closed", size > 2 ? size - 2 : 6);
        lose(connection, "closed by the server");
    } else {
        totals.foreign++;
    }
}

/* Returns how many bytes were whole frames. */
static size_t read_frames(struct connection *connection, const unsigned char *data, size_t size)
{
    struct frame frame;
    size_t at = 0;
    ssize_t length;
    while (connection->state != LOST && (length = read_frame(data + at, size - at, MAX_FRAME, &frame))) {
        if (length < 0) {
            lose(connection, WRONG_FRAME);
            break;
        }
        frame_received(connection, &frame);
        at += (size_t)length;
    }
    return at;
}

/* Returns how many bytes were the answer to the handshake. */
static size_t greet(struct connection *connection, const unsigned char *data, size_t size)
{
    ssize_t length = read_head(data, size);
    if (length < 0) {
        note_error(&totals.errors, data, size);
        lose(connection, "no 101");
    } else if (length > 0) {
        connection->state = GREETING;
        if (options.hello != NULL)
            send_frame(connection, TEXT, options.hello, strlen(options.hello));
    }
    return length < 0 ? 0 : (size_t)length;
}

/* Returns whether there may be more to read. */
static bool receive(struct connection *connection)
{
    unsigned char *data;
    size_t have, used = 0;
    uint64_t messages = totals.messages;
    ssize_t size = options.kernel_time ? receive_stamped(connection->fd, READ_SIZE, &received_at)
                                       : recv(connection->fd, buffer, READ_SIZE, MSG_DONTWAIT);
    if (size <= 0) {
        if (size == 0 || (errno != EAGAIN && errno != EINTR))
            lose(connection, size == 0 ? "end of stream" : "reset");
        return size < 0 && errno == EINTR;
    }
    totals.bytes += (uint64_t)size;
    have = (size_t)size;
    data = join_unfinished(&connection->unfinished, &have);
    if (data == NULL) {
        lose(connection, "an endless frame or head");
        return false;
    }
    if (connection->state == UPGRADING)
        used = greet(connection, data, have);
    if (connection->state > UPGRADING)
        used += read_frames(connection, data + used, have - used);
    if (totals.messages != messages && received_at > latest)
        latest = received_at;
    if (connection->state == LOST)
        return false;
    keep_unfinished(&connection->unfinished, data, used, have);
    /* A connection that was stalled may have ended meanwhile, of which there is no second event. */
    return size == READ_SIZE || connection->stalled;
}

/* -- phases */

static void advance(void)
{
    if (opening) {
        while (count < wanted && under_way < options.window)
            open_one();
        if (count == wanted && under_way == 0) {
            opening = false;
            answer("connected", 0);
        }
    }
    if (subscribing) {
        for (; to_confirm < count && under_way < options.window; to_confirm++) {
            if (connections[to_confirm].state != OPEN)
                continue;
            connections[to_confirm].state = SUBSCRIBING;
            connections[to_confirm].next = first_number;
            under_way++;
            send_frame(&connections[to_confirm], TEXT, options.subscribe, strlen(options.subscribe));
        }
        if (to_confirm == count && under_way == 0) {
            subscribing = false;
            answer("subscribed", 0);
        }
    }
    if (expecting && !started && totals.bytes != phase_bytes) {
        started = true;
        phase = mark();
    }
    if (expecting && lacking == 0) {
        expecting = false;
        answer("done", (double)latest * 1e-9);
    }
}

/* A stalled connection is not looked at: what comes for it stays in the kernel, then with the server. */
static void watch(uint32_t index, bool reading)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = index};
    if (connections[index].state != LOST)
        epoll_ctl(poller, reading ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, connections[index].fd, &event);
}

static void command(const char *line)
{
    unsigned number;
    if (sscanf(line, "connect %u", &number) == 1 && number <= 1000000) {
        phase = mark();
        wanted = count + number;
        connections = allocate(connections, wanted * sizeof *connections);
        opening = true;
    } else if (strcmp(line, "subscribe") == 0 || sscanf(line, "subscribe %u", &number) == 1) {
        phase = mark();
        first_number = line[9] ? number : 0;
        to_confirm = 0;
        subscribing = true;
    } else if (sscanf(line, "expect %u", &number) == 1) {
        phase = mark();
        target = number;
        lacking = 0;
        for (uint32_t i = 0; i < count; i++)
            lacking += connections[i].state == READY && connections[i].next < target;
        expecting = true;
        started = false;
        latest = 0;
        phase_bytes = totals.bytes;
        puts("armed {}");
        fflush(stdout);
    } else if (strcmp(line, "report") == 0) {
        answer("report", 0);
    } else if (sscanf(line, "stall %u", &number) == 1 && number <= count) {
        for (uint32_t i = count - number; i < count; i++) {
            connections[i].stalled = true;
            watch(i, false);
        }
        puts("stalled {}");
        fflush(stdout);
    } else if (strcmp(line, "wake") == 0) {
        for (uint32_t i = 0; i < count; i++)
            if (connections[i].stalled)
                watch(i, true);
        puts("awake {}");
        fflush(stdout);
    } else if (strcmp(line, "clear") == 0) {
        memset(&latencies, 0, sizeof latencies);
        arrivals.count = 0;
        phase = mark();
        puts("cleared {}");
        fflush(stdout);
    } else if (strcmp(line, "losses") == 0) {
        answer_losses();
    } else if (strcmp(line, "last") == 0) {
        answer_last();
    } else {
        fprintf(stderr, "no such command: %s\n", line);
        exit(2);
    }
}

/* A fourth of the ports that this machine gives out is never hard to find. */
static void limit_sources(void)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");
    uint32_t low, high;
    if (file == NULL)
        return;
    if (fscanf(file, "%u %u", &low, &high) == 2 && high > low && (high - low) / 4 < per_source)
        per_source = (high - low) / 4 + 1;
    fclose(file);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},   {"path", required_argument, NULL, 'u'},
        {"tokens", required_argument, NULL, 't'}, {"subscribe", required_argument, NULL, 's'},
        {"window", required_argument, NULL, 'w'}, {"kernel-time", no_argument, NULL, 'k'},
        {"binary-every", required_argument, NULL, 'b'}, {"hello", required_argument, NULL, 'h'},
        {"greeting", required_argument, NULL, 'g'},     {"confirmation", required_argument, NULL, 'c'},
        {"published", required_argument, NULL, 'm'},    {"lines", no_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    struct epoll_event events[MAX_EVENTS];
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'p': options.port = (uint16_t)atoi(optarg); break;
        case 'u': options.path = optarg; break;
        case 't': read_tokens(optarg, &options.tokens); break;
        case 's': options.subscribe = optarg; break;
        case 'w': options.window = (uint32_t)atoi(optarg); break;
        case 'k': options.kernel_time = true; break;
        case 'b': options.binary_every = (uint32_t)atoi(optarg); break;
        case 'h': options.hello = optarg; break;
        case 'g': options.greeting = optarg; break;
        case 'c': options.confirmation = optarg; break;
        case 'm': options.published = optarg; break;
        case 'l': options.lines = true; break;
        default: return 2;
        }
    }
    if (options.port == 0 || options.subscribe == NULL || options.window == 0 || strlen(options.subscribe) > 4096
        || (options.hello != NULL && strlen(options.hello) > 4096)) {
        fprintf(stderr, "--port and --subscribe are needed\n");
        return 2;
    }
    published_length = strlen(options.published);
    limit_sources();
    poller = open_poller();
    for (;;) {
        int ready = epoll_wait(poller, events, MAX_EVENTS, -1);
        if (ready < 0 && errno != EINTR)
            fail("epoll_wait");
        if (options.kernel_time)
            look_at_clocks();
        for (int i = 0; i < ready; i++) {
            uint32_t index = events[i].data.u32;
            if (index == STDIN_MARK)
                read_commands(command);
            else if (connections[index].state == CONNECTING)
                send_request(index);
            else
                while (connections[index].state != LOST && receive(&connections[index]))
                    continue;
        }
        advance();
        /* Waking up for every message would cost more than reading it, and make the server's
         * sends dearer; a whole round takes hundreds of naps. When behind there is no nap. */
        if (ready < MAX_EVENTS) {
            if (options.kernel_time && !opening && !subscribing)
                usleep(LONG_NAP_MICROSECONDS);
            else if (expecting)
                usleep(NAP_MICROSECONDS);
        }
    }
}
