/* max_pool2d_f32.h - the largest of each window, padding left out; ties go to the first in row order. The first NaN
 * is larger than all. Also for int8.
 * argmax is the winner's place in its window, ky*kw + kx. */
#pragma once

#define WB_ELEMENT float
#define WB_NAMED(name) name##_f32
#define WB_IS_NUMBER(x) ((x) == (x))
#include "max_pool2d_each.h"
#undef WB_ELEMENT
#undef WB_NAMED
#undef WB_IS_NUMBER

#define WB_ELEMENT int8_t
#define WB_NAMED(name) name##_s8
#define WB_IS_NUMBER(x) 1
#include "max_pool2d_each.h"
#undef WB_ELEMENT
#undef WB_NAMED
#undef WB_IS_NUMBER
