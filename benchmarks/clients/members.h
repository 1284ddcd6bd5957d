/* Members of JSON objects and of MessagePack maps, found by their names without reading the rest. */
#ifndef MEMBERS_H
#define MEMBERS_H

#include "websocket.h"

/* -- JSON */

/* Reads the digits from there on and moves past them. */
static inline uint64_t read_number(const unsigned char **at, const unsigned char *end)
{
    uint64_t number = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at)
        number = number * 10 + (uint64_t)(**at - '0');
    return number;
}

/* The number behind a name, which is looked for from *at on; that moves behind it. */
static inline bool number_behind(const unsigned char **at, const unsigned char *end, const char *name,
                                 uint64_t *number)
{
    size_t length = strlen(name);
    const unsigned char *found = memmem(*at, (size_t)(end - *at), name, length);
    if (found == NULL)
        return false;
    found += length;
    *number = read_number(&found, end);
    *at = found;
    return true;
}

/* Returns what is behind the name of the member "n", or NULL. */
static inline const unsigned char *find_number(const unsigned char *text, size_t size)
{
    /* Where it was the last time: it moves only when a number before it gets another digit. */
    static size_t place;
    const unsigned char *member;
    if (size < place + 4 || memcmp(text + place, "\"n\":", 4) != 0) {
        member = memmem(text, size, "\"n\":", 4);
        if (member == NULL)
            return NULL;
        place = (size_t)(member - text);
    }
    return text + place + 4;
}

/* Whether the member with this name comes next; moves past the name. */
static inline bool comes_next(const unsigned char **at, const unsigned char *end, const char *name)
{
    const unsigned char *next = *at;
    /* The second character or the third nearly always differs: a call of memcmp would be dearer. */
    for (; *name; name++, next++)
        if (next == end || *next != (unsigned char)*name)
            return false;
    *at = next;
    return true;
}

/* -- MessagePack */

/* As number_behind, of a key of a map. */
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
