/* What each viewer must get and has got: every message once and in order, or a gap that tells of it. */
#ifndef WARD_LEDGER_H
#define WARD_LEDGER_H

#include "ward_measures.h"
#include "ward_viewers.h"

static bool any_published;

/* Begins anew, for a new connection. */
static void forget(struct viewer *viewer)
{
    for (uint32_t i = 0; i < viewer->patient_count * plan.devices; i++) {
        uint32_t monitor = monitor_of(viewer, i);
        bool from_the_start = viewer->is_expected && monitor < plan.monitors;
        viewer->streams[i] = (struct stream){from_the_start ? plan.starts[monitor] : UNKNOWN, 0};
    }
    memset(viewer->accounts, 0, viewer->patient_count * sizeof *viewer->accounts);
    viewer->told_elsewhere = viewer->confirmed = 0;
    viewer->seq = 0;
}

static void lacks(struct viewer *viewer, struct account *account, uint32_t from, uint32_t to)
{
    uint32_t count = matching(viewer->filter, from, to);
    account->missing += count;
    totals.missing[is_slow(viewer)] += count;
    if (count && !is_slow(viewer))
        for (uint32_t n = from; n < to; n++)
            totals.alerts_missing += class_of(n) == ALERT && lets_through(viewer->filter, n);
}

static void numbered(struct viewer *viewer, struct stream *stream, struct account *account, uint32_t n)
{
    uint32_t behind;
    if (!lets_through(viewer->filter, n)) {
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
            if (class_of(n) == ALERT && !is_slow(viewer))
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
            uint32_t monitor = monitor_of(viewer, j);
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

#endif
