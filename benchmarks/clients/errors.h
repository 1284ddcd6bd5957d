/* What went wrong: how often, and the first of it in words. */
#ifndef ERRORS_H
#define ERRORS_H

#include <stdint.h>
#include <stdio.h>

struct errors {
    uint64_t count;
    char first[512];
};

static inline void note_error(struct errors *errors, const void *text, size_t size)
{
    errors->count++;
    if (errors->first[0] == '\0')
        snprintf(errors->first, sizeof errors->first, "%.*s", (int)size, (const char *)text);
}

/* As the last two members of an answer. Whatever a server has sent, the line must be JSON in UTF-8. */
static inline void print_errors(const struct errors *errors)
{
    printf("\"errors\":%lu,\"first_error\":\"", errors->count);
    for (const char *text = errors->first; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < ' ' || (unsigned char)*text > '~' ? '.' : *text);
    }
    puts("\"}");
    fflush(stdout);
}

#endif
