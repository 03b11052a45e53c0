/* through_clip_s8.h - g = s[c] * dy where the bit of a quantized layer's clip is set, else 0; the first is bit `first`. */
#pragma once
#include "wb_kernel.h"

/* `count` elements of one channel, the first of which is bit `bit` of the mask. */
WB_KERNEL void through_clip_run_s8(int count, float s, const float *dy, const uint32_t *mask, int bit, float *g)
{
    for (int done = 0; done < count;) {
        const int here = wb_min(count - done, 32 - bit % 32);
        uint32_t bits = mask[bit / 32] >> bit % 32;
        for (int i = 0; i < here; ++i, bits >>= 1, ++dy)
            *g++ = bits & 1u ? *dy * s : 0.0f;
        done += here;
        bit += here;
    }
}

WB_KERNEL void through_clip_s8(int batch, int channels, int plane, int first, const float *dy, const uint32_t *restrict mask,
                               const float *restrict s, float *g)
{
    for (int n = 0; n < batch; ++n)
        for (int c = 0; c < channels; ++c) {
            const int at = (n * channels + c) * plane;
            through_clip_run_s8(plane, s[c], dy + at, mask, first + at, g + at);
        }
}
