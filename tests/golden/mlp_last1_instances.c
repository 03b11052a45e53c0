/* Kernels: each is compiled once, and called by all operators that need it. */
#include "instances.h"
#include "kernels/dense_f32.h"
#include "kernels/matmul_f32.h"
#include "kernels/sgd_f32.h"
#include "kernels/softmax_cross_entropy_f32.h"
#include "kernels/sum_f32.h"

WB_INSTANCE void k_dense_f32_0(const float *x, const float *w, const float *b, float *y)
{
    dense_f32((wb_dense_f32){ .rows = 1, .outputs = 64, .inputs = 64, .activation = WB_RELU, .kept = 0 }, x, w, 0,
        b, y, 0);
}

WB_INSTANCE void k_dense_f32_1(const float *x, const float *w, const float *b, float *y)
{
    dense_f32((wb_dense_f32){ .rows = 1, .outputs = 32, .inputs = 64, .activation = WB_RELU, .kept = 0 }, x, w, 0,
        b, y, 0);
}

WB_INSTANCE void k_dense_f32_2(const float *x, const float *w, const float *b, float *y)
{
    dense_f32((wb_dense_f32){ .rows = 1, .outputs = 10, .inputs = 32, .activation = WB_LINEAR, .kept = 0 }, x, w, 0,
        b, y, 0);
}

WB_INSTANCE void k_softmax_cross_entropy_f32_0(const float *x, const int32_t *labels, float *loss)
{
    softmax_cross_entropy_f32((wb_softmax){ .batch = 1, .classes = 10 }, x, labels, loss);
}

WB_INSTANCE void k_softmax_cross_entropy_grad_f32_0(const float *x, const int32_t *labels, float *dx)
{
    softmax_cross_entropy_grad_f32((wb_softmax){ .batch = 1, .classes = 10 }, x, labels, dx);
}

WB_INSTANCE void k_sum_f32_0(const float *x, float *y)
{
    sum_f32((wb_sum){ .images = 1, .rows = 1, .columns = 1, .times = 1.0f }, wb_everything(1, 10, 1),
        wb_image_f32(x, 10, 1, 1), y);
}

WB_INSTANCE void k_sgd_f32_0(float *w, const float *dw, const float *lr)
{
    sgd_f32((wb_sgd){ .count = 10, .rule = { .momentum = 0.0f, .scale = 1.0f, .weight_decay = 0.0f } }, w, dw, lr);
}

WB_INSTANCE void k_matmul_f32_0(const float *a, const float *b, float *y)
{
    matmul_f32((wb_matmul){ .rows = 10, .columns = 32, .inner = 1, .kept = 32, .transpose_a = 1, .transpose_b = 0 },
        a, b, 0, y);
}

WB_INSTANCE void k_sgd_f32_1(float *w, const float *dw, const float *lr)
{
    sgd_f32((wb_sgd){ .count = 320, .rule = { .momentum = 0.0f, .scale = 1.0f, .weight_decay = 0.0f } }, w, dw, lr);
}
