/* The places of the ward's viewers: who waits outside, whose place changes hands, and who reads slowly. */
#ifndef WARD_PLACES_H
#define WARD_PLACES_H

#include "ward_viewers.h"

static uint32_t *outside, outside_head, outside_tail, *seats, seat_count, seat, *dawdlers, dawdler_count;

static void assign_places(void)
{
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

static void goes_outside(uint32_t index)
{
    outside[outside_tail++ % viewer_count] = index;
}

#endif
