/* activation_f32.h - what a convolution or a dense layer does to each sum before it is stored, and the mask of the clip.
 *
 *     y = clip(sum + b)        the same operations in the same order as bias_add_f32 and relu_f32 (relu6_f32), so the
 *                              same bits, without a store and a load between them
 *
 * `activation` and whether there is a bias are literals at every call: what is not wanted folds away. */
#pragma once
#include "soft_float.h"

enum { WB_LINEAR, WB_RELU, WB_RELU6 };

typedef struct {
    int biased, activation, onto; /* onto: the sum goes on from what is there */
    float bias;
    int fused; /* each product is added before it is rounded */
} wb_epilogue;

/* sum + a * b, rounded once where `fused`, else the product first. */
WB_KERNEL float wb_multiply_add_f32(int fused, float a, float b, float sum)
{
#if WB_SOFT_FLOAT
    return fused ? wb_soft_multiply_add(a, b, sum) : sum + a * b;
#else
    return fused ? __builtin_fmaf(a, b, sum) : sum + a * b;
#endif
}

/* What is no number stays so: it is neither below 0 nor above 6. */
WB_KERNEL float wb_clipped_f32(int activation, float x)
{
    if (activation != WB_LINEAR)
        x = x <= 0.0f ? 0.0f : x;
    if (activation == WB_RELU6)
        x = x >= 6.0f ? 6.0f : x;
    return x;
}

/* Whether the gradient of the clip that made y passes. */
WB_KERNEL uint32_t wb_passes_f32(int activation, float y)
{
    return !(y <= 0.0f) && !(activation == WB_RELU6 && y >= 6.0f);
}

/* The sums as they are. */
static const wb_epilogue wb_plain = { 0, WB_LINEAR, 0, 0.0f, 0 };

/* That of filter or output `o`; b is 0 where there is no bias. */
WB_KERNEL wb_epilogue wb_layer_end(int activation, const float *b, int o)
{
    return (wb_epilogue){ b != 0, activation, 0, b ? b[o] : 0.0f, 0 };
}

/* The same, for sums that go on from those that are there already. */
WB_KERNEL wb_epilogue wb_onto(wb_epilogue end)
{
    end.onto = 1;
    return end;
}

/* The same, its products fused with their sums. */
WB_KERNEL wb_epilogue wb_fused(int fused, wb_epilogue end)
{
    end.fused = fused;
    return end;
}

WB_KERNEL float wb_finish_f32(wb_epilogue end, float sum)
{
    if (end.biased)
        sum += end.bias;
    return wb_clipped_f32(end.activation, sum);
}

/* A bit an element, set where the gradient of the clip that made y passes; lowest bit first, padded with zeros. */
WB_KERNEL void clip_mask_f32(int activation, int count, const float *restrict y, uint32_t *restrict mask)
{
    for (int start = 0; start < count; start += 32) {
        uint32_t bits = 0;
        for (int i = start; i < wb_min(start + 32, count); ++i)
            bits |= wb_passes_f32(activation, y[i]) << (i - start);
        *mask++ = bits;
    }
}
