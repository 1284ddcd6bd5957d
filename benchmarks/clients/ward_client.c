/* The viewers of the ward benchmark: many WebSocket connections in one thread, each with patients,
 * a filter and an encoding of its own, as a plan says (benchmarks/ward/plan.py).
 *
 * It reads command lines from stdin and answers each with one line, a word and a JSON object:
 *
 *   open                  open all who are to be there, up to their last subscription -> opened {...}
 *   step FROM TO CHURN    measure messages due in that time (ns), exchanging CHURN viewers per second;
 *                         forgets what was measured before                            -> stepping {}
 *   report                what was measured                                           -> report {...}
 *   settle                nobody is slow or leaves any more                           -> settled {}
 *   behind FILE           how many messages have not come yet, by the next number of each monitor, one a
 *                         line; until settle, of those who are not slow               -> behind {...}
 *   final FILE            the same; from now on these are missing, then as report       -> final {...}
 *
 * End of input ends it. A published message has "device_id":"monitor-D", "n" and "at" in this order. "n" counts
 * up for each monitor, and what a filter lets through follows from n modulo the length of the cycle, so each
 * viewer knows which numbers must come: each exactly once and in order, or it is told of in a gap. Somebody
 * who has come later, or come back, knows so from the first number of each monitor on.
 *
 * "at", in nanoseconds of CLOCK_MONOTONIC, is the moment at which the message was due. Its latency ends when
 * the kernel had the bytes, however busy this process is; what is read together counts as having come with
 * the last of it. Latencies are those of viewers that read as they should.
 */
#define _GNU_SOURCE
#include <getopt.h>

#include "errors.h"
#include "histogram.h"
#include "receiving.h"

#define PER_SOURCE 20000
#define WINDOW 100
/* Waking up for every message would cost more than reading it, and make the server's sends dearer. */
#define NAP_MICROSECONDS 500
#define TICK_MILLISECONDS 20
#define UNKNOWN UINT32_MAX
/* A receive buffer that does not hide for long that somebody reads slowly. */
#define SLOW_BUFFER 8192
#define STOPPED_SECONDS 20.0
#define READING_SECONDS 10.0
#define CRAWL_BYTES 40 /* per tick: 2 kB a second */
#define RETURN_SECONDS 1.0
#define MAX_FILTERS 16
#define MAX_CYCLE 4096
#define CLASSES 3 /* ecg, vitals, alert */
#define ALL CLASSES
/* Of so many messages of a monitor the last receiver is still waited for. */
#define RECENT 256
#define CODES 16
#define SLOW_CONSUMER 4005

enum state { OUT, CONNECTING, UPGRADING, GREETING, SUBSCRIBING, READY, LEAVING };
enum slow { PROMPT, STOPS, CRAWLS };

struct stream {
    uint32_t next; /* numbers below it have come, or are missing */
    uint64_t seen; /* bit i: of the numbers below it that must come the i-th from the end has */
};

struct account { uint32_t missing, told; };

struct viewer {
    /* what the plan says */
    bool coming, waiting, binary; /* coming: its place changes hands */
    enum slow slow;
    uint8_t filter;
    uint32_t patient_count, command_count;
    uint32_t *patients;
    char *token, **commands;
    /* its connection */
    int fd;
    enum state state;
    bool is_reading, is_expected; /* expected: it was there before the first message */
    uint32_t confirmed, told_elsewhere;
    struct unfinished unfinished;
    uint64_t seq;
    double began, changes_at, returns_at;
    struct stream *streams;   /* of each patient's monitors */
    struct account *accounts; /* of each patient */
};

struct last { uint32_t n; uint32_t micros; };

static struct {
    uint32_t length, patients, monitors, devices, *starts;
    char kinds[MAX_CYCLE];
    uint8_t class_of[MAX_CYCLE];
    uint32_t filters;
    char lets[MAX_FILTERS][MAX_CYCLE];
    uint32_t before[MAX_FILTERS][MAX_CYCLE + 1]; /* how many places below this one it lets through */
} plan;

static struct {
    uint64_t deliveries, bytes, slow_deliveries, duplicates, disorder, foreign, control;
    uint64_t missing[2], told[2];   /* of the prompt and the slow */
    uint64_t alerts_missing;        /* of the prompt */
    uint64_t untold;                /* viewers whose losses and gaps differed when the server ended them */
    uint64_t left_owed;             /* viewers who left, or were cut off, before they were told */
    uint64_t asked, done, refused, returned, hurried;
    struct errors errors;
} totals;

static struct { int code; uint64_t count[2]; } closes[CODES];

static struct histogram latencies[CLASSES + 1], lasts, alert_lasts, arrivals;
static struct last *recent;
static uint64_t window_from, window_to;
static struct { double wall, cpu; } mark_from, mark_to;
static bool marked_from, marked_to, settled;

static uint16_t port;
static const char *path = "/ws/connect";
static struct viewer *viewers;
static uint32_t viewer_count, to_open, opening_now, away;
static bool opening, any_published;
static uint32_t *outside, outside_head, outside_tail, *seats, seat_count, seat, *dawdlers, dawdler_count;
static double churn_every, churn_due, ticked;
static int poller;
static uint64_t received_at;

/* -- what is measured */

static void print_histogram(const char *name, const struct histogram *one)
{
    printf("\"%s\":{\"samples\":%lu,\"p50_us\":%lu,\"p99_us\":%lu,\"p999_us\":%lu,\"max_us\":%lu},", name,
           samples_of(one), micros_at(one, 0.5), micros_at(one, 0.99), micros_at(one, 0.999), one->slowest);
}

static bool is_slow(const struct viewer *viewer)
{
    return viewer->slow != PROMPT;
}

static void forget_recent(struct last *one, uint32_t place)
{
    if (one->n == UNKNOWN)
        return;
    note_micros(&lasts, one->micros);
    if (plan.class_of[place] == 2)
        note_micros(&alert_lasts, one->micros);
    one->n = UNKNOWN;
}

static void note_latency(uint32_t monitor, uint32_t n, uint64_t at)
{
    uint64_t micros = received_at > at ? (received_at - at) / 1000 : 0;
    struct last *last = &recent[monitor * RECENT + n % RECENT];
    note_micros(&latencies[plan.class_of[n % plan.length]], micros);
    note_micros(&latencies[ALL], micros);
    if (last->n != n) {
        forget_recent(last, last->n % plan.length);
        *last = (struct last){n, 0};
    }
    if (micros > last->micros)
        last->micros = micros > UINT32_MAX ? UINT32_MAX : (uint32_t)micros;
}

static void mark(bool *marked, double *wall, double *cpu)
{
    *marked = true;
    *wall = seconds(CLOCK_MONOTONIC);
    *cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
}

/* -- what must come */

/* How many of the numbers below this one the filter lets through. */
static uint64_t matching_below(uint32_t filter, uint32_t n)
{
    return (uint64_t)(n / plan.length) * plan.before[filter][plan.length] + plan.before[filter][n % plan.length];
}

static uint32_t matching(uint32_t filter, uint32_t from, uint32_t to)
{
    return (uint32_t)(matching_below(filter, to) - matching_below(filter, from));
}

static void lacks(struct viewer *viewer, struct account *account, uint32_t from, uint32_t to)
{
    uint32_t count = matching(viewer->filter, from, to);
    account->missing += count;
    totals.missing[is_slow(viewer)] += count;
    if (count && !is_slow(viewer))
        for (uint32_t n = from; n < to; n++)
            totals.alerts_missing += plan.class_of[n % plan.length] == 2 && plan.lets[viewer->filter][n % plan.length] == '1';
}

static void numbered(struct viewer *viewer, struct stream *stream, struct account *account, uint32_t n)
{
    uint32_t behind;
    if (plan.lets[viewer->filter][n % plan.length] != '1') {
        totals.foreign++;
        return;
    }
    if (stream->next == UNKNOWN) {
        stream->next = n;
        stream->seen = 0;
    }
    if (n < stream->next) {
        behind = matching(viewer->filter, n, stream->next) - 1;
        if (behind < 64 && !(stream->seen >> behind & 1) && account->missing) {
            stream->seen |= (uint64_t)1 << behind;
            totals.disorder++;
            account->missing--;
            totals.missing[is_slow(viewer)]--;
            if (plan.class_of[n % plan.length] == 2 && !is_slow(viewer))
                totals.alerts_missing--;
        } else {
            totals.duplicates++;
        }
        return;
    }
    behind = matching(viewer->filter, stream->next, n);
    if (behind)
        lacks(viewer, account, stream->next, n);
    stream->seen = (behind < 63 ? stream->seen << (behind + 1) : 0) | 1;
    stream->next = n + 1;
}

/* The place of a patient among those of a viewer; -1 if it is not theirs. */
static int32_t place_of(const struct viewer *viewer, uint64_t patient)
{
    uint32_t low = 0, high = viewer->patient_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (viewer->patients[middle] < patient)
            low = middle + 1;
        else
            high = middle;
    }
    return low < viewer->patient_count && viewer->patients[low] == patient ? (int32_t)low : -1;
}

static void message_received(struct viewer *viewer, uint64_t patient, uint64_t seq, uint64_t device, uint64_t n,
                             uint64_t at)
{
    int32_t place = place_of(viewer, patient);
    uint64_t monitor = device * plan.patients + patient;
    any_published = true;
    if (place < 0 || device >= plan.devices || monitor >= plan.monitors || n >= UNKNOWN
        || viewer->state < SUBSCRIBING) {
        totals.foreign++;
        return;
    }
    /* All of it is in one log, as it is about patients. */
    if (seq <= viewer->seq)
        totals.disorder++;
    viewer->seq = seq;
    if (at >= window_from && at < window_to) {
        if (is_slow(viewer)) {
            totals.slow_deliveries++;
        } else {
            totals.deliveries++;
            note_latency((uint32_t)monitor, (uint32_t)n, at);
        }
    }
    numbered(viewer, &viewer->streams[(uint64_t)place * plan.devices + device], &viewer->accounts[place], (uint32_t)n);
}

static void gap_received(struct viewer *viewer, bool has_topic, uint64_t patient, uint64_t count)
{
    int32_t place = has_topic ? place_of(viewer, patient) : -1;
    if (has_topic && place < 0) {
        totals.foreign++;
        return;
    }
    totals.told[is_slow(viewer)] += count;
    if (place >= 0)
        viewer->accounts[place].told += (uint32_t)count;
    else
        viewer->told_elsewhere += (uint32_t)count;
}

/* Whether each loss was told of. Of a connection that has ended gaps may tell of what came behind the last
 * message, which it cannot know of.
 */
static bool adds_up(const struct viewer *viewer, bool has_ended)
{
    uint64_t missing = 0, told = viewer->told_elsewhere;
    for (uint32_t i = 0; i < viewer->patient_count; i++) {
        const struct account *one = &viewer->accounts[i];
        missing += one->missing;
        told += one->told;
        if (!has_ended && one->told > one->missing)
            return false;
        if (one->told < one->missing && !viewer->told_elsewhere)
            return false;
    }
    return has_ended ? told >= missing : told == missing;
}

/* -- one connection */

static void forget(struct viewer *viewer)
{
    uint32_t streams = viewer->patient_count * plan.devices;
    for (uint32_t i = 0; i < streams; i++)
        viewer->streams[i] = (struct stream){UNKNOWN, 0};
    if (viewer->is_expected)
        for (uint32_t i = 0; i < streams; i++) {
            uint32_t monitor = i % plan.devices * plan.patients + viewer->patients[i / plan.devices];
            if (monitor < plan.monitors)
                viewer->streams[i].next = plan.starts[monitor];
        }
    memset(viewer->accounts, 0, viewer->patient_count * sizeof *viewer->accounts);
    viewer->told_elsewhere = viewer->confirmed = 0;
    viewer->seq = 0;
}

static void ended(struct viewer *viewer, int code, const char *why)
{
    uint32_t index = (uint32_t)(viewer - viewers);
    enum state state = viewer->state;
    if (state == OUT)
        return;
    close(viewer->fd);
    drop_unfinished(&viewer->unfinished);
    viewer->state = OUT;
    if (!adds_up(viewer, true))
        *(code == SLOW_CONSUMER ? &totals.untold : &totals.left_owed) += 1;
    if (state < READY)
        opening_now--;
    if (state == LEAVING) {
        outside[outside_tail++ % viewer_count] = index;
        return;
    }
    if (state < READY)
        totals.refused++;
    if (why != NULL)
        note_error(&totals.errors, why, strlen(why));
    for (uint32_t i = 0; i < CODES; i++)
        if (closes[i].code == code || closes[i].code == 0) {
            closes[i].code = code;
            closes[i].count[is_slow(viewer)]++;
            break;
        }
    viewer->returns_at = seconds(CLOCK_MONOTONIC) + RETURN_SECONDS;
    away++;
}

static void write_all(struct viewer *viewer, const void *data, size_t size)
{
    /* The socket's buffer is empty whenever we write these few bytes. */
    if (send(viewer->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
        ended(viewer, -1, "short write");
}

static void open_one(struct viewer *viewer)
{
    uint32_t index = (uint32_t)(viewer - viewers);
    int small = SLOW_BUFFER;
    bool began;
    viewer->is_expected = !any_published;
    forget(viewer);
    viewer->state = CONNECTING;
    viewer->is_reading = true;
    viewer->began = seconds(CLOCK_MONOTONIC);
    if (viewer->returns_at != 0)
        away--;
    viewer->returns_at = 0;
    opening_now++;
    began = begin_connect(&viewer->fd, port, index / PER_SOURCE, poller, index);
    if (is_slow(viewer))
        setsockopt(viewer->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    want_stamps(viewer->fd);
    if (!began)
        ended(viewer, -1, "connect refused");
}

static void watch(struct viewer *viewer, bool reading)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = (uint32_t)(viewer - viewers)};
    if (viewer->state == OUT || viewer->is_reading == reading)
        return;
    viewer->is_reading = reading;
    epoll_ctl(poller, reading ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, viewer->fd, &event);
}

static void connected_socket(struct viewer *viewer)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = (uint32_t)(viewer - viewers)};
    char request[MAX_REQUEST];
    if (!has_connected(viewer->fd)) {
        ended(viewer, -1, "connect failed");
        return;
    }
    viewer->state = UPGRADING;
    epoll_ctl(poller, EPOLL_CTL_MOD, viewer->fd, &event);
    write_all(viewer, request,
              write_request(request, path, port, event.data.u32, viewer->token,
                            viewer->binary ? "wsserver.v1.bin" : "wsserver.v1.json"));
}

static void subscribe(struct viewer *viewer)
{
    static unsigned char frames[64 * 1024];
    size_t size = 0;
    viewer->state = SUBSCRIBING;
    for (uint32_t i = 0; i < viewer->command_count; i++) {
        size_t length = strlen(viewer->commands[i]);
        if (size + length + 8 > sizeof frames)
            break;
        size += write_frame(frames + size, TEXT, viewer->commands[i], length);
    }
    write_all(viewer, frames, size);
}

static void control_received(struct viewer *viewer, bool error, bool connected, bool subscribed, const void *text,
                             size_t size)
{
    totals.control++;
    if (error) {
        note_error(&totals.errors, text, size);
    } else if (viewer->state == GREETING && connected) {
        subscribe(viewer);
    } else if (viewer->state == SUBSCRIBING && subscribed && ++viewer->confirmed == viewer->command_count) {
        double now = seconds(CLOCK_MONOTONIC);
        viewer->state = READY;
        viewer->changes_at = now + READING_SECONDS * (double)((viewer - viewers) % 10) / 10;
        opening_now--;
        if (!opening) {
            note_micros(&arrivals, (uint64_t)((now - viewer->began) * 1e6));
            if (viewer->coming || viewer->waiting)
                totals.done++;
            else
                totals.returned++;
        }
    }
}

/* -- JSON */

/* The number behind a name, which is looked for from *at on; that moves behind it. */
static bool number_behind(const unsigned char **at, const unsigned char *end, const char *name, uint64_t *number)
{
    size_t length = strlen(name);
    const unsigned char *found = memmem(*at, (size_t)(end - *at), name, length);
    if (found == NULL)
        return false;
    *number = 0;
    for (found += length; found < end && *found >= '0' && *found <= '9'; found++)
        *number = *number * 10 + (uint64_t)(*found - '0');
    *at = found;
    return true;
}

static void text_received(struct viewer *viewer, const unsigned char *text, size_t size)
{
    const unsigned char *at = text, *end = text + size;
    uint64_t patient = 0, seq, device, n, due, count;
    if (size > 9 && memcmp(text, "{\"_meta\":", 9) == 0) {
        if (number_behind(&at, end, "\"topic\":\"patient:p", &patient) && number_behind(&at, end, "\"seq\":", &seq) &&
            number_behind(&at, end, "\"device_id\":\"monitor-", &device) && number_behind(&at, end, "\"n\":", &n) &&
            number_behind(&at, end, "\"at\":", &due))
            message_received(viewer, patient, seq, device, n, due);
        else
            totals.foreign++;
    } else if (contains(text, size, "\"type\":\"gap\"")) {
        bool has_topic = number_behind(&at, end, "\"topic\":\"patient:p", &patient);
        totals.control++;
        at = text;
        if (number_behind(&at, end, "\"count\":", &count))
            gap_received(viewer, has_topic, patient, count);
        else
            note_error(&totals.errors, text, size);
    } else {
        control_received(viewer, contains(text, size, "\"type\":\"error\""),
                         contains(text, size, "\"type\":\"connected\""),
                         contains(text, size, "\"type\":\"subscription_confirmed\""), text, size);
    }
}

/* -- the binary protocol */

static uint64_t little(const unsigned char *data, size_t size)
{
    uint64_t number = 0;
    while (size--)
        number = number << 8 | data[size];
    return number;
}

/* The same for a key of a MessagePack map. */
static bool packed_behind(const unsigned char **at, const unsigned char *end, const char *key, uint64_t *number)
{
    size_t length = strlen(key), bytes = 0;
    const unsigned char *found = memmem(*at, (size_t)(end - *at), key, length);
    if (found == NULL || found + length >= end)
        return false;
    found += length;
    *number = *found++;
    if (*number >= 0xcc && *number <= 0xcf)
        bytes = (size_t)1 << (*number - 0xcc);
    else if (*number >= 0x80)
        return false;
    if ((size_t)(end - found) < bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        *number = (i ? *number << 8 : 0) | found[i];
    *at = found + bytes;
    return true;
}

static void binary_received(struct viewer *viewer, const unsigned char *data, size_t size)
{
    const unsigned char *at = data + 32, *end = data + size;
    uint64_t patient = 0, device, n, due, count, topic;
    if (size <= 32 || data[0] != 0xb1) {
        totals.foreign++;
        return;
    }
    if (data[1] == 3) {
        if (contains(at, size - 32, "\xa3gap")) {
            bool has_topic = number_behind(&at, end, "patient:p", &patient);
            totals.control++;
            at = data + 32;
            if (packed_behind(&at, end, "\xa5" "count", &count))
                gap_received(viewer, has_topic, patient, count);
            else
                note_error(&totals.errors, "a gap without a count", 21);
        } else {
            control_received(viewer, contains(at, size - 32, "\xa5" "error"), contains(at, size - 32, "\xa9" "connected"),
                             contains(at, size - 32, "\xb6" "subscription_confirmed"), at, size - 32);
        }
        return;
    }
    topic = little(data + 4, 4);
    /* What is compressed has no place in a ward: its messages are small. */
    if (data[2] & 1 || topic > size - 32 || !number_behind(&at, data + 32 + topic, "patient:p", &patient) ||
        !number_behind(&at, end, "monitor-", &device) || !packed_behind(&at, end, "\xa1n", &n) ||
        !packed_behind(&at, end, "\xa2" "at", &due)) {
        totals.foreign++;
        return;
    }
    message_received(viewer, patient, little(data + 8, 8), device, n, due);
}

/* -- frames */

static void frame_received(struct viewer *viewer, const struct frame *frame)
{
    const unsigned char *payload = frame->payload;
    unsigned char pong[8 + 125];
    if (frame->opcode == CLOSE) {
        ended(viewer, frame->size >= 2 ? payload[0] << 8 | payload[1] : 1005, NULL);
    } else if (viewer->state == LEAVING) {
        return;
    } else if (frame->opcode == PING) {
        write_all(viewer, pong, write_frame(pong, PONG, payload, frame->size));
    } else if (frame->opcode == BINARY && viewer->binary) {
        binary_received(viewer, payload, frame->size);
    } else if (frame->opcode == TEXT && !viewer->binary) {
        text_received(viewer, payload, frame->size);
    } else {
        totals.foreign++;
    }
}

static size_t read_frames(struct viewer *viewer, const unsigned char *data, size_t size)
{
    struct frame frame;
    size_t at = 0;
    ssize_t length;
    while (viewer->state != OUT && (length = read_frame(data + at, size - at, MAX_FRAME, &frame))) {
        if (length < 0) {
            ended(viewer, -1, WRONG_FRAME);
            break;
        }
        frame_received(viewer, &frame);
        at += (size_t)length;
    }
    return at;
}

static size_t greet(struct viewer *viewer, const unsigned char *data, size_t size)
{
    ssize_t length = read_head(data, size);
    if (length < 0) {
        note_error(&totals.errors, data, size);
        ended(viewer, -1, "no 101");
    } else if (length > 0) {
        viewer->state = GREETING;
    }
    return length < 0 ? 0 : (size_t)length;
}

/* Returns whether there may be more to read. */
static bool receive(struct viewer *viewer, size_t limit)
{
    unsigned char *data;
    size_t have, used = 0;
    ssize_t size = receive_stamped(viewer->fd, limit, &received_at);
    if (size <= 0) {
        if (size == 0 || (errno != EAGAIN && errno != EINTR))
            ended(viewer, 1006, NULL);
        return size < 0 && errno == EINTR;
    }
    if (received_at == 0)
        received_at = nanoseconds(CLOCK_MONOTONIC);
    totals.bytes += (uint64_t)size;
    have = (size_t)size;
    data = join_unfinished(&viewer->unfinished, &have);
    if (data == NULL) {
        ended(viewer, -1, "an endless frame or head");
        return false;
    }
    if (viewer->state == UPGRADING)
        used = greet(viewer, data, have);
    if (viewer->state > UPGRADING)
        used += read_frames(viewer, data + used, have - used);
    if (viewer->state == OUT)
        return false;
    keep_unfinished(&viewer->unfinished, data, used, have);
    /* One that was not looked at may have ended meanwhile, of which there is no second event. */
    return size == READ_SIZE || is_slow(viewer);
}

/* -- who comes, goes and dawdles */

static void leave(struct viewer *viewer)
{
    static const unsigned char normal[2] = {1000 >> 8, 1000 & 255};
    unsigned char frame[16];
    totals.left_owed += !adds_up(viewer, true);
    forget(viewer);
    viewer->state = LEAVING;
    /* Every other one says goodbye, the rest are cut off. */
    if (totals.asked % 2)
        write_all(viewer, frame, write_frame(frame, CLOSE, normal, sizeof normal));
    else
        ended(viewer, 0, NULL);
}

static void exchange(double now)
{
    while (churn_every > 0 && now >= churn_due && !marked_to) {
        struct viewer *viewer = &viewers[seats[seat % seat_count]];
        churn_due += churn_every;
        totals.asked++;
        if (outside_head == outside_tail || viewer->state != READY) {
            /* Its own arrival is still under way, or nobody is left to come. */
            totals.hurried++;
            seat++;
            continue;
        }
        uint32_t next = outside[outside_head++ % viewer_count];
        leave(viewer);
        seats[seat++ % seat_count] = next;
        open_one(&viewers[next]);
    }
}

static void dawdle(double now)
{
    for (uint32_t i = 0; away && i < viewer_count; i++)
        if (viewers[i].returns_at != 0 && now >= viewers[i].returns_at)
            open_one(&viewers[i]);
    for (uint32_t i = 0; !settled && i < dawdler_count; i++) {
        struct viewer *viewer = &viewers[dawdlers[i]];
        if (viewer->state != READY)
            continue;
        if (viewer->slow == STOPS && now >= viewer->changes_at) {
            viewer->changes_at = now + (viewer->is_reading ? STOPPED_SECONDS : READING_SECONDS);
            watch(viewer, !viewer->is_reading);
        } else if (viewer->slow == CRAWLS) {
            watch(viewer, false);
            receive(viewer, CRAWL_BYTES);
        }
    }
}

static void advance(void)
{
    double now = seconds(CLOCK_MONOTONIC);
    if (opening) {
        while (to_open < viewer_count && opening_now < WINDOW) {
            struct viewer *viewer = &viewers[to_open++];
            if (!viewer->waiting)
                open_one(viewer);
        }
        if (to_open == viewer_count && opening_now == 0) {
            uint32_t ready = 0;
            for (uint32_t i = 0; i < viewer_count; i++)
                ready += viewers[i].state == READY;
            opening = false;
            printf("opened {\"ready\":%u,", ready);
            print_errors(&totals.errors);
        }
        return;
    }
    if (!marked_from && now * 1e9 >= (double)window_from)
        mark(&marked_from, &mark_from.wall, &mark_from.cpu);
    if (!marked_to && now * 1e9 >= (double)window_to)
        mark(&marked_to, &mark_to.wall, &mark_to.cpu);
    exchange(now);
    if (now - ticked >= TICK_MILLISECONDS / 1e3) {
        ticked = now;
        dawdle(now);
    }
}

/* -- commands */

static void report(const char *word)
{
    uint32_t ready = 0, untold = 0;
    uint64_t lost = 0, admitted = 0; /* by those who are there, since they came, and what they were told of */
    double wall = mark_to.wall - mark_from.wall;
    for (uint32_t i = 0; i < plan.monitors * RECENT; i++)
        forget_recent(&recent[i], recent[i].n % plan.length);
    for (uint32_t i = 0; i < viewer_count; i++) {
        ready += viewers[i].state == READY;
        untold += viewers[i].state == READY && !adds_up(&viewers[i], false);
        for (uint32_t j = 0; viewers[i].state == READY && j < viewers[i].patient_count; j++) {
            lost += viewers[i].accounts[j].missing;
            admitted += viewers[i].accounts[j].told;
        }
        admitted += viewers[i].state == READY ? viewers[i].told_elsewhere : 0;
    }
    printf("%s {", word);
    print_histogram("ecg", &latencies[0]);
    print_histogram("vitals", &latencies[1]);
    print_histogram("alert", &latencies[2]);
    print_histogram("all", &latencies[ALL]);
    print_histogram("last", &lasts);
    print_histogram("last_alert", &alert_lasts);
    print_histogram("arrival", &arrivals);
    printf("\"closes\":{");
    for (uint32_t i = 0; i < CODES && closes[i].code; i++)
        printf("%s\"%d\":{\"prompt\":%lu,\"slow\":%lu}", i ? "," : "", closes[i].code, closes[i].count[0],
               closes[i].count[1]);
    printf("},\"ready\":%u,\"deliveries\":%lu,\"slow_deliveries\":%lu,\"bytes\":%lu,\"missing\":%lu,\"told\":%lu,"
           "\"alerts_missing\":%lu,\"slow_missing\":%lu,\"slow_told\":%lu,\"untold\":%u,\"untold_ended\":%lu,\"left_owed\":%lu,",
           ready, totals.deliveries, totals.slow_deliveries, totals.bytes, totals.missing[0], totals.told[0],
           totals.alerts_missing, totals.missing[1], totals.told[1], untold, totals.untold,
           totals.left_owed);
    printf("\"all_missing\":%lu,\"all_told\":%lu,", lost, admitted);
    printf("\"duplicates\":%lu,\"disorder\":%lu,\"foreign\":%lu,\"asked\":%lu,\"done\":%lu,\"hurried\":%lu,"
           "\"refused\":%lu,\"returned\":%lu,\"cpu_share\":%.4f,",
           totals.duplicates, totals.disorder, totals.foreign, totals.asked, totals.done, totals.hurried,
           totals.refused, totals.returned,
           marked_to && wall > 0 ? (mark_to.cpu - mark_from.cpu) / wall : 0.0);
    print_errors(&totals.errors);
}

static void step(uint64_t from, uint64_t to, double churn)
{
    memset(latencies, 0, sizeof latencies);
    memset(&lasts, 0, sizeof lasts);
    memset(&alert_lasts, 0, sizeof alert_lasts);
    memset(&arrivals, 0, sizeof arrivals);
    memset(closes, 0, sizeof closes);
    memset(&totals, 0, sizeof totals);
    for (uint32_t i = 0; i < plan.monitors * RECENT; i++)
        recent[i].n = UNKNOWN;
    window_from = from;
    window_to = to;
    marked_from = marked_to = false;
    churn_every = churn > 0 && seat_count ? 1 / churn : 0;
    churn_due = seconds(CLOCK_MONOTONIC);
}

/* What should have come behind the last message of each viewer; it is taken for missing if nothing will come. */
static uint64_t hold_against(const char *file_name, bool nothing_will_come)
{
    FILE *file = fopen(file_name, "r");
    uint32_t *numbers = allocate(NULL, plan.monitors * sizeof *numbers);
    uint64_t behind = 0;
    if (file == NULL)
        fail(file_name);
    for (uint32_t i = 0; i < plan.monitors; i++)
        if (fscanf(file, "%u", &numbers[i]) != 1)
            fail(file_name);
    fclose(file);
    for (uint32_t i = 0; i < viewer_count; i++) {
        struct viewer *viewer = &viewers[i];
        if (viewer->state != READY || (is_slow(viewer) && !settled))
            continue;
        for (uint32_t j = 0; j < viewer->patient_count * plan.devices; j++) {
            struct stream *stream = &viewer->streams[j];
            uint32_t monitor = j % plan.devices * plan.patients + viewer->patients[j / plan.devices];
            if (monitor >= plan.monitors || stream->next == UNKNOWN || stream->next >= numbers[monitor])
                continue;
            behind += matching(viewer->filter, stream->next, numbers[monitor]);
            if (nothing_will_come) {
                lacks(viewer, &viewer->accounts[j / plan.devices], stream->next, numbers[monitor]);
                stream->next = numbers[monitor];
            }
        }
    }
    free(numbers);
    return behind;
}

static void command(const char *line)
{
    unsigned long from, to;
    double churn;
    if (strcmp(line, "open") == 0) {
        opening = true;
    } else if (sscanf(line, "step %lu %lu %lf", &from, &to, &churn) == 3) {
        step(from, to, churn);
        puts("stepping {}");
        fflush(stdout);
    } else if (strcmp(line, "report") == 0) {
        churn_every = 0;
        report("report");
    } else if (strcmp(line, "settle") == 0) {
        churn_every = 0;
        settled = true;
        for (uint32_t i = 0; i < viewer_count; i++)
            watch(&viewers[i], true);
        puts("settled {}");
        fflush(stdout);
    } else if (strncmp(line, "final ", 6) == 0) {
        hold_against(line + 6, true);
        report("final");
    } else if (strncmp(line, "behind ", 7) == 0) {
        printf("behind {\"messages\":%lu}\n", hold_against(line + 7, false));
        fflush(stdout);
    } else {
        fprintf(stderr, "no such command: %s\n", line);
        exit(2);
    }
}

/* -- the plan */

static void refuse(const char *what)
{
    fprintf(stderr, "the plan is wrong: %s\n", what);
    exit(2);
}

static char *member(char **rest)
{
    char *found = strsep(rest, "\t");
    if (found == NULL)
        refuse("a member is missing");
    return found;
}

static void read_viewer(char *rest)
{
    struct viewer *viewer;
    char *place, *slow, *list, *one;
    viewers = allocate(viewers, (viewer_count + 1) * sizeof *viewers);
    viewer = &viewers[viewer_count++];
    memset(viewer, 0, sizeof *viewer);
    place = member(&rest);
    viewer->coming = strcmp(place, "coming and going") == 0;
    viewer->waiting = strcmp(place, "waiting") == 0;
    slow = member(&rest);
    viewer->slow = strcmp(slow, "stops") == 0 ? STOPS : strcmp(slow, "crawls") == 0 ? CRAWLS : PROMPT;
    viewer->binary = strcmp(member(&rest), "wsserver.v1.bin") == 0;
    viewer->filter = (uint8_t)atoi(member(&rest));
    if (viewer->filter >= plan.filters)
        refuse("there is no such filter");
    list = member(&rest);
    while ((one = strsep(&list, ",")) != NULL) {
        viewer->patients = allocate(viewer->patients, (viewer->patient_count + 1) * sizeof *viewer->patients);
        viewer->patients[viewer->patient_count++] = (uint32_t)atoi(one);
        if ((uint32_t)atoi(one) >= plan.patients)
            refuse("there is no such patient");
    }
    viewer->token = strdup(member(&rest));
    while (rest != NULL) {
        viewer->commands = allocate(viewer->commands, (viewer->command_count + 1) * sizeof *viewer->commands);
        viewer->commands[viewer->command_count++] = strdup(member(&rest));
    }
    if (viewer->command_count == 0)
        refuse("a viewer has nothing to subscribe to");
    viewer->streams = allocate(NULL, viewer->patient_count * plan.devices * sizeof *viewer->streams);
    viewer->accounts = allocate(NULL, viewer->patient_count * sizeof *viewer->accounts);
}

static void read_line(char *rest)
{
    const char *word = member(&rest);
    if (strcmp(word, "cycle") == 0) {
        plan.length = (uint32_t)strlen(rest);
        if (plan.length == 0 || plan.length >= MAX_CYCLE)
            refuse("the cycle");
        for (uint32_t i = 0; i < plan.length; i++)
            plan.class_of[i] = rest[i] == 'E' ? 0 : rest[i] == 'V' ? 1 : 2;
    } else if (strcmp(word, "ward") == 0) {
        plan.patients = (uint32_t)atoi(member(&rest));
        plan.monitors = (uint32_t)atoi(member(&rest));
        if (plan.patients == 0 || plan.monitors == 0)
            refuse("the ward");
        plan.devices = (plan.monitors + plan.patients - 1) / plan.patients;
        plan.starts = allocate(NULL, plan.monitors * sizeof *plan.starts);
        recent = allocate(NULL, plan.monitors * RECENT * sizeof *recent);
        for (uint32_t i = 0; i < plan.monitors * RECENT; i++)
            recent[i].n = UNKNOWN;
    } else if (strcmp(word, "starts") == 0) {
        for (uint32_t i = 0; i < plan.monitors; i++)
            plan.starts[i] = (uint32_t)atoi(member(&rest));
    } else if (strcmp(word, "filter") == 0) {
        uint32_t filter = plan.filters++;
        if (filter >= MAX_FILTERS || strlen(rest) != plan.length)
            refuse("a filter");
        memcpy(plan.lets[filter], rest, plan.length);
        for (uint32_t i = 0; i < plan.length; i++)
            plan.before[filter][i + 1] = plan.before[filter][i] + (rest[i] == '1');
    } else if (strcmp(word, "viewer") == 0) {
        read_viewer(rest);
    } else {
        refuse("an unknown line");
    }
}

static void read_plan(const char *file_name)
{
    FILE *file = fopen(file_name, "r");
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    if (file == NULL)
        fail(file_name);
    while ((size = getline(&line, &capacity, file)) > 0) {
        if (line[size - 1] == '\n')
            line[size - 1] = '\0';
        read_line(line);
    }
    free(line);
    fclose(file);
    outside = allocate(NULL, viewer_count * sizeof *outside);
    seats = allocate(NULL, viewer_count * sizeof *seats);
    dawdlers = allocate(NULL, viewer_count * sizeof *dawdlers);
    for (uint32_t i = 0; i < viewer_count; i++) {
        if (is_slow(&viewers[i]))
            dawdlers[dawdler_count++] = i;
        if (viewers[i].waiting)
            outside[outside_tail++] = i;
        if (viewers[i].coming)
            seats[seat_count++] = i;
    }
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"plan", required_argument, NULL, 'l'},
        {"path", required_argument, NULL, 'u'},
        {NULL, 0, NULL, 0},
    };
    struct epoll_event events[MAX_EVENTS];
    const char *plan_file = NULL;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'p': port = (uint16_t)atoi(optarg); break;
        case 'l': plan_file = optarg; break;
        case 'u': path = optarg; break;
        default: return 2;
        }
    }
    if (port == 0 || plan_file == NULL) {
        fprintf(stderr, "--port and --plan are needed\n");
        return 2;
    }
    read_plan(plan_file);
    poller = open_poller();
    for (;;) {
        int ready = epoll_wait(poller, events, MAX_EVENTS, TICK_MILLISECONDS);
        if (ready < 0 && errno != EINTR)
            fail("epoll_wait");
        look_at_clocks();
        for (int i = 0; i < ready; i++) {
            uint32_t index = events[i].data.u32;
            if (index == STDIN_MARK)
                read_commands(command);
            else if (viewers[index].state == CONNECTING)
                connected_socket(&viewers[index]);
            else
                while (viewers[index].state != OUT && receive(&viewers[index], READ_SIZE))
                    continue;
        }
        advance();
        if (!opening && ready >= 0 && ready < MAX_EVENTS)
            usleep(NAP_MICROSECONDS);
    }
}
