/* Inbound client of the benchmarks: connections that send commands and check every answer.
 *
 * It reads command lines from stdin and answers each with one line, a word and a JSON object:
 *
 *   connect N     open N connections up to the server's greeting            -> connected {...}
 *   prepare       send each of them the commands of --prologue, one by one   -> prepared {...}
 *   run M         send for M milliseconds, then wait for what is under way   -> done {...}
 *
 * End of input ends it. --commands is a file of records: the frame's opcode in a byte, the size of the payload
 * and of a word in two little-endian numbers of 32 bits, the payload, the word that its answer must hold. A
 * payload holds ######## where the id of the command belongs, eight hexadecimal digits, and may hold @@@@@,
 * the number of the connection divided by --group. They are sent in turn, --window of them under way
 * on each of one of --every connections. An answer must come in order, hold the id behind --mark, and its word.
 *
 * A frame that begins with --message is a copy of what somebody published, not an answer; each command
 * must bring --copies of them. The clock stops when all have come.
 * Times are CLOCK_MONOTONIC, so that another process may compare them with its own.
 */
#define _GNU_SOURCE
#include <getopt.h>

#include "errors.h"
#include "histogram.h"
#include "receiving.h"
#include "span.h"
#include "templates.h"

#define MAX_WINDOW 256
/* A source address serves that many connections: the kernel's default range has 28,232 ports. */
#define PER_SOURCE 20000

enum state { CONNECTING, UPGRADING, GREETING, OPEN, LOST };

struct connection {
    int fd;
    enum state state;
    uint32_t sent, answered; /* commands since it was opened */
    struct unfinished unfinished;
    uint64_t *since;         /* when each command under way was sent, in nanoseconds */
};

static struct {
    uint16_t port;
    const char *path, *protocol, *mark, *message;
    uint32_t window, every, group, copies;
    struct tokens tokens;
    struct templates prologue, commands;
} options = {.path = "/ws/connect", .mark = "\"request_id\":\"", .window = 1, .every = 1, .group = 1};

static struct {
    uint64_t sent, answers, copies, bytes;
    uint32_t lost;
    struct errors errors;
} totals;

static struct histogram latencies;
static struct connection *connections;
static uint32_t count, opened, wanted, under_way, prepared;
static bool opening, preparing, running;
static double deadline;
static struct span phase;
static int poller;

/* -- answers */

static void answer(const char *word)
{
    struct span now = mark(), span = between(phase, now);
    printf("%s {\"at\":%.9f,\"wall\":%.9f,\"cpu\":%.9f,\"cpu_share\":%.4f,\"connections\":%u,\"sent\":%lu,"
           "\"answers\":%lu,\"copies\":%lu,\"bytes\":%lu,\"p50_us\":%lu,\"p99_us\":%lu,\"max_us\":%lu,"
           "\"lost\":%u,",
           word, now.wall, span.wall, span.cpu, share_of(span), opened, totals.sent, totals.answers,
           totals.copies, totals.bytes, micros_at(&latencies, 0.5), micros_at(&latencies, 0.99), latencies.slowest,
           totals.lost);
    print_errors(&totals.errors);
}

/* -- one connection */

static bool speaks(uint32_t index)
{
    return index % options.every == 0;
}

static void lose(struct connection *connection, const char *why)
{
    if (connection->state == LOST)
        return;
    note_error(&totals.errors, why, strlen(why));
    if (connection->state < OPEN || (preparing && connection->sent && connection->answered < options.prologue.count))
        under_way--;
    else if (running)
        under_way -= connection->sent - connection->answered;
    connection->state = LOST;
    close(connection->fd);
    drop_unfinished(&connection->unfinished);
    totals.lost++;
}

static void write_all(struct connection *connection, const void *data, size_t size)
{
    /* A window fits into an empty socket buffer, and there is never more than that under way. */
    if (send(connection->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
        lose(connection, "short write");
}

static void open_one(void)
{
    uint32_t index = count;
    struct connection *connection = &connections[count++];
    memset(connection, 0, sizeof *connection);
    connection->since = allocate(NULL, options.window * sizeof *connection->since);
    under_way++;
    if (!begin_connect(&connection->fd, options.port, index / PER_SOURCE, poller, index))
        lose(connection, "connect refused");
}

static void send_request(uint32_t index)
{
    struct connection *connection = &connections[index];
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = index};
    struct tokens *tokens = &options.tokens;
    char request[MAX_REQUEST];
    const char *token = tokens->count ? tokens->list[index % tokens->count] : NULL;
    if (!has_connected(connection->fd)) {
        lose(connection, "connect failed");
        return;
    }
    connection->state = UPGRADING;
    epoll_ctl(poller, EPOLL_CTL_MOD, connection->fd, &event);
    write_all(connection, request,
              write_request(request, options.path, options.port, index, token, options.protocol));
}

/* Sends the next commands of a connection in one write. */
static void send_commands(uint32_t index, const struct templates *templates, uint32_t commands)
{
    static unsigned char frames[MAX_WINDOW * (MAX_REQUEST + 8)];
    struct connection *connection = &connections[index];
    unsigned char payload[MAX_REQUEST];
    uint64_t now = nanoseconds(CLOCK_MONOTONIC);
    size_t size = 0;
    for (uint32_t n = 0; n < commands; n++, connection->sent++) {
        const struct template *command = command_of(templates, connection->sent);
        fill_in(payload, command, connection->sent, index / options.group);
        size += write_frame(frames + size, command->opcode, payload, command->size);
        connection->since[connection->sent % options.window] = now;
    }
    totals.sent += commands;
    write_all(connection, frames, size);
}

static void answered(struct connection *connection, const unsigned char *payload, size_t size, uint64_t now)
{
    const struct template *command =
        command_of(preparing ? &options.prologue : &options.commands, connection->answered);
    const unsigned char *id = memmem(payload, size, options.mark, strlen(options.mark));
    char number[ID_DIGITS + 1];
    if (connection->answered == connection->sent) {
        note_error(&totals.errors, payload, size);
        return;
    }
    snprintf(number, sizeof number, "%08x", connection->answered);
    if (id == NULL || (size_t)(payload + size - id) < strlen(options.mark) + ID_DIGITS
        || memcmp(id + strlen(options.mark), number, ID_DIGITS) != 0
        || memmem(payload, size, command->word, command->word_size) == NULL)
        note_error(&totals.errors, payload, size);
    totals.answers++;
    note_micros(&latencies, (now - connection->since[connection->answered % options.window]) / 1000);
    connection->answered++;
    if (running)
        under_way--;
    else if (preparing && connection->answered == options.prologue.count)
        under_way--;
}

static void frame_received(struct connection *connection, const struct frame *frame, uint64_t now)
{
    unsigned char pong[8 + 125];
    if (frame->opcode == PING) {
        write_all(connection, pong, write_frame(pong, PONG, frame->payload, frame->size));
    } else if (frame->opcode != TEXT && frame->opcode != BINARY) {
        note_error(&totals.errors, frame->size > 2 ? frame->payload + 2 : (const unsigned char *)"closed",
                   frame->size > 2 ? frame->size - 2 : 6);
        lose(connection, "closed by the server");
    } else if (connection->state == GREETING) {
        connection->state = OPEN;
        opened++;
        under_way--;
    } else if (options.message != NULL && frame->size > strlen(options.message)
               && memcmp(frame->payload, options.message, strlen(options.message)) == 0) {
        totals.copies++;
    } else {
        answered(connection, frame->payload, frame->size, now);
    }
}

/* Returns how many bytes were whole frames. */
static size_t read_frames(struct connection *connection, const unsigned char *data, size_t size)
{
    uint64_t now = nanoseconds(CLOCK_MONOTONIC);
    struct frame frame;
    size_t at = 0;
    ssize_t length;
    while (connection->state != LOST && (length = read_frame(data + at, size - at, MAX_FRAME, &frame))) {
        if (length < 0) {
            lose(connection, WRONG_FRAME);
            break;
        }
        frame_received(connection, &frame, now);
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
    }
    return length < 0 ? 0 : (size_t)length;
}

static void go_on(uint32_t index)
{
    struct connection *connection = &connections[index];
    uint32_t open = connection->sent - connection->answered, more;
    if (connection->state != OPEN || !speaks(index))
        return;
    if (preparing) {
        if (open == 0 && connection->sent < options.prologue.count)
            send_commands(index, &options.prologue, 1);
        return;
    }
    more = options.window - open;
    if (running && more && seconds(CLOCK_MONOTONIC) < deadline) {
        under_way += more;
        send_commands(index, &options.commands, more);
    }
}

static void receive(uint32_t index)
{
    struct connection *connection = &connections[index];
    unsigned char *data;
    size_t have, used;
    ssize_t size;
    do {
        size = recv(connection->fd, buffer, READ_SIZE, MSG_DONTWAIT);
        if (size <= 0) {
            if (size == 0 || (errno != EAGAIN && errno != EINTR))
                lose(connection, size == 0 ? "end of stream" : "reset");
            return;
        }
        totals.bytes += (uint64_t)size;
        have = (size_t)size;
        used = 0;
        data = join_unfinished(&connection->unfinished, &have);
        if (data == NULL) {
            lose(connection, "an endless frame or head");
            return;
        }
        if (connection->state == UPGRADING)
            used = greet(connection, data, have);
        if (connection->state > UPGRADING)
            used += read_frames(connection, data + used, have - used);
        if (connection->state == LOST)
            return;
        keep_unfinished(&connection->unfinished, data, used, have);
    } while (size == READ_SIZE);
    go_on(index);
}

/* -- phases */

static void advance(void)
{
    if (opening) {
        while (count < wanted && under_way < 100)
            open_one();
        if (count == wanted && under_way == 0) {
            opening = false;
            answer("connected");
        }
    }
    if (preparing) {
        for (; prepared < count && under_way < 100; prepared++) {
            if (connections[prepared].state != OPEN)
                continue;
            under_way++;
            send_commands(prepared, &options.prologue, 1);
        }
        if (prepared == count && under_way == 0) {
            preparing = false;
            /* The commands' ids count anew. */
            for (uint32_t i = 0; i < count; i++)
                connections[i].sent = connections[i].answered = 0;
            answer("prepared");
        }
    }
    if (running && under_way == 0 && seconds(CLOCK_MONOTONIC) >= deadline
        && (totals.copies >= totals.answers * options.copies || totals.lost)) {
        running = false;
        answer("done");
    }
}

static void command(const char *line)
{
    unsigned number;
    totals.sent = totals.answers = totals.copies = totals.bytes = 0;
    memset(&latencies, 0, sizeof latencies);
    phase = mark();
    if (sscanf(line, "connect %u", &number) == 1 && count == 0 && number <= 1000000) {
        wanted = number;
        connections = allocate(NULL, wanted * sizeof *connections);
        opening = true;
    } else if (strcmp(line, "prepare") == 0 && options.prologue.count) {
        preparing = true;
    } else if (sscanf(line, "run %u", &number) == 1 && options.commands.count) {
        deadline = phase.wall + number * 1e-3;
        running = true;
        for (uint32_t i = 0; i < count; i++)
            go_on(i);
    } else {
        fprintf(stderr, "no such command: %s\n", line);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},     {"path", required_argument, NULL, 'u'},
        {"tokens", required_argument, NULL, 't'},   {"protocol", required_argument, NULL, 'o'},
        {"mark", required_argument, NULL, 'm'},     {"message", required_argument, NULL, 'M'},
        {"window", required_argument, NULL, 'w'},   {"every", required_argument, NULL, 'e'},
        {"group", required_argument, NULL, 'g'},    {"copies", required_argument, NULL, 'c'},
        {"prologue", required_argument, NULL, 'P'}, {"commands", required_argument, NULL, 'C'},
        {NULL, 0, NULL, 0},
    };
    struct epoll_event events[MAX_EVENTS];
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'p': options.port = (uint16_t)atoi(optarg); break;
        case 'u': options.path = optarg; break;
        case 't': read_tokens(optarg, &options.tokens); break;
        case 'o': options.protocol = optarg; break;
        case 'm': options.mark = optarg; break;
        case 'M': options.message = optarg; break;
        case 'w': options.window = (uint32_t)atoi(optarg); break;
        case 'e': options.every = (uint32_t)atoi(optarg); break;
        case 'g': options.group = (uint32_t)atoi(optarg); break;
        case 'c': options.copies = (uint32_t)atoi(optarg); break;
        case 'P': read_templates(optarg, &options.prologue); break;
        case 'C': read_templates(optarg, &options.commands); break;
        default: return 2;
        }
    }
    if (options.port == 0 || options.commands.count == 0 || options.window == 0 || options.window > MAX_WINDOW
        || options.every == 0 || options.group == 0) {
        fprintf(stderr, "--port and --commands are needed, and a window of at most %d\n", MAX_WINDOW);
        return 2;
    }
    poller = open_poller();
    for (;;) {
        /* Also woken when the time is over and nothing is under way. */
        int ready = epoll_wait(poller, events, MAX_EVENTS, running ? 10 : -1);
        if (ready < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < ready; i++) {
            uint32_t index = events[i].data.u32;
            if (index == STDIN_MARK)
                read_commands(command);
            else if (connections[index].state == CONNECTING)
                send_request(index);
            else if (connections[index].state != LOST)
                receive(index);
        }
        advance();
    }
}
