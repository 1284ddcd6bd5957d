/* Members of JSON objects and of MessagePack maps, found by their names without reading the rest. */
#ifndef MEMBERS_H
#define MEMBERS_H

#include "websocket.h"

/* The number behind a name, which is looked for from *at on; that moves behind it. */
static inline bool number_behind(const unsigned char **at, const unsigned char *end, const char *name,
                                 uint64_t *number)
{
    size_t length = strlen(name);
    const unsigned char *found = memmem(*at, (size_t)(end - *at), name, length);
    if (found == NULL)
        return false;
    *number = 0;
    for (found += length; found < end && *found >= '0' && *found <= '9'; found++)
        *number = *number * 10 + (uint64_t)(*found - '0');
    *at = found;
    return true;
}

/* The same behind a key of a MessagePack map. */
static inline bool packed_behind(const unsigned char **at, const unsigned char *end, const char *key,
                                 uint64_t *number)
{
    size_t length = strlen(key), bytes = 0;
    const unsigned char *found = memmem(*at, (size_t)(end - *at), key, length);
    if (found == NULL || found + length >= end)
        return false;
    found += length;
    *number = *found++;
    if (*number >= 0xcc && *number <= 0xcf)
        bytes = (size_t)1 << (*number - 0xcc);
    else if (*number >= 0x80)
        return false;
    if ((size_t)(end - found) < bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        *number = (i ? *number << 8 : 0) | found[i];
    *at = found + bytes;
    return true;
}

/* A little-endian number of that many bytes. */
static inline uint64_t little(const unsigned char *data, size_t size)
{
    uint64_t number = 0;
    while (size--)
        number = number << 8 | data[size];
    return number;
}

#endif
