"""Float networks to int8: calibration on samples, and post-training quantization."""
