/* The connections of the ward's viewers, up to their last subscription, and their end. */
#ifndef WARD_CONNECTION_H
#define WARD_CONNECTION_H

#include "ward_ledger.h"
#include "ward_places.h"

#define PER_SOURCE 20000
/* A receive buffer that does not hide for long that somebody reads slowly. */
#define SLOW_BUFFER 8192
#define READING_SECONDS 10.0
#define RETURN_SECONDS 1.0
#define SLOW_CONSUMER 4005

static uint16_t port;
static const char *path = "/ws/connect";
static int poller;
static bool opening;                /* those who are to be there from the beginning */
static uint32_t opening_now, away;  /* on their way, and to come back */

static void ended(struct viewer *viewer, int code, const char *why)
{
    enum state state = viewer->state;
    if (state == OUT)
        return;
    close(viewer->fd);
    drop_unfinished(&viewer->unfinished);
    viewer->state = OUT;
    if (!adds_up(viewer, true))
        *(code == SLOW_CONSUMER ? &totals.untold : &totals.left_owed) += 1;
    if (state < READY)
        opening_now--;
    if (state == LEAVING) {
        goes_outside((uint32_t)(viewer - viewers));
        return;
    }
    if (state < READY)
        totals.refused++;
    if (why != NULL)
        note_error(&totals.errors, why, strlen(why));
    note_close(code, is_slow(viewer));
    viewer->returns_at = seconds(CLOCK_MONOTONIC) + RETURN_SECONDS;
    away++;
}

static void write_all(struct viewer *viewer, const void *data, size_t size)
{
    /* The socket's buffer is empty whenever we write these few bytes. */
    if (send(viewer->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
        ended(viewer, -1, "short write");
}

static void open_one(struct viewer *viewer)
{
    uint32_t index = (uint32_t)(viewer - viewers);
    int small = SLOW_BUFFER;
    bool began;
    viewer->is_expected = !any_published;
    forget(viewer);
    viewer->state = CONNECTING;
    viewer->is_reading = true;
    viewer->began = seconds(CLOCK_MONOTONIC);
    if (viewer->returns_at != 0)
        away--;
    viewer->returns_at = 0;
    opening_now++;
    began = begin_connect(&viewer->fd, port, index / PER_SOURCE, poller, index);
    if (is_slow(viewer))
        setsockopt(viewer->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    want_stamps(viewer->fd);
    if (!began)
        ended(viewer, -1, "connect refused");
}

static void watch(struct viewer *viewer, bool reading)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = (uint32_t)(viewer - viewers)};
    if (viewer->state == OUT || viewer->is_reading == reading)
        return;
    viewer->is_reading = reading;
    epoll_ctl(poller, reading ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, viewer->fd, &event);
}

static void connected_socket(struct viewer *viewer)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = (uint32_t)(viewer - viewers)};
    char request[MAX_REQUEST];
    if (!has_connected(viewer->fd)) {
        ended(viewer, -1, "connect failed");
        return;
    }
    viewer->state = UPGRADING;
    epoll_ctl(poller, EPOLL_CTL_MOD, viewer->fd, &event);
    write_all(viewer, request,
              write_request(request, path, port, event.data.u32, viewer->token,
                            viewer->binary ? "wsserver.v1.bin" : "wsserver.v1.json"));
}

static void subscribe(struct viewer *viewer)
{
    static unsigned char frames[64 * 1024];
    size_t size = 0;
    viewer->state = SUBSCRIBING;
    for (uint32_t i = 0; i < viewer->command_count; i++) {
        size_t length = strlen(viewer->commands[i]);
        if (size + length + 8 > sizeof frames)
            break;
        size += write_frame(frames + size, TEXT, viewer->commands[i], length);
    }
    write_all(viewer, frames, size);
}

static void control_received(struct viewer *viewer, bool error, bool connected, bool subscribed, const void *text,
                             size_t size)
{
    totals.control++;
    if (error) {
        note_error(&totals.errors, text, size);
    } else if (viewer->state == GREETING && connected) {
        subscribe(viewer);
    } else if (viewer->state == SUBSCRIBING && subscribed && ++viewer->confirmed == viewer->command_count) {
        double now = seconds(CLOCK_MONOTONIC);
        viewer->state = READY;
        viewer->changes_at = now + READING_SECONDS * (double)((viewer - viewers) % 10) / 10;
        opening_now--;
        if (!opening) {
            note_micros(&arrivals, (uint64_t)((now - viewer->began) * 1e6));
            if (viewer->coming || viewer->waiting)
                totals.done++;
            else
                totals.returned++;
        }
    }
}

#endif
