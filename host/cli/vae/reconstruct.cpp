#include "host/cli/vae/pictures.hpp"

#include "elbo/vae/infer.hpp"

namespace elbo::cli {

namespace {

class reconstruct_command : public vae_command {
    picture_rows rows;

    void write_picture(const applied<vae_kind>& work, report::image_size size) const {
        const std::vector<double> some = evenly_spaced_rows(work.data(), report::largest_tile_count / 2);
        const std::vector<float> originals(some.begin(), some.end());
        const matrix_view<const float> view(originals.data(), std::ssize(originals) / size.pixels(), size.pixels());
        write_png(rows.pictures.png, originals, vae::reconstruct(work.ctx, work.saved, view), size);
    }

public:
    void add_options(parser& app) override {
        add_common(app);
        rows.add(app, "some rows above their reconstructions");
    }

    command_files files() const override { return rows.files(output); }

    answer apply(const applied<vae_kind>& work, findings& /*found*/) const override {
        const auto size = image_size_of(rows.pictures, vae_kind::dimensions(work.saved));
        row_output means = rows.open(work.rows(), column_names_of(work.saved.architecture()));
        if (means)
            vae::reconstruct(work.ctx, work.saved, work.data(),
                             [&](std::int64_t, matrix_view<const float> part) { means.append(part); });
        means.close();
        if (!rows.pictures.png.empty())
            write_picture(work, *size);
        if (means.printed())
            return {};
        return {rows.path.empty()
                    ? fmt::format("{}: rows of {} above their reconstructions\n", rows.written(), describe(work.input))
                    : fmt::format("{}: {} reconstructed rows of {}\n", rows.path, work.rows(), describe(work.input))};
    }
};

} // namespace

void add_vae_reconstruct(parser& vae, invocation& call) {
    add_command<reconstruct_command>(vae, call, "reconstruct", "Mean of p(x|z) at the mean of q(z|x) for every row");
}

} // namespace elbo::cli
