/* What a program says to callgrind about itself: when to count, and where the parts begin and end. */
#include <valgrind/callgrind.h>

/* Without this callgrind lets the program run as it is, several times faster. */
void marks_start(void)
{
    CALLGRIND_START_INSTRUMENTATION;
}

void marks_stop(void)
{
    CALLGRIND_STOP_INSTRUMENTATION;
}

/* Counts from here on. */
void marks_begin(void)
{
    CALLGRIND_ZERO_STATS;
}

/* Has what was counted since the last mark written to a file, under this name. */
void marks_end(const char *name)
{
    CALLGRIND_DUMP_STATS_AT(name);
}
