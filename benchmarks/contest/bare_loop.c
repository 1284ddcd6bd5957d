/* The floor of the fan-out benchmark: what the kernel alone takes to send to every socket. */
#include <stddef.h>
#include <sys/socket.h>

/* Sends the same bytes to each descriptor; returns how many did not take all of them. */
size_t bare_fan_out(const int *descriptors, size_t count, const void *data, size_t size)
{
    size_t failed = 0;
    for (size_t i = 0; i < count; i++)
        failed += send(descriptors[i], data, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size;
    return failed;
}
