/* The operators, in execution order. */
#include "model.h"
#include "kernels/bias_add_f32.h"
#include "kernels/matmul_f32.h"
#include "kernels/relu_f32.h"
#include "kernels/sgd_f32.h"
#include "kernels/softmax_cross_entropy_f32.h"
#include "kernels/sum_f32.h"

/* fc1 */
void op_000_dense(void)
{
    matmul_f32(1, 64, 64, 0, 1,
        F32(wb_arena, 256), p_fc1_weight, F32(wb_arena, 0));
}

/* fc1.bias_add */
void op_001_bias_add(void)
{
    bias_add_f32(1, 64, 1,
        F32(wb_arena, 0), p_fc1_bias, F32(wb_arena, 256));
}

/* fc1.relu */
void op_002_relu(void)
{
    relu_f32(64,
        F32(wb_arena, 256), F32(wb_arena, 0));
}

/* fc2 */
void op_003_dense(void)
{
    matmul_f32(1, 32, 64, 0, 1,
        F32(wb_arena, 0), p_fc2_weight, F32(wb_arena, 256));
}

/* fc2.bias_add */
void op_004_bias_add(void)
{
    bias_add_f32(1, 32, 1,
        F32(wb_arena, 256), p_fc2_bias, F32(wb_arena, 0));
}

/* fc2.relu */
void op_005_relu(void)
{
    relu_f32(32,
        F32(wb_arena, 0), F32(wb_arena, 1280));
}

/* fc3 */
void op_006_dense(void)
{
    matmul_f32(1, 10, 32, 0, 1,
        F32(wb_arena, 1280), p_fc3_weight, F32(wb_arena, 0));
}

/* fc3.bias_add */
void op_007_bias_add(void)
{
    bias_add_f32(1, 10, 1,
        F32(wb_arena, 0), p_fc3_bias, F32(wb_arena, 40));
}

/* loss */
void op_008_softmax_cross_entropy(void)
{
    softmax_cross_entropy_f32(1, 10,
        F32(wb_arena, 40), I32(wb_arena, 512), &wb_loss);
}

/* d.fc3.bias_add */
void op_009_softmax_cross_entropy_grad(void)
{
    softmax_cross_entropy_grad_f32(1, 10,
        F32(wb_arena, 40), I32(wb_arena, 512), F32(wb_arena, 1408));
}

/* d.fc3.bias */
void op_010_sum(void)
{
    sum_f32(1, 10, 1,
        F32(wb_arena, 1408), F32(wb_arena, 0));
}

/* update.fc3.bias */
void op_011_sgd(void)
{
    sgd_f32(10, 1.0f, 0.0f,
        p_fc3_bias, F32(wb_arena, 0), &wb_lr_bias);
}

/* d.fc3.weight */
void op_012_matmul(void)
{
    matmul_f32(10, 32, 1, 1, 0,
        F32(wb_arena, 1408), F32(wb_arena, 1280), F32(wb_arena, 0));
}

/* update.fc3.weight */
void op_013_sgd(void)
{
    sgd_f32(320, 1.0f, 0.0f,
        p_fc3_weight, F32(wb_arena, 0), &wb_lr);
}
