// Chunks in device memory: re-blocked on the device, bit for bit, whatever their sizes and strides.
#include "elbo/data_source.hpp"
#include "elbo/error.hpp"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <vector>

namespace elbo::test {
namespace {

constexpr std::int64_t cols = 3, stride = 4;

// Rows of 3 numbers, counted through, with a stride of 4, each chunk in an allocation of its own that ends with the
// last number of its last row, so that a copy which goes on to the stride is found.
class device_chunks {
public:
    explicit device_chunks(const std::vector<std::int64_t>& sizes) {
        float next = 0;
        for (const std::int64_t rows : sizes) {
            std::vector<float> host(static_cast<std::size_t>(rows * stride), -1);
            for (std::int64_t i = 0; i < rows; ++i)
                for (std::int64_t j = 0; j < cols; ++j)
                    host[static_cast<std::size_t>(i * stride + j)] = next++;
            const std::size_t bytes = (host.size() - (stride - cols)) * sizeof(float);
            void* device = nullptr;
            EXPECT_EQ(cudaMalloc(&device, bytes), cudaSuccess);
            EXPECT_EQ(cudaMemcpy(device, host.data(), bytes, cudaMemcpyHostToDevice), cudaSuccess);
            memory_.emplace_back(device, cudaFree);
            parts.emplace_back(
                matrix_view<const float>(static_cast<float*>(device), rows, cols, stride, memory_space::device));
        }
    }
    std::vector<any_matrix_view> parts;

private:
    std::vector<std::unique_ptr<void, cudaError_t (*)(void*)>> memory_;
};

TEST(CudaIo, DeviceChunksGiveBatchesOfAnySize) {
    const device_chunks data({5, 1, 7, 4});
    const data_source source = data_source::chunks(data.parts);
    EXPECT_EQ(source.space(), memory_space::device);
    for (const std::int64_t batch : {1, 2, 5, 6, 16, 17, 40}) {
        const auto reader = source.read(batch);
        std::vector<float> read;
        for (any_matrix_view view = reader->next(); view.rows > 0; view = reader->next()) {
            EXPECT_EQ(view.space, memory_space::device);
            for (std::int64_t i = 0; i < view.rows; ++i) {
                float row[cols];
                ASSERT_EQ(cudaMemcpy(row, view.as<float>().row(i), sizeof row, cudaMemcpyDeviceToHost), cudaSuccess);
                read.insert(read.end(), row, row + cols);
            }
        }
        std::vector<float> expected(17 * cols);
        std::iota(expected.begin(), expected.end(), 0.0f);
        EXPECT_EQ(read, expected) << "batch " << batch;
    }
}

} // namespace
} // namespace elbo::test
