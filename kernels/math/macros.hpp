// ELBO_HD marks functions that nvcc also compiles for the device.
#pragma once

#ifdef __CUDACC__
#define ELBO_HD __host__ __device__
#else
#define ELBO_HD
#endif
