/* The viewers of the ward: whom they watch and how, as the plan says, and how far they are. */
#ifndef WARD_VIEWERS_H
#define WARD_VIEWERS_H

#include "receiving.h"
#include "ward_plan.h"

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

static struct viewer *viewers;
static uint32_t viewer_count;
static bool settled; /* nobody is slow or leaves any more */

static bool is_slow(const struct viewer *viewer)
{
    return viewer->slow != PROMPT;
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

/* The monitor of one of a viewer's streams; plan.monitors or more where this patient has fewer than others. */
static uint32_t monitor_of(const struct viewer *viewer, uint32_t stream)
{
    return stream % plan.devices * plan.patients + viewer->patients[stream / plan.devices];
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

static void read_plan(const char *file_name)
{
    FILE *file = fopen(file_name, "r");
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    if (file == NULL)
        fail(file_name);
    while ((size = getline(&line, &capacity, file)) > 0) {
        char *rest = line;
        const char *word;
        if (line[size - 1] == '\n')
            line[size - 1] = '\0';
        word = member(&rest);
        if (strcmp(word, "viewer") == 0)
            read_viewer(rest);
        else
            read_ward(word, rest);
    }
    free(line);
    fclose(file);
}

#endif
