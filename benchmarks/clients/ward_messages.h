/* What the ward's viewers are sent: frames that may come in pieces, with JSON or the binary protocol in them. */
#ifndef WARD_MESSAGES_H
#define WARD_MESSAGES_H

#include "members.h"
#include "ward_connection.h"

static void text_received(struct viewer *viewer, const unsigned char *text, size_t size)
{
    const unsigned char *at = text, *end = text + size;
    uint64_t patient = 0, seq, device, n, due, count;
    if (size > 9 && memcmp(text, "{\"_meta\":", 9) == 0) {
        if (number_behind(&at, end, "\"topic\":\"patient:p", &patient) && number_behind(&at, end, "\"seq\":", &seq) &&
            number_behind(&at, end, "\"device_id\":\"monitor-", &device) && number_behind(&at, end, "\"n\":", &n) &&
            number_behind(&at, end, "\"at\":", &due))
            message_received(viewer, patient, seq, device, n, due);
        else
            totals.foreign++;
    } else if (contains(text, size, "\"type\":\"gap\"")) {
        bool has_topic = number_behind(&at, end, "\"topic\":\"patient:p", &patient);
        totals.control++;
        at = text;
        if (number_behind(&at, end, "\"count\":", &count))
            gap_received(viewer, has_topic, patient, count);
        else
            note_error(&totals.errors, text, size);
    } else {
        control_received(viewer, contains(text, size, "\"type\":\"error\""),
                         contains(text, size, "\"type\":\"connected\""),
                         contains(text, size, "\"type\":\"subscription_confirmed\""), text, size);
    }
}

static void binary_received(struct viewer *viewer, const unsigned char *data, size_t size)
{
    const unsigned char *at = data + 32, *end = data + size;
    uint64_t patient = 0, device, n, due, count, topic;
    if (size <= 32 || data[0] != 0xb1) {
        totals.foreign++;
        return;
    }
    if (data[1] == 3) {
        if (contains(at, size - 32, "\xa3gap")) {
            bool has_topic = number_behind(&at, end, "patient:p", &patient);
            totals.control++;
            at = data + 32;
            if (packed_behind(&at, end, "\xa5" "count", &count))
                gap_received(viewer, has_topic, patient, count);
            else
                note_error(&totals.errors, "a gap without a count", 21);
        } else {
            control_received(viewer, contains(at, size - 32, "\xa5" "error"),
                             contains(at, size - 32, "\xa9" "connected"),
                             contains(at, size - 32, "\xb6" "subscription_confirmed"), at, size - 32);
        }
        return;
    }
    topic = little(data + 4, 4);
    /* What is compressed has no place in a ward: its messages are small. */
    if (data[2] & 1 || topic > size - 32 || !number_behind(&at, data + 32 + topic, "patient:p", &patient) ||
        !number_behind(&at, end, "monitor-", &device) || !packed_behind(&at, end, "\xa1n", &n) ||
        !packed_behind(&at, end, "\xa2" "at", &due)) {
        totals.foreign++;
        return;
    }
    message_received(viewer, patient, little(data + 8, 8), device, n, due);
}

/* -- frames */

static void frame_received(struct viewer *viewer, const struct frame *frame)
{
    const unsigned char *payload = frame->payload;
    unsigned char pong[8 + 125];
    if (frame->opcode == CLOSE) {
        ended(viewer, frame->size >= 2 ? payload[0] << 8 | payload[1] : 1005, NULL);
    } else if (viewer->state == LEAVING) {
        return;
    } else if (frame->opcode == PING) {
        write_all(viewer, pong, write_frame(pong, PONG, payload, frame->size));
    } else if (frame->opcode == BINARY && viewer->binary) {
        binary_received(viewer, payload, frame->size);
    } else if (frame->opcode == TEXT && !viewer->binary) {
        text_received(viewer, payload, frame->size);
    } else {
        totals.foreign++;
    }
}

static size_t read_frames(struct viewer *viewer, const unsigned char *data, size_t size)
{
    struct frame frame;
    size_t at = 0;
    ssize_t length;
    while (viewer->state != OUT && (length = read_frame(data + at, size - at, MAX_FRAME, &frame))) {
        if (length < 0) {
            ended(viewer, -1, WRONG_FRAME);
            break;
        }
        frame_received(viewer, &frame);
        at += (size_t)length;
    }
    return at;
}

static size_t greet(struct viewer *viewer, const unsigned char *data, size_t size)
{
    ssize_t length = read_head(data, size);
    if (length < 0) {
        note_error(&totals.errors, data, size);
        ended(viewer, -1, "no 101");
    } else if (length > 0) {
        viewer->state = GREETING;
    }
    return length < 0 ? 0 : (size_t)length;
}

/* Returns whether there may be more to read. */
static bool receive(struct viewer *viewer, size_t limit)
{
    unsigned char *data;
    size_t have, used = 0;
    ssize_t size = receive_stamped(viewer->fd, limit, &received_at);
    if (size <= 0) {
        if (size == 0 || (errno != EAGAIN && errno != EINTR))
            ended(viewer, 1006, NULL);
        return size < 0 && errno == EINTR;
    }
    if (received_at == 0)
        received_at = nanoseconds(CLOCK_MONOTONIC);
    totals.bytes += (uint64_t)size;
    have = (size_t)size;
    data = join_unfinished(&viewer->unfinished, &have);
    if (data == NULL) {
        ended(viewer, -1, "an endless frame or head");
        return false;
    }
    if (viewer->state == UPGRADING)
        used = greet(viewer, data, have);
    if (viewer->state > UPGRADING)
        used += read_frames(viewer, data + used, have - used);
    if (viewer->state == OUT)
        return false;
    keep_unfinished(&viewer->unfinished, data, used, have);
    /* One that was not looked at may have ended meanwhile, of which there is no second event. */
    return size == READ_SIZE || is_slow(viewer);
}

#endif
