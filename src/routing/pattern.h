/*
 * The path pattern of a route, compiled: private to this module.
 */
#ifndef ROUTING_PATTERN_H
#define ROUTING_PATTERN_H

#include "base/slice.h"

enum segment_kind {
    SEGMENT_END,
    SEGMENT_LITERAL,
    SEGMENT_CAPTURE, /* {name} */
    SEGMENT_STAR,    /* * */
    SEGMENT_DEEP     /* ** */
};

struct route_segment {
    enum segment_kind kind;
    struct slice text; /* a literal's bytes, a capture's name */
};

/* Wildcards in a pattern; between two of them stands a literal. */
#define WILDCARDS_MAX 16
#define SEGMENTS_MAX (2 * WILDCARDS_MAX + 2)

/* Where the captures of a row stand in the text, by the row's index. */
struct spans {
    size_t begin[SEGMENTS_MAX];
    size_t end[SEGMENTS_MAX];
};

/* Does the whole text match the row, which ends with SEGMENT_END? Linear in the text. */
bool pattern_match(const struct route_segment *row, struct slice text, struct spans *spans);

#endif
