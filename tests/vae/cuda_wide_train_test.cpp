// Training with wide layers on a device: checkpoints hold how the library did the products, those without go on, too.
#include "kernels/contract/context_state.hpp"
#include "kernels/cuda/core/cuda_state.hpp"
#include "tests/support/vae_training.hpp"

namespace elbo::vae {
namespace {

TEST_F(VaeTrain, CheckpointsHoldTheProductsOfWideLayers) {
    const context ctx = context::cuda();
    ctx.state().cuda->wide = {1, 1};
    train_options o = options();
    const train_result straight = run(ctx, o);
    o.checkpoint.path = folder_.path("run.safetensors");
    o.epochs = 1;
    run(ctx, o);
    io::tensor_file file = io::read_safetensors(o.checkpoint.path);
    std::string& training = file.metadata.at("training");
    const std::size_t at = training.find(",\"products\":[");
    ASSERT_NE(at, std::string::npos) << training;
    EXPECT_NE(training.find("cuBLASLt", at), std::string::npos) << training;

    o.resume = o.checkpoint.path;
    o.epochs = 3;
    EXPECT_EQ(run(ctx, o).model.parameters(), straight.model.parameters());
    // As an older version wrote it.
    training.erase(at, training.find(']', at) + 1 - at);
    o.resume = folder_.path("old.safetensors");
    io::write_safetensors(o.resume, file);
    EXPECT_EQ(run(ctx, o).model.parameters(), straight.model.parameters());
}

TEST_F(VaeTrain, CheckpointsWithoutWideLayersHoldNone) {
    train_options o = options();
    o.checkpoint.path = folder_.path("run.safetensors");
    run(context::cuda(), o);
    EXPECT_EQ(io::read_safetensors(o.checkpoint.path).metadata.at("training").find("products"), std::string::npos);
}

} // namespace
} // namespace elbo::vae
