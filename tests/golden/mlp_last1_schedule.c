/* The order of execution. */
#include "model.h"

__attribute__((section(".bss..arena"), aligned(8))) uint8_t wb_arena[sizeof wb_arena];
uint32_t wb_step;

void wb_forward(void)
{
    op_000_dense();
    op_001_dense();
    op_002_dense();
}

void wb_train_step(void)
{
    op_000_dense();
    op_001_dense();
    op_002_dense();
    op_003_softmax_cross_entropy();
    op_004_softmax_cross_entropy_grad();
    op_005_sum();
    op_006_sgd();
    op_007_matmul();
    op_008_sgd();
    ++wb_step;
}
