"""The encoder in torch: log-mel front end, AudioNTT2022, and its CPU kernels."""
