/* What is measured of the ward's viewers in one step: latencies, counts, and this process's own time. */
#ifndef WARD_MEASURES_H
#define WARD_MEASURES_H

#include "errors.h"
#include "histogram.h"
#include "span.h"
#include "ward_plan.h"

#define ALL CLASSES
/* Of so many messages of a monitor the last receiver is still waited for. */
#define RECENT 256
#define CODES 16

struct last { uint32_t n; uint32_t micros; };

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
static struct span mark_from, mark_to; /* where the step's time begins and where it ends */
static bool marked_from, marked_to;
static uint64_t received_at; /* when the kernel had what is being read, in nanoseconds */

static void forget_recent(struct last *one, uint32_t place)
{
    if (one->n == UNKNOWN)
        return;
    note_micros(&lasts, one->micros);
    if (plan.class_of[place] == ALERT)
        note_micros(&alert_lasts, one->micros);
    one->n = UNKNOWN;
}

static void note_latency(uint32_t monitor, uint32_t n, uint64_t at)
{
    uint64_t micros = received_at > at ? (received_at - at) / 1000 : 0;
    struct last *last = &recent[monitor * RECENT + n % RECENT];
    note_micros(&latencies[class_of(n)], micros);
    note_micros(&latencies[ALL], micros);
    if (last->n != n) {
        forget_recent(last, last->n % plan.length);
        *last = (struct last){n, 0};
    }
    if (micros > last->micros)
        last->micros = micros > UINT32_MAX ? UINT32_MAX : (uint32_t)micros;
}

/* Notes the clocks when the step's time begins and when it ends. */
static void look_at_window(double now)
{
    if (!marked_from && now * 1e9 >= (double)window_from) {
        marked_from = true;
        mark_from = mark();
    }
    if (!marked_to && now * 1e9 >= (double)window_to) {
        marked_to = true;
        mark_to = mark();
    }
}

static void note_close(int code, bool slow)
{
    for (uint32_t i = 0; i < CODES; i++)
        if (closes[i].code == code || closes[i].code == 0) {
            closes[i].code = code;
            closes[i].count[slow]++;
            return;
        }
}

/* Forgets all, and measures messages due in that time. */
static void measure(uint64_t from, uint64_t to)
{
    uint32_t size = plan.monitors * RECENT;
    if (recent == NULL)
        recent = allocate(NULL, size * sizeof *recent);
    for (uint32_t i = 0; i < size; i++)
        recent[i].n = UNKNOWN;
    memset(latencies, 0, sizeof latencies);
    memset(&lasts, 0, sizeof lasts);
    memset(&alert_lasts, 0, sizeof alert_lasts);
    memset(&arrivals, 0, sizeof arrivals);
    memset(closes, 0, sizeof closes);
    memset(&totals, 0, sizeof totals);
    window_from = from;
    window_to = to;
    marked_from = marked_to = false;
}

/* -- as members of an answer */

static void print_histogram(const char *name, const struct histogram *one)
{
    printf("\"%s\":{\"samples\":%lu,\"p50_us\":%lu,\"p99_us\":%lu,\"p999_us\":%lu,\"max_us\":%lu},", name,
           samples_of(one), micros_at(one, 0.5), micros_at(one, 0.99), micros_at(one, 0.999), one->slowest);
}

static void print_latencies(void)
{
    for (uint32_t i = 0; i < plan.monitors * RECENT; i++)
        forget_recent(&recent[i], recent[i].n % plan.length);
    print_histogram("ecg", &latencies[0]);
    print_histogram("vitals", &latencies[1]);
    print_histogram("alert", &latencies[2]);
    print_histogram("all", &latencies[ALL]);
    print_histogram("last", &lasts);
    print_histogram("last_alert", &alert_lasts);
    print_histogram("arrival", &arrivals);
}

static void print_closes(void)
{
    printf("\"closes\":{");
    for (uint32_t i = 0; i < CODES && closes[i].code; i++)
        printf("%s\"%d\":{\"prompt\":%lu,\"slow\":%lu}", i ? "," : "", closes[i].code, closes[i].count[0],
               closes[i].count[1]);
    printf("},");
}

#endif
