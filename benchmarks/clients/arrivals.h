/* When the last receiver of each message had it. */
#ifndef ARRIVALS_H
#define ARRIVALS_H

#include "websocket.h"

/* Messages behind the first of which that is known. */
#define MAX_ARRIVALS (1024 * 1024)

/* When a message was due, and when the last of its receivers had it, in nanoseconds. */
struct arrival { uint64_t due, last; uint32_t receivers; };

/* A value each for the messages from this number on. */
struct arrivals {
    struct arrival *list;
    uint32_t first, count, room;
};

static inline void note_arrival(struct arrivals *arrivals, uint32_t number, uint64_t due, uint64_t now)
{
    struct arrival *one;
    if (arrivals->count == 0)
        arrivals->first = number;
    if (number < arrivals->first || number - arrivals->first >= MAX_ARRIVALS)
        return;
    number -= arrivals->first;
    if (number >= arrivals->room) {
        arrivals->room = (number + 1) * 2;
        arrivals->list = allocate(arrivals->list, arrivals->room * sizeof *arrivals->list);
    }
    while (arrivals->count <= number)
        arrivals->list[arrivals->count++] = (struct arrival){0};
    one = &arrivals->list[number];
    one->due = due;
    one->last = now > one->last ? now : one->last;
    one->receivers++;
}

/* The members of an answer. */
static inline void print_arrivals(const struct arrivals *arrivals)
{
    printf("\"first\":%u,\"us\":[", arrivals->first);
    for (uint32_t i = 0; i < arrivals->count; i++)
        printf("%s%lu", i ? "," : "", (arrivals->list[i].last - arrivals->list[i].due) / 1000);
    printf("],\"receivers\":[");
    for (uint32_t i = 0; i < arrivals->count; i++)
        printf("%s%u", i ? "," : "", arrivals->list[i].receivers);
    printf("]");
}

#endif
