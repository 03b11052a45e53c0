/* max_pool2d_f32.h - the largest of each window, padding left out; ties go to the first in row order. Of int8 as well.
 * argmax is the winner's place in its window, ky*kw + kx. */
#pragma once

#define WB_ELEMENT float
#define WB_NAMED(name) name##_f32
#include "max_pool2d_each.h"
#undef WB_ELEMENT
#undef WB_NAMED

#define WB_ELEMENT int8_t
#define WB_NAMED(name) name##_s8
#include "max_pool2d_each.h"
#undef WB_ELEMENT
#undef WB_NAMED
