// Chunks in device memory: re-blocked on the device, bit for bit, whatever their sizes and strides, and after what a
// stream still writes to them.
#include "elbo/error.hpp"
#include "elbo/gmm/evidence.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/interop.hpp"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

namespace elbo::test {
namespace {

constexpr std::int64_t cols = 3, stride = 4;

/// The emulator does all work when it is submitted, unless it is told to do that of non-blocking streams when somebody
/// waits for it.
const int late_streams = setenv("CUDA_EMULATOR_STREAMS", "late", 1);

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

    void fill(float value) {
        for (const any_matrix_view& part : parts) {
            const std::vector<float> host(static_cast<std::size_t>(part.rows * stride - (stride - cols)), value);
            EXPECT_EQ(cudaMemcpy(const_cast<void*>(part.data), host.data(), host.size() * sizeof(float),
                                 cudaMemcpyHostToDevice),
                      cudaSuccess);
        }
    }

    /// Sets all numbers to 0, and enqueues on `stream` that they get their values back, some time later.
    void rewrite_on(cudaStream_t on) {
        const auto pause = [](void*) { std::this_thread::sleep_for(std::chrono::milliseconds(50)); };
        EXPECT_EQ(cudaLaunchHostFunc(on, pause, nullptr), cudaSuccess);
        for (const any_matrix_view& part : parts) {
            const std::size_t bytes = static_cast<std::size_t>(part.rows * stride - (stride - cols)) * sizeof(float);
            auto* numbers = const_cast<void*>(part.data);
            void* copy = nullptr;
            EXPECT_EQ(cudaMalloc(&copy, bytes), cudaSuccess);
            memory_.emplace_back(copy, cudaFree);
            EXPECT_EQ(cudaMemcpy(copy, numbers, bytes, cudaMemcpyDeviceToDevice), cudaSuccess);
            EXPECT_EQ(cudaMemset(numbers, 0, bytes), cudaSuccess);
            EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
            copies_.emplace_back(copy, bytes);
        }
        EXPECT_EQ(cudaLaunchHostFunc(on, pause, nullptr), cudaSuccess);
        for (std::size_t i = 0; i < parts.size(); ++i)
            EXPECT_EQ(cudaMemcpyAsync(const_cast<void*>(parts[i].data), copies_[i].first, copies_[i].second,
                                      cudaMemcpyDeviceToDevice, on),
                      cudaSuccess);
    }

private:
    std::vector<std::unique_ptr<void, cudaError_t (*)(void*)>> memory_;
    std::vector<std::pair<void*, std::size_t>> copies_;
};

/// A stream that the default stream does not wait for.
class non_blocking_stream {
public:
    non_blocking_stream() { EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess); }
    ~non_blocking_stream() { EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess); }
    operator cudaStream_t() const { return stream_; }

private:
    cudaStream_t stream_ = nullptr;
};

/// All numbers, batch by batch.
std::vector<float> read_all(const data_source& source, std::int64_t batch) {
    const auto reader = source.read(batch);
    std::vector<float> read;
    for (any_matrix_view view = reader->next(); view.rows > 0; view = reader->next()) {
        EXPECT_EQ(view.space, memory_space::device);
        for (std::int64_t i = 0; i < view.rows; ++i) {
            float row[cols];
            EXPECT_EQ(cudaMemcpy(row, view.as<float>().row(i), sizeof row, cudaMemcpyDeviceToHost), cudaSuccess);
            read.insert(read.end(), row, row + cols);
        }
    }
    return read;
}

std::vector<float> counted(std::int64_t rows) {
    std::vector<float> numbers(static_cast<std::size_t>(rows * cols));
    std::iota(numbers.begin(), numbers.end(), 0.0f);
    return numbers;
}

TEST(CudaIo, DeviceChunksGiveBatchesOfAnySize) {
    const device_chunks data({5, 1, 7, 4});
    const data_source source = data_source::chunks(data.parts);
    EXPECT_EQ(source.space(), memory_space::device);
    for (const std::int64_t batch : {1, 2, 5, 6, 16, 17, 40})
        EXPECT_EQ(read_all(source, batch), counted(17)) << "batch " << batch;
}

TEST(CudaIo, ASourceWaitsForTheStreamThatWritesIt) {
    const non_blocking_stream stream;
    for (const std::int64_t batch : {1, 5, 6, 40}) {
        device_chunks data({5, 1, 7, 4});
        data.rewrite_on(stream);
        EXPECT_EQ(read_all(source_on_stream(data.parts, stream), batch), counted(17)) << "batch " << batch;
    }
    device_chunks whole({17});
    whole.rewrite_on(stream);
    const std::optional<any_matrix_view> view = source_on_stream(whole.parts, stream).contiguous();
    float first = -1;
    ASSERT_EQ(cudaMemcpy(&first, view->as<float>().row(3), sizeof first, cudaMemcpyDeviceToHost), cudaSuccess);
    EXPECT_EQ(first, 9);
}

// On another stream than that of the context, in one piece and in chunks.
TEST(CudaIo, AFitWaitsForTheStreamThatWritesItsData) {
    const non_blocking_stream stream;
    const context ctx = context::cuda();
    for (const std::vector<std::int64_t>& sizes : {std::vector<std::int64_t>{40}, {11, 29}}) {
        device_chunks data(sizes);
        gmm::fit_options options;
        options.shape = gmm::family::diagonal;
        options.max_iterations = 1;
        const auto want = gmm::fit(ctx, data_source::chunks(data.parts), options);
        data.rewrite_on(stream);
        const auto got = gmm::fit(ctx, source_on_stream(data.parts, stream), options);
        EXPECT_EQ(got.model, want.model);
    }
}

TEST(CudaIo, WeightsAndLabelsWaitForTheStreamThatWritesThem) {
    const non_blocking_stream stream;
    const context ctx = context::cuda();
    const device_chunks data({40});
    device_chunks known({40}); // weights 0, 3, 6, ... in the first column; factors in all three
    any_matrix_view weights = known.parts[0];
    weights.cols = 1;
    const auto factors = gmm::sample_labels::from_factors(known.parts[0]);
    gmm::fit_options options;
    options.shape = gmm::family::diagonal;
    options.components = 3;
    options.max_iterations = 2;
    const data_source source(data.parts[0]);
    options.weights = weights;
    options.labels = factors;
    const auto want = gmm::fit(ctx, source, options);
    known.rewrite_on(stream);
    options.weights = weights_on_stream(weights, stream);
    const auto got = gmm::fit(ctx, source, options);
    EXPECT_EQ(got.model, want.model);
    known.rewrite_on(stream);
    options.weights = weights;
    options.labels = labels_on_stream(factors, stream);
    const auto labelled = gmm::fit(ctx, source, options);
    EXPECT_EQ(labelled.model, want.model);

    gmm::scorer session(ctx, want.model);
    std::vector<double> density(40);
    const std::vector<double> expected = gmm::log_density(ctx, want.model, source, factors);
    known.rewrite_on(stream);
    session.infer(data.parts[0], {.log_density = {density.data(), 40, 1}}, labels_on_stream(factors, stream));
    EXPECT_EQ(density, expected);
}

TEST(CudaIo, ResponsibilitiesWaitForTheStreamOfTheContext) {
    const non_blocking_stream stream;
    const context ctx = context_on_stream(stream);
    const device_chunks data({40});
    device_chunks q({40});
    q.fill(1.0f / cols);
    gmm::fit_options options;
    options.shape = gmm::family::diagonal;
    options.components = cols;
    options.max_iterations = 1;
    const data_source source(data.parts[0]);
    const gmm::model m = gmm::fit(ctx, source, options).model;
    const gmm::evidence_terms want = gmm::evidence(ctx, m, source, q.parts[0]);
    q.rewrite_on(stream);
    const gmm::evidence_terms got = gmm::evidence(ctx, m, source, q.parts[0]);
    EXPECT_EQ(got.expected_log_joint, want.expected_log_joint);
    EXPECT_EQ(got.entropy, want.entropy);
}

TEST(CudaIo, OnlyDeviceMemoryHasAStream) {
    const float x[2] = {1, 2};
    EXPECT_THROW(source_on_stream({matrix_view<const float>(x, 1, 2)}, nullptr), invalid_argument);
    EXPECT_THROW(source_on_stream({}, nullptr), invalid_argument);
    EXPECT_THROW(weights_on_stream(matrix_view<const float>(x, 2, 1), nullptr), invalid_argument);
    EXPECT_THROW(labels_on_stream(gmm::sample_labels({0, 1}), nullptr), invalid_argument);
}

} // namespace
} // namespace elbo::test
