/* The order of execution. */
#include "model.h"

__attribute__((section(".arena"), aligned(8))) uint8_t wb_arena[sizeof wb_arena];
uint32_t wb_step;

void wb_forward(void)
{
    op_000_dense();
    op_001_bias_add();
    op_002_relu();
    op_003_dense();
    op_004_bias_add();
    op_005_relu();
    op_006_dense();
    op_007_bias_add();
}

void wb_train_step(void)
{
    op_000_dense();
    op_001_bias_add();
    op_002_relu();
    op_003_dense();
    op_004_bias_add();
    op_005_relu();
    op_006_dense();
    op_007_bias_add();
    op_008_softmax_cross_entropy();
    op_009_softmax_cross_entropy_grad();
    op_010_sum();
    op_011_sgd();
    op_012_matmul();
    op_013_sgd();
    ++wb_step;
}
