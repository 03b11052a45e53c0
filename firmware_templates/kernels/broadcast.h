/* broadcast.h - two operands, one of which may be read again and again along an axis: its step there is 0. */
#pragma once
#include "tiles.h"

enum { WB_PLUS, WB_MINUS, WB_TIMES, WB_OVER, WB_LARGER, WB_SMALLER, WB_ABOVE };

/* Four loops, the outermost first: how often each runs, and the steps of a and of b in it. The result's elements follow
 * one another. */
typedef struct {
    int n[4], a[4], b[4];
} wb_broadcast;

/* Along which axes of an image an operand moves: 1, or 0 where it has one element there. */
typedef struct {
    int image, channel, row, column;
} wb_moves;
