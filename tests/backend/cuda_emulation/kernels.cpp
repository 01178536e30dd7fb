// The kernels, for the emulated device.
#include <solens/backend/cuda/kernels.cuh>
