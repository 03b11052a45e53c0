/* The operators, in execution order. */
#include "model.h"
#include "instances.h"

/* fc1 */
void op_000_dense(void)
{
    k_dense_f32_0(F32(wb_arena, 256), p_fc1_weight, p_fc1_bias, F32(wb_arena, 0));
}

/* fc2 */
void op_001_dense(void)
{
    k_dense_f32_1(F32(wb_arena, 0), p_fc2_weight, p_fc2_bias, F32(wb_arena, 1280));
}

/* fc3 */
void op_002_dense(void)
{
    k_dense_f32_2(F32(wb_arena, 1280), p_fc3_weight, p_fc3_bias, F32(wb_arena, 0));
}

/* loss */
void op_003_softmax_cross_entropy(void)
{
    k_softmax_cross_entropy_f32_0(F32(wb_arena, 0), I32(wb_arena, 512), &wb_loss);
}

/* d.fc3.bias_add */
void op_004_softmax_cross_entropy_grad(void)
{
    k_softmax_cross_entropy_grad_f32_0(F32(wb_arena, 0), I32(wb_arena, 512), F32(wb_arena, 1408));
}

/* d.fc3.bias */
void op_005_sum(void)
{
    k_sum_f32_0(F32(wb_arena, 1408), F32(wb_arena, 0));
}

/* update.fc3.bias */
void op_006_sgd(void)
{
    k_sgd_f32_0(p_fc3_bias, F32(wb_arena, 0), &wb_lr_bias);
}

/* d.fc3.weight */
void op_007_matmul(void)
{
    k_matmul_f32_0(F32(wb_arena, 1408), F32(wb_arena, 1280), F32(wb_arena, 0));
}

/* update.fc3.weight */
void op_008_sgd(void)
{
    k_sgd_f32_1(p_fc3_weight, F32(wb_arena, 0), &wb_lr);
}
