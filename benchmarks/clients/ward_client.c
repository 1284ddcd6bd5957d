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

#include "ward_habits.h"

/* Connections under way at a time. */
#define WINDOW 100
/* Waking up for every message would cost more than reading it, and make the server's sends dearer. */
#define NAP_MICROSECONDS 500
#define TICK_MILLISECONDS 20

static uint32_t to_open;
static double ticked;

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
    look_at_window(now);
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
    print_latencies();
    print_closes();
    printf("\"ready\":%u,\"deliveries\":%lu,\"slow_deliveries\":%lu,\"bytes\":%lu,\"missing\":%lu,\"told\":%lu,"
           "\"alerts_missing\":%lu,\"slow_missing\":%lu,\"slow_told\":%lu,\"untold\":%u,\"untold_ended\":%lu,"
           "\"left_owed\":%lu,\"all_missing\":%lu,\"all_told\":%lu,",
           ready, totals.deliveries, totals.slow_deliveries, totals.bytes, totals.missing[0], totals.told[0],
           totals.alerts_missing, totals.missing[1], totals.told[1], untold, totals.untold, totals.left_owed, lost,
           admitted);
    printf("\"duplicates\":%lu,\"disorder\":%lu,\"foreign\":%lu,\"asked\":%lu,\"done\":%lu,\"hurried\":%lu,"
           "\"refused\":%lu,\"returned\":%lu,\"cpu_share\":%.4f,",
           totals.duplicates, totals.disorder, totals.foreign, totals.asked, totals.done, totals.hurried,
           totals.refused, totals.returned, marked_to ? share_of(between(mark_from, mark_to)) : 0.0);
    print_errors(&totals.errors);
}

static void command(const char *line)
{
    unsigned long from, to;
    double churn;
    if (strcmp(line, "open") == 0) {
        opening = true;
    } else if (sscanf(line, "step %lu %lu %lf", &from, &to, &churn) == 3) {
        measure(from, to);
        start_churn(churn);
        puts("stepping {}");
        fflush(stdout);
    } else if (strcmp(line, "report") == 0) {
        churn_every = 0;
        report("report");
    } else if (strcmp(line, "settle") == 0) {
        settle();
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
    assign_places();
    measure(0, 0);
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
