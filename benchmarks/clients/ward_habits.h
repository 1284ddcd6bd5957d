/* Which of the ward's viewers come and go, and who reads slowly, and how. */
#ifndef WARD_HABITS_H
#define WARD_HABITS_H

#include "ward_messages.h"

#define STOPPED_SECONDS 20.0
#define CRAWL_BYTES 40 /* per tick: 2 kB a second */

static double churn_every, churn_due;

static void settle(void)
{
    churn_every = 0;
    settled = true;
    for (uint32_t i = 0; i < viewer_count; i++)
        watch(&viewers[i], true);
}

/* Exchanges so many viewers per second from now on. */
static void start_churn(double per_second)
{
    churn_every = per_second > 0 && seat_count ? 1 / per_second : 0;
    churn_due = seconds(CLOCK_MONOTONIC);
}

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

#endif
