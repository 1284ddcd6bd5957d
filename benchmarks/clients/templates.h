/* The commands that connections send, with places to be filled in, and what their answers must hold. */
#ifndef TEMPLATES_H
#define TEMPLATES_H

#include "websocket.h"

#define MAX_COMMANDS 16
#define ID_DIGITS 8
#define PLACE_DIGITS 5

struct template {
    int opcode;
    uint32_t size, word_size, id_at, place_at; /* the places of what is filled in; UINT32_MAX: there is none */
    unsigned char *payload;
    char *word;
};

struct templates {
    struct template list[MAX_COMMANDS];
    uint32_t count;
};

static const struct template *command_of(const struct templates *templates, uint32_t number)
{
    return &templates->list[number % templates->count];
}

/* The payload of a command: the id is hexadecimal, the place decimal. */
static void fill_in(unsigned char *payload, const struct template *command, uint32_t id, uint32_t place)
{
    static const char digits[] = "0123456789abcdef";
    memcpy(payload, command->payload, command->size);
    for (uint32_t i = 0; i < ID_DIGITS; i++, id >>= 4)
        payload[command->id_at + ID_DIGITS - 1 - i] = (unsigned char)digits[id & 15];
    if (command->place_at != UINT32_MAX)
        for (uint32_t i = 0; i < PLACE_DIGITS; i++, place /= 10)
            payload[command->place_at + PLACE_DIGITS - 1 - i] = (unsigned char)('0' + place % 10);
}

/* -- as a file: see the head of inbound_client.c */

static uint32_t place_of(const struct template *command, const char *filler)
{
    const unsigned char *found = memmem(command->payload, command->size, filler, strlen(filler));
    return found == NULL ? UINT32_MAX : (uint32_t)(found - command->payload);
}

static void read_templates(const char *path, struct templates *templates)
{
    FILE *file = fopen(path, "rb");
    int opcode;
    if (file == NULL)
        fail(path);
    while ((opcode = fgetc(file)) != EOF) {
        struct template *command = &templates->list[templates->count];
        uint32_t sizes[2];
        if (templates->count == MAX_COMMANDS || fread(sizes, sizeof *sizes, 2, file) != 2
            || sizes[0] > 4096 || sizes[1] > 4096)
            goto wrong;
        *command = (struct template){.opcode = opcode, .size = sizes[0], .word_size = sizes[1]};
        command->payload = allocate(NULL, sizes[0] + 1);
        command->word = allocate(NULL, sizes[1] + 1);
        if (fread(command->payload, 1, sizes[0], file) != sizes[0]
            || fread(command->word, 1, sizes[1], file) != sizes[1])
            goto wrong;
        command->id_at = place_of(command, "########");
        command->place_at = place_of(command, "@@@@@");
        if (command->id_at == UINT32_MAX)
            goto wrong;
        templates->count++;
    }
    fclose(file);
    return;
wrong:
    fprintf(stderr, "%s: no commands\n", path);
    exit(2);
}

#endif
