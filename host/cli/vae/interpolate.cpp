#include "host/cli/vae/pictures.hpp"

#include "elbo/vae/infer.hpp"

namespace elbo::cli {

namespace {

class interpolate_command : public vae_command {
    picture_rows rows;
    std::int64_t from = 0, to = 1, steps = 12;

public:
    void add_options(parser& app) override {
        add_common(app);
        app.add_option("--from", from, "Row of DATA where the line begins, from 0", "ROW", "")->capture_default_str();
        app.add_option("--to", to, "Row where it ends")->type_name("ROW")->capture_default_str();
        app.add_option("--steps", steps, "Points of the line, ends included")->type_name("N")->capture_default_str();
        rows.add(app, "the points of the line");
    }

    command_files files() const override { return rows.files(output); }

    answer apply(const applied<vae_kind>& work, findings& found) const override {
        const std::int64_t d = vae_kind::dimensions(work.saved);
        const auto size = image_size_of(rows.pictures, d);
        const std::vector<float> line = vae::interpolate(work.ctx, work.saved, row_of(work.data(), from, "--from"),
                                                         row_of(work.data(), to, "--to"), steps);
        row_output points = rows.open(steps, column_names_of(work.saved.architecture()));
        points.append(matrix_view<const float>(line.data(), steps, d));
        points.close();
        if (!rows.pictures.png.empty())
            write_png(rows.pictures.png, line, *size);
        found.add("from", from);
        found.add("to", to);
        found.add("steps", steps);
        return {points.printed() ? ""
                                 : fmt::format("{}: {} steps from row {} to row {} of {}\n", rows.written(), steps,
                                               from, to, describe(work.input))};
    }
};

} // namespace

void add_vae_interpolate(parser& vae, invocation& call) {
    add_command<interpolate_command>(vae, call, "interpolate",
                                     "Decode the straight line between the latents of two rows");
}

} // namespace elbo::cli
