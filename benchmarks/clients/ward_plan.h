/* The ward as its plan describes it (benchmarks/ward/plan.py): the cycle of what each monitor sends, the monitors,
 * and the filters.
 */
#ifndef WARD_PLAN_H
#define WARD_PLAN_H

#include "websocket.h"

#define MAX_FILTERS 16
#define MAX_CYCLE 4096
#define CLASSES 3 /* ecg, vitals, alert */
#define ALERT 2
#define UNKNOWN UINT32_MAX /* instead of a message's number */

static struct {
    uint32_t length, patients, monitors, devices, *starts; /* devices: the most monitors of a patient */
    uint8_t class_of[MAX_CYCLE];
    uint32_t filters;
    char lets[MAX_FILTERS][MAX_CYCLE];
    uint32_t before[MAX_FILTERS][MAX_CYCLE + 1]; /* how many places below this one it lets through */
} plan;

static inline bool lets_through(uint32_t filter, uint32_t n)
{
    return plan.lets[filter][n % plan.length] == '1';
}

static inline uint8_t class_of(uint32_t n)
{
    return plan.class_of[n % plan.length];
}

/* How many of the numbers below this one the filter lets through. */
static uint64_t matching_below(uint32_t filter, uint32_t n)
{
    return (uint64_t)(n / plan.length) * plan.before[filter][plan.length] + plan.before[filter][n % plan.length];
}

static uint32_t matching(uint32_t filter, uint32_t from, uint32_t to)
{
    return (uint32_t)(matching_below(filter, to) - matching_below(filter, from));
}

/* -- as a file */

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

/* Reads the rest of a line that begins with this word. */
static void read_ward(const char *word, char *rest)
{
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
    } else {
        refuse("an unknown line");
    }
}

#endif
