/* model.h - the training step's memory and entry points.
 *
 * To train, for each batch write wb_input0 and wb_label0 and call wb_train_step(). wb_loss is then the batch's mean
 * loss before the update. Learning rates: wb_lr (at first 0), wb_lr_bias (at first 0); write others between two calls,
 * 0 learns nothing.
 *
 * To infer, write wb_input0 and call wb_forward(): wb_logits hold until the next call, and are promised here only.
 *
 * In a project of your own, compile the .c files but startup.c and main.c, with -ffp-contract=off (for the same bits)
 * and -fno-strict-aliasing (one arena holds all types). The arena needs no initial values.
 *
 * Milliseconds that the workbench tells are modelled cycles at 64 MHz, zero wait states; startup.c leaves the clock as
 * it is after a reset. */
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define F32(base, offset) ((float *)(void *)((base) + (offset)))
#define I32(base, offset) ((int32_t *)(void *)((base) + (offset)))
#define I16(base, offset) ((int16_t *)(void *)((base) + (offset)))
#define I8(base, offset) ((int8_t *)(void *)((base) + (offset)))
#define BITS(base, offset) ((uint32_t *)(void *)((base) + (offset)))

extern uint8_t wb_arena[1448];

#define wb_input0 F32(wb_arena, 256) /* float [1, 64] */
#define wb_label0 I32(wb_arena, 512) /* int32_t [1] */
#define wb_logits F32(wb_arena, 0) /* float [1, 10] */

extern float wb_lr;
extern float wb_lr_bias;
extern const float p_fc1_weight[4096];
extern const float p_fc1_bias[64];
extern const float p_fc2_weight[2048];
extern const float p_fc2_bias[32];
extern float p_fc3_weight[320];
extern float p_fc3_bias[10];
extern float wb_loss;
extern uint32_t wb_step; /* training steps done */

void wb_forward(void);
void wb_train_step(void);

void op_000_dense(void);
void op_001_dense(void);
void op_002_dense(void);
void op_003_softmax_cross_entropy(void);
void op_004_softmax_cross_entropy_grad(void);
void op_005_sum(void);
void op_006_sgd(void);
void op_007_matmul(void);
void op_008_sgd(void);

#ifdef __cplusplus
}
#endif

#endif
