/* Latencies in microseconds: 32 buckets for each power of two, so within 3 % of the truth. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#define SUB_BITS 5
#define BUCKETS (32 << SUB_BITS)

struct histogram { uint64_t counts[BUCKETS], slowest; };

static inline uint32_t bucket_of(uint64_t micros)
{
    uint32_t power;
    if (micros < 1u << SUB_BITS)
        return (uint32_t)micros;
    power = 63 - (uint32_t)__builtin_clzll(micros) - SUB_BITS;
    return ((power + 1) << SUB_BITS) + (uint32_t)(micros >> power) - (1u << SUB_BITS);
}

static inline void note_micros(struct histogram *histogram, uint64_t micros)
{
    uint32_t place = bucket_of(micros);
    histogram->counts[place < BUCKETS ? place : BUCKETS - 1]++;
    if (micros > histogram->slowest)
        histogram->slowest = micros;
}

static inline uint64_t samples_of(const struct histogram *histogram)
{
    uint64_t samples = 0;
    for (uint32_t i = 0; i < BUCKETS; i++)
        samples += histogram->counts[i];
    return samples;
}

/* The upper end of the bucket below which the share lies, or the slowest of all; 0 where there are none. */
static inline uint64_t micros_at(const struct histogram *histogram, double share)
{
    uint64_t samples = samples_of(histogram), seen = 0, end;
    for (uint32_t i = 0; i < BUCKETS && samples; i++) {
        uint32_t power = i >> SUB_BITS, rest = i & ((1u << SUB_BITS) - 1);
        seen += histogram->counts[i];
        if ((double)seen >= share * (double)samples) {
            end = power == 0 ? rest + 1 : ((uint64_t)rest + (1u << SUB_BITS) + 1) << (power - 1);
            return end < histogram->slowest ? end : histogram->slowest;
        }
    }
    return 0;
}

#endif
