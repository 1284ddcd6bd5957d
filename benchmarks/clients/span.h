/* How long something took, and how much of that this process was busy. */
#ifndef SPAN_H
#define SPAN_H

#include "websocket.h"

/* Seconds: a moment and this process's time by then, or what is between two of those. */
struct span { double wall, cpu; };

static inline struct span mark(void)
{
    return (struct span){seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID)};
}

static inline struct span between(struct span from, struct span to)
{
    return (struct span){to.wall - from.wall, to.cpu - from.cpu};
}

/* The share of a processor that this process had; 0 when no time has passed. */
static inline double share_of(struct span span)
{
    return span.wall > 0 ? span.cpu / span.wall : 0.0;
}

#endif
