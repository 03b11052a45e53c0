/* The operators, in execution order. */
#include "model.h"
#include "kernels/dense_f32.h"
#include "kernels/matmul_f32.h"
#include "kernels/sgd_f32.h"
#include "kernels/softmax_cross_entropy_f32.h"
#include "kernels/sum_f32.h"

/* fc1 */
void op_000_dense(void)
{
    dense_f32((wb_dense_f32){ .rows = 1, .outputs = 64, .inputs = 64, .activation = WB_RELU, .kept = 0 },
        F32(wb_arena, 256), p_fc1_weight, 0, p_fc1_bias, F32(wb_arena, 0), 0);
}

/* fc2 */
void op_001_dense(void)
{
    dense_f32((wb_dense_f32){ .rows = 1, .outputs = 32, .inputs = 64, .activation = WB_RELU, .kept = 0 },
        F32(wb_arena, 0), p_fc2_weight, 0, p_fc2_bias, F32(wb_arena, 1280), 0);
}

/* fc3 */
void op_002_dense(void)
{
    dense_f32((wb_dense_f32){ .rows = 1, .outputs = 10, .inputs = 32, .activation = WB_LINEAR, .kept = 0 },
        F32(wb_arena, 1280), p_fc3_weight, 0, p_fc3_bias, F32(wb_arena, 0), 0);
}

/* loss */
void op_003_softmax_cross_entropy(void)
{
    softmax_cross_entropy_f32((wb_softmax){ .batch = 1, .classes = 10 }, F32(wb_arena, 0), I32(wb_arena, 512),
        &wb_loss);
}

/* d.fc3.bias_add */
void op_004_softmax_cross_entropy_grad(void)
{
    softmax_cross_entropy_grad_f32((wb_softmax){ .batch = 1, .classes = 10 }, F32(wb_arena, 0), I32(wb_arena, 512),
        F32(wb_arena, 1408));
}

/* d.fc3.bias */
void op_005_sum(void)
{
    sum_f32((wb_sum){ .images = 1, .rows = 1, .columns = 1, .times = 1.0f }, wb_everything(1, 10, 1),
        wb_image_f32(F32(wb_arena, 1408), 10, 1, 1), F32(wb_arena, 0));
}

/* update.fc3.bias */
void op_006_sgd(void)
{
    sgd_f32((wb_sgd){ .count = 10, .rule = { .momentum = 0.0f, .scale = 1.0f, .weight_decay = 0.0f } }, p_fc3_bias,
        F32(wb_arena, 0), &wb_lr_bias);
}

/* d.fc3.weight */
void op_007_matmul(void)
{
    matmul_f32((wb_matmul){ .rows = 10, .columns = 32, .inner = 1, .kept = 32, .transpose_a = 1, .transpose_b = 0 },
        F32(wb_arena, 1408), F32(wb_arena, 1280), 0, F32(wb_arena, 0));
}

/* update.fc3.weight */
void op_008_sgd(void)
{
    sgd_f32((wb_sgd){ .count = 320, .rule = { .momentum = 0.0f, .scale = 1.0f, .weight_decay = 0.0f } },
        p_fc3_weight, F32(wb_arena, 0), &wb_lr);
}
